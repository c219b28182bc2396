# Small enough for two cores: a thin ResNet-34 of three stages (14 blocks), streets of 128x64.
_base_ = ['./methods.py', '../_base_/datasets/synthetic_streets.py', '../_base_/runtime.py']
crop_size = (32, 64)
data_root = 'data/synthetic_streets_64x128'
data_howto = 'python tools/make_synthetic_streets.py --out data/synthetic_streets_64x128 --train 800 --val 100 --size 64 128 --seed 0'
norm_cfg = dict(type='BN', requires_grad=True)
loss_decode = dict(type='LeanCrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)
model = dict(
    type='InfoProEncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=crop_size),
    backbone=dict(
        type='InfoProBackbone',
        encoder=dict(
            type='ResNetV1c',
            depth=34,
            num_stages=3,
            strides=(1, 2, 1),
            dilations=(1, 1, 2),
            out_indices=(0, 1, 2),
            base_channels=16,
            stem_channels=16,
            norm_cfg=norm_cfg,
            contract_dilation=True),
        cuts=()),
    decode_head=dict(
        type='FCNHead',
        in_index=2,
        channels=64,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=loss_decode),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels', num_classes={{_base_.num_classes}}),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels', num_classes={{_base_.num_classes}}),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
max_iters = 3000
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, weight_decay=0.0005),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=100, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=max_iters, val_interval=500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(interval=100),
    checkpoint=dict(interval=500, max_keep_ckpts=1, save_best=None))
custom_hooks = [dict(type='CheckpointGuardHook'), dict(type='ResultsHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])

comparison = dict(
    runs=dict(  # numbers of local modules of each method
        e2e=(1,),
        greedy=(2, 8),
        infopro=(2, 8),
        dgl=(2, 8),
        infopro_contrast=(2, 8)),
    seeds=(0, 1, 2),
    cuts='even',  # as many blocks in each module; 'balanced' by memory takes a trace for each
    local_head=dict(  # what local heads take in place of what their files say, where they say it
        stride=4,
        decoder=dict(channels=(32, 16, 8), stride=2, norm_cfg=norm_cfg),
        auxiliary_head=dict(channels=32, norm_cfg=norm_cfg, pixels_per_class=16, loss_decode=loss_decode)),
    data=dict(train=800, val=100, size=(64, 128), seed=0))
