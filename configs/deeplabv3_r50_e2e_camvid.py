# DeepLabV3-R50 trained end to end on CamVid: the twin of deeplabv3_r50_infopro_camvid.py.
_base_ = [
    '_base_/models/deeplabv3_r50.py',
    '_base_/datasets/camvid.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(360, 480)),
    decode_head=dict(num_classes=11),
    auxiliary_head=dict(num_classes=11))
