# The paper's schedule for CIFAR-10 and SVHN: batch 1024, 160 epochs of CIFAR-10 (50,000 images), cosine.
# The warm-up is ours: without it, end-to-end training guesses after eleven steps and never recovers.
max_iters = 7840  # 160 epochs of 49 iterations
warm_up = 245  # five epochs
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.8, momentum=0.9, nesterov=True, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=warm_up, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, begin=warm_up, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=max_iters, val_interval=490)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=1024)
