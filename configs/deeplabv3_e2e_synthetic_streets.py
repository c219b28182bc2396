# deeplabv3_e2e_cityscapes.py on the synthetic streets: only the data set is another.
_base_ = [
    '_base_/models/deeplabv3_r101.py',
    '_base_/datasets/synthetic_streets.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
