# Greedy supervised learning (the paper's "greedy SL"): a linear classifier of each pixel, nothing else.
# A leaf puts it into its model: model = dict(backbone=dict(local_head={{_base_.local_head}}))
local_head = dict(
    type='InfoProHead',
    stride=1,
    auxiliary_head=dict(
        type='FCNHead',
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=19,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=1.0)))
