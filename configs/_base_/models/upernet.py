# UPerNet; the leaf brings the encoder.
_base_ = './deeplabv3_r101.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='UPerHead',
        in_index=[0, 1, 2, 3],
        channels=512,
        pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)))
