# deeplabv3_infopro_cityscapes.py on the synthetic streets: only the data set is another.
_base_ = [
    '_base_/models/deeplabv3_r101_infopro.py',
    '_base_/datasets/synthetic_streets.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(backbone=dict(cuts=('layer3.12',)))
