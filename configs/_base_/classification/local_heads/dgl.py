# Decoupled greedy learning (DGL; Belilovsky et al., ICML 2020), the paper's "2c2f".
local_head = dict(
    type='InfoProHead',
    auxiliary_head=dict(
        type='ConvClassifierHead',
        num_convs=2,
        num_linear=2,
        double_below=64,
        num_classes=10,
        norm_cfg=dict(type='BN', requires_grad=True),
        loss_weight=1.0))
