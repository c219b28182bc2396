# Paper, table 5: InfoPro* K = 2, crops of 1280x640, batch 8 in all (4 on each of two GPUs), lr 0.015.
# mIoU 80.25 (single scale) / 81.42 (multi-scale, flip) at 17.00 GB per GPU, as the paper reports.
_base_ = [
    '_base_/models/deeplabv3_r101_infopro.py',
    '_base_/datasets/cityscapes_640x1280.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(640, 1280)),
    backbone=dict(
        cuts=('layer3.12',),
        local_head=dict(decoder=dict(loss_recon=dict(loss_weight=2.0)))))
optim_wrapper = dict(optimizer=dict(lr=0.015))
