# PSPNet-ResNeSt101 trained end to end, as in stock mmseg: the twin of pspnet_resnest101_infopro_cityscapes.py.
_base_ = [
    '_base_/models/deeplabv3_r101.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/80k.py',
    '_base_/runtime.py',
]
model = dict(
    backbone=dict(
        encoder=dict(
            type='ResNeSt',
            stem_channels=128,
            radix=2,
            reduction_factor=4,
            avg_down_stride=True,
            init_cfg=dict(checkpoint='open-mmlab://resnest101'))),
    decode_head=dict(
        _delete_=True,
        type='PSPHead',
        in_index=3,
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)))
