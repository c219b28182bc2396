# Greedy supervised learning (the paper's "0c1f"): pooling and one linear layer.
local_head = dict(
    type='InfoProHead',
    auxiliary_head=dict(
        type='ConvClassifierHead', num_convs=0, num_linear=1, num_classes=10, loss_weight=1.0))
