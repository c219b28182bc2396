# DeepLabV3-R50 with InfoPro on Cityscapes, K = 2, lean local head.
_base_ = [
    '_base_/models/deeplabv3_r50_infopro.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
