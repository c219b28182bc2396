# DeepLabV3+-R101 trained end to end, as in stock mmseg: the twin of deeplabv3plus_r101_infopro_cityscapes.py.
_base_ = [
    '_base_/models/deeplabv3_r101.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/80k.py',
    '_base_/runtime.py',
]
model = dict(decode_head=dict(type='DepthwiseSeparableASPPHead', c1_channels=48))
