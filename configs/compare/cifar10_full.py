# The paper's Table 2 (ResNet-32, CIFAR-10) with its data, batch and schedule, for a GPU: the suite cifar10 is for a core.
# The images are those of data/cifar10_jpeg.npz, which are recompressed as JPEG: say so beside every figure.
_base_ = './cifar10.py'
train_dataloader = dict(
    batch_size=1024, num_workers=2, persistent_workers=True, dataset=dict(per_class=None))
val_dataloader = dict(num_workers=1, persistent_workers=True)
test_dataloader = val_dataloader
max_iters = 7840  # 160 epochs of 49 iterations
optim_wrapper = dict(optimizer=dict(lr=0.8, weight_decay=0.0001))
warm_up = 245  # five epochs
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=warm_up, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, begin=warm_up, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 4)
default_hooks = dict(checkpoint=dict(interval=490))
env_cfg = dict(cudnn_benchmark=False)  # trainings that share a GPU disturb the timing by which it chooses
