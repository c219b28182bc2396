# Paper, table 5: InfoPro* K = 2, batch 12 in all (6 on each of two GPUs), lr 0.015, weights (1, 0.1).
# mIoU 79.99 (single scale) / 81.20 (multi-scale, flip) at 16.62 GB per GPU, as the paper reports.
_base_ = './deeplabv3_infopro_cityscapes.py'
model = dict(
    backbone=dict(
        local_head=dict(
            decoder=dict(loss_recon=dict(loss_weight=1.0)),
            auxiliary_head=dict(loss_decode=dict(loss_weight=0.1)))))
train_dataloader = dict(batch_size=6)
optim_wrapper = dict(optimizer=dict(lr=0.015))
auto_scale_lr = dict(base_batch_size=12)
