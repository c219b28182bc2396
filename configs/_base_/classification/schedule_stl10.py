# The paper's schedule for STL-10: batch 128, 160 epochs of 5,000 images, cosine.
_base_ = './schedule_cifar.py'
max_iters = 6240  # 160 epochs of 39 iterations
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [
    dict(
        type='CosineAnnealingLR', eta_min=0.0, begin=0, end=max_iters, T_max=max_iters, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters, val_interval=390)
auto_scale_lr = dict(base_batch_size=128)
