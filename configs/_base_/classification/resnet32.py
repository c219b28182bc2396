# ResNet-32 for images of 32x32 pixels: a stem and three stages of five blocks.
crop_size = (32, 32)
model = dict(
    type='InfoProImageClassifier',
    data_preprocessor=dict(
        type='mmpretrain.ClsDataPreprocessor',
        mean=[125.307, 122.961, 113.8575],
        std=[51.5865, 50.847, 51.255],
        to_rgb=True),
    backbone=dict(
        type='InfoProBackbone',
        encoder=dict(type='CifarResNet', depth=32, norm_cfg=dict(type='BN', requires_grad=True)),
        cuts=()),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(
        type='mmpretrain.LinearClsHead',
        num_classes=10,
        loss=dict(type='mmpretrain.CrossEntropyLoss', loss_weight=1.0)))
