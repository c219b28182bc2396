# The local head of the paper (section 5): a decoder for I(h, x), a pixel-wise auxiliary head for I(h, y).
# A leaf puts it into its model: model = dict(backbone=dict(local_head={{_base_.local_head}}))
# loss_weight is lambda; a pair runs linearly from the first local module to the last, more values from each to the next.
local_head = dict(
    type='InfoProHead',
    stride=1,
    decoder=dict(
        type='ReconstructionDecoder',
        stride=1,
        channels=(128, 32, 12),
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        loss_recon=dict(type='ReconstructionLoss', loss_weight=1.5)),
    auxiliary_head=dict(
        type='FCNHead',
        channels=512,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)))
