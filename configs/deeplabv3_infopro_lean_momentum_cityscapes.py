# deeplabv3_infopro_lean_cityscapes.py whose local heads read through an averaged and a trained copy of the block
# after their cut (after MAN, ECCV 2024; docs/methods.md). No result of it is known to us.
_base_ = './deeplabv3_infopro_lean_cityscapes.py'
model = dict(backbone=dict(momentum_block=dict(momentum=0.995, learnable=True)))
