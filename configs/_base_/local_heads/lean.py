# The local head of the paper at a fraction of its memory and FLOPs: it reconstructs at a quarter and
# classifies at an eighth of the resolution, with a quarter of the width.
# A leaf puts it into its model: model = dict(backbone=dict(local_head={{_base_.local_head}}))
# loss_weight is lambda; a pair runs linearly from the first local module to the last, more values from each to the next.
local_head = dict(
    type='InfoProHead',
    stride=8,
    decoder=dict(
        type='ReconstructionDecoder',
        channels=(64, 16),
        stride=4,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        loss_recon=dict(type='ReconstructionLoss', loss_weight=1.5)),
    auxiliary_head=dict(
        type='FCNHead',
        channels=128,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=True,
        loss_decode=dict(type='LeanCrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)))
