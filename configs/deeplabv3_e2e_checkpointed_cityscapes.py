# deeplabv3_e2e_cityscapes.py with every block of the encoder recomputed in the backward pass.
_base_ = './deeplabv3_e2e_cityscapes.py'
model = dict(backbone=dict(checkpoint=True))
