# DGL: a deeper auxiliary head, no decoder. K = 2; the paper reports mIoU 78.15 / 79.56 (table 5).
_base_ = [
    '_base_/models/deeplabv3_r101.py',
    '_base_/local_heads/dgl.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(backbone=dict(cuts=('layer3.12',), local_head={{_base_.local_head}}))
