# OCRNet-HRNet48 trained end to end, as in stock mmseg: the twin of ocrnet_hr48_infopro_cityscapes.py.
_base_ = [
    '_base_/models/ocrnet_hr48.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/80k.py',
    '_base_/runtime.py',
]
