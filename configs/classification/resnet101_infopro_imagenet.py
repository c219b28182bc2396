# ResNet-101 on ImageNet: InfoPro (contrast), K = 2 balanced by memory, with the paper's weights and schedule.
# Batch 1024 on 8 GPUs. ResNet-152: model.backbone.encoder.depth=152, and 1.0 as weight of the auxiliary head;
# ResNeXt-101: encoder=dict(type='ResNeXt', groups=32, base_width=8).
_base_ = [
    '../_base_/datasets/imagenet.py',
    '../_base_/classification/runtime.py',
    '../_base_/classification/local_heads/contrast_imagenet.py',
]
model = dict(
    type='InfoProImageClassifier',
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True),
    backbone=dict(
        type='InfoProBackbone',
        encoder=dict(
            type='ResNet', depth=101, out_indices=(3,), norm_cfg=dict(type='BN', requires_grad=True)),
        cuts=(),
        num_modules=2,
        local_head={{_base_.local_head}}),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(
        type='mmpretrain.LinearClsHead',
        num_classes=1000,
        loss=dict(type='mmpretrain.CrossEntropyLoss', loss_weight=1.0)))
max_iters = 112590  # 90 epochs of 1251 iterations
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.4, momentum=0.9, nesterov=True, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='CosineAnnealingLR', eta_min=0.0, begin=0, end=max_iters, T_max=max_iters, by_epoch=False)
]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=max_iters, val_interval=1251)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(logger=dict(interval=100), checkpoint=dict(interval=1251))
auto_scale_lr = dict(enable=False, base_batch_size=1024)
