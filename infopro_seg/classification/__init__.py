"""Image classification in local modules: the networks of the paper's Tables 1 to 4, on mmpretrain.

Nothing of this package but :mod:`infopro_seg.classification.task` is imported unless a config asks for it.
"""
