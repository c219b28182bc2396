# Whole Cityscapes images as crops: K = 4, lean, 2 images on each of two GPUs of 11 GiB, two iterations per step
# for a batch of 8.
_base_ = [
    '_base_/models/deeplabv3_r101_lean.py',
    '_base_/datasets/cityscapes_1024x2048.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(1024, 2048)),
    backbone=dict(cuts=('layer3.2', 'layer3.12', 'layer3.22')))
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(accumulative_counts=2)
auto_scale_lr = dict(base_batch_size=4)  # crops of one iteration, half a step
train_cfg = dict(max_iters=80000, val_interval=8000)
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=80000, by_epoch=False)]
