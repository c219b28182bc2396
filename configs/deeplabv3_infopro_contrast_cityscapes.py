# InfoPro (contrast): a contrastive auxiliary head in place of the softmax classifier. K = 2.
_base_ = [
    '_base_/models/deeplabv3_r101.py',
    '_base_/local_heads/contrast.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(backbone=dict(cuts=('layer3.12',), local_head={{_base_.local_head}}))
