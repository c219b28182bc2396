# SegFormer with MiT-B2.
_base_ = './deeplabv3_r101.py'
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='MixVisionTransformer',
            embed_dims=64,
            num_layers=[3, 4, 6, 3],
            num_heads=[1, 2, 5, 8],
            sr_ratios=[8, 4, 2, 1],
            qkv_bias=True,
            drop_path_rate=0.1,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/segformer/'
                'mit_b2_20220624-66e8bf70.pth'))),
    decode_head=dict(
        _delete_=True,
        type='SegformerHead',
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)),
    auxiliary_head=None)
