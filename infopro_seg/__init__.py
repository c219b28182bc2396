"""infopro_seg: train segmentation networks module by module, in a fraction of the memory."""

__version__ = '0.1.0'
