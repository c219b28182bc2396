# The suite camvid with SegFormer's head, which reads the outputs of four stages: what do features cost that no
# decode head trains, because their local module is an earlier one?
_base_ = './camvid.py'
model = dict(
    backbone=dict(encoder=dict(out_indices=(1, 2, 3, 4))),
    decode_head=dict(
        _delete_=True,
        type='SegformerHead',
        in_index=[0, 1, 2, 3],
        channels=128,
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode={{_base_.loss_decode}}),
    auxiliary_head=dict(in_index=2))
comparison = dict(runs=dict(_delete_=True, e2e=(1,), infopro=(4,), frozen_prefix=(1,)))
