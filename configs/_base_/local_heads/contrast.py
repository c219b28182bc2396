# InfoPro (contrast): the decoder of the paper's local head, a pixel-wise contrastive auxiliary head.
# A leaf puts it into its model: model = dict(backbone=dict(local_head={{_base_.local_head}}))
# loss_weight is lambda; a pair runs linearly from the first local module to the last.
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
        type='ContrastiveHead',
        channels=512,
        num_convs=1,
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        temperature=0.07,
        pixels_per_class=64,
        loss_weight=1.0))
