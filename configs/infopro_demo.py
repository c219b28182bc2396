# A few minutes on a CPU: DeepLabV3 with a thin ResNet-18 in K = 3 local modules on small synthetic streets.
_base_ = [
    '_base_/models/deeplabv3_r101_infopro.py',
    '_base_/datasets/synthetic_streets_demo.py',
    '_base_/runtime.py',
]
crop_size = (96, 192)
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        encoder=dict(
            depth=18,
            base_channels=32,
            stem_channels=32,
            norm_cfg=norm_cfg,
            init_cfg=None),
        cuts=('layer1.1', 'layer3.0'),
        local_head=dict(  # reconstructs at half, classifies at an eighth of the resolution
            stride=8,
            decoder=dict(
                stride=2, norm_cfg=norm_cfg, channels=(32, 16, 8), loss_recon=dict(loss_weight=(2.0, 1.0))),
            auxiliary_head=dict(channels=64, norm_cfg=norm_cfg))),
    decode_head=dict(
        channels=64, norm_cfg=norm_cfg, loss_decode=dict(type='LeanCrossEntropyLoss')),
    auxiliary_head=None)
max_iters = 700
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=0.0005),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=50, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=max_iters, val_interval=350)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=4)
train_dataloader = dict(batch_size=4, num_workers=1)
val_dataloader = dict(num_workers=1)
test_dataloader = dict(num_workers=1)
randomness = dict(seed=0)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=25),
    checkpoint=dict(interval=350, max_keep_ckpts=1))
custom_hooks = [
    dict(type='CheckpointGuardHook'),
    dict(type='ReconstructionHook', interval=350),
    dict(type='ResultsHook'),
]
work_dir = 'work_dirs/demo'
