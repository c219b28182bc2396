# deeplabv3_infopro_lean_cityscapes.py with auxiliary heads of three convolutions at the first cut, two at the
# second, one at the third (after AugLocal, ICLR 2024; docs/methods.md). No result of it is known to us.
_base_ = './deeplabv3_infopro_lean_cityscapes.py'
model = dict(backbone=dict(local_head=dict(auxiliary_head=dict(num_convs=(3, 1)))))
