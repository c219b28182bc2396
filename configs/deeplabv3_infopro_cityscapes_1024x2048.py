# Whole Cityscapes images as crops: K = 4, 2 on each of two GPUs, two iterations per step for a batch of 8.
_base_ = [
    '_base_/models/deeplabv3_r101_infopro.py',
    '_base_/datasets/cityscapes_1024x2048.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(1024, 2048)),
    backbone=dict(cuts=('layer3.1', 'layer3.11', 'layer3.21')))
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(accumulative_counts=2)
train_cfg = dict(max_iters=80000, val_interval=8000)
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=80000, by_epoch=False)]
