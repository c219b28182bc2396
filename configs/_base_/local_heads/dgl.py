# Decoupled greedy learning (DGL; Belilovsky et al., ICML 2020): no decoder, a deeper auxiliary head.
# A leaf puts it into its model: model = dict(backbone=dict(local_head={{_base_.local_head}}))
local_head = dict(
    type='InfoProHead',
    stride=1,
    auxiliary_head=dict(
        type='FCNHead',
        channels=512,
        num_convs=2,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)))
