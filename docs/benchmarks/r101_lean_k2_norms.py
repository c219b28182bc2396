# The lean network, cut where the paper cuts it, recomputing norms and activations: what the measurements
# compare with balanced cuts.
_base_ = '../../configs/deeplabv3_infopro_lean_cityscapes.py'
model = {'backbone': {'num_modules': None, 'cuts': ('layer3.12',), 'checkpoint': 'norms'}}
