# InfoPro (softmax): the paper's decoder and auxiliary head "1c2f".
# Reconstruction and classification have weights (lambda) of 1 in all modules.
local_head = dict(
    type='InfoProHead',
    decoder=dict(
        type='ImageDecoder',
        channels=12,
        norm_cfg=dict(type='BN', requires_grad=True),
        loss_recon=dict(type='ReconstructionLoss')),
    auxiliary_head=dict(
        type='ConvClassifierHead',
        num_convs=1,
        num_linear=2,
        double_below=64,
        num_classes=10,
        norm_cfg=dict(type='BN', requires_grad=True),
        loss='softmax'))
