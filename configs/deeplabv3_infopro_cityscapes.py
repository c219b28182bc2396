# Paper, table 5: DeepLabV3-R101, InfoPro* K = 2, batch 8 in all (4 on each of two GPUs), 40k iterations.
# mIoU 79.37 (single scale) / 80.54 (multi-scale, flip) at 12.01 GB per GPU, as the paper reports.
_base_ = [
    '_base_/models/deeplabv3_r101_infopro.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(backbone=dict(cuts=('layer3.12',)))
