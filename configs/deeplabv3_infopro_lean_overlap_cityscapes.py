# deeplabv3_infopro_lean_cityscapes.py whose local heads read after the first block of the next module, which
# both modules train (after HPFF, ECCV 2024; docs/methods.md).
# No result of it is known to us.
_base_ = './deeplabv3_infopro_lean_cityscapes.py'
model = dict(backbone=dict(overlap=1))
