# The suite cifar10_full with 30 epochs instead of 160.
_base_ = './cifar10_full.py'
max_iters = 1470  # 30 epochs of 49 iterations
warm_up = {{_base_.warm_up}}
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=warm_up, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, begin=warm_up, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 3)
