# DeepLabV3-R50 with InfoPro on CamVid, K = 2, lean local head.
_base_ = [
    '_base_/models/deeplabv3_r50_infopro.py',
    '_base_/datasets/camvid.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(360, 480)),
    backbone=dict(local_head=dict(auxiliary_head=dict(num_classes=11))),
    decode_head=dict(num_classes=11),
    auxiliary_head=dict(num_classes=11))
