# OCRNet with HRNet-W48: the second decode head reads the classes that the first finds.
_base_ = './deeplabv3_r101.py'
model = dict(
    type='InfoProCascadeEncoderDecoder',
    num_stages=2,
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='HRNet',
            norm_cfg={{_base_.norm_cfg}},
            extra=dict(
                stage1=dict(
                    num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,), num_channels=(64,)),
                stage2=dict(
                    num_modules=1, num_branches=2, block='BASIC', num_blocks=(4, 4), num_channels=(48, 96)),
                stage3=dict(
                    num_modules=4,
                    num_branches=3,
                    block='BASIC',
                    num_blocks=(4, 4, 4),
                    num_channels=(48, 96, 192)),
                stage4=dict(
                    num_modules=3,
                    num_branches=4,
                    block='BASIC',
                    num_blocks=(4, 4, 4, 4),
                    num_channels=(48, 96, 192, 384))),
            init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://msra/hrnetv2_w48'))),
    decode_head=[
        dict(
            type='FCNHead',
            in_index=(0, 1, 2, 3),
            input_transform='resize_concat',
            channels=720,
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            dropout_ratio=-1,
            num_classes=19,
            norm_cfg={{_base_.norm_cfg}},
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.4)),
        dict(
            type='OCRHead',
            in_index=(0, 1, 2, 3),
            input_transform='resize_concat',
            channels=512,
            ocr_channels=256,
            dropout_ratio=-1,
            num_classes=19,
            norm_cfg={{_base_.norm_cfg}},
            align_corners=False,
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)),
    ],
    auxiliary_head=None)
