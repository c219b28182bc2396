# DeepLabV3-R50 trained end to end on Cityscapes: the twin of deeplabv3_r50_infopro_cityscapes.py.
_base_ = [
    '_base_/models/deeplabv3_r50.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
