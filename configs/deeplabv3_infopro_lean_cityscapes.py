# A third of the memory of deeplabv3_e2e_cityscapes.py, as predicted (docs/memory.md): K = 4, cuts balanced by
# memory when the training starts, lean local heads and losses. Batch 8 in all (4 on each of two GPUs), 40k
# iterations.
_base_ = [
    '_base_/models/deeplabv3_r101_lean.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(backbone=dict(num_modules=4))
