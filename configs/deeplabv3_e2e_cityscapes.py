# The baseline of the paper's table 5: end-to-end (K = 1), batch 8 in all (4 on each of two GPUs), 40k.
# mIoU 79.12 (single scale) / 80.02 (multi-scale, flip) at 19.43 GB per GPU, as the paper reports.
_base_ = [
    '_base_/models/deeplabv3_r101.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
