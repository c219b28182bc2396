# DeepLabV3-MobileNetV2 trained end to end, as in stock mmseg: the twin of deeplabv3_mobilenetv2_infopro_cityscapes.py.
_base_ = [
    '_base_/models/deeplabv3_r101.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/80k.py',
    '_base_/runtime.py',
]
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='MobileNetV2',
            strides=(1, 2, 2, 1, 1, 1, 1),
            dilations=(1, 1, 1, 2, 2, 4, 4),
            out_indices=(1, 2, 4, 6),
            norm_cfg={{_base_.norm_cfg}},
            init_cfg=dict(type='Pretrained', checkpoint='mmcls://mobilenet_v2'))))
