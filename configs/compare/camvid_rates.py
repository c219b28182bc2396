# The optimizer of the suite camvid, chosen end to end on val at half its length.
#   python tools/compare.py --suite camvid_rates --out work_dirs/compare_camvid_rates
_base_ = './camvid.py'
max_iters = 300
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=50, end=max_iters, by_epoch=False),
]
optim_wrapper = dict(optimizer=dict(_delete_=True))  # each method brings its own
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
custom_hooks = [dict(type='CheckpointGuardHook', allow_partial=True), dict(type='ResultsHook', split='val')]


def rate(lr, heads=1.0, class_weight=None, **optimizer):
    """End to end with a learning rate, and a multiple of it in the heads, which start from scratch."""
    if not optimizer:
        optimizer = dict(type='SGD', momentum=0.9, weight_decay=0.0005)
    keys = dict(decode_head=dict(lr_mult=heads), auxiliary_head=dict(lr_mult=heads))
    head = dict(loss_decode=dict(class_weight=class_weight))
    return dict(
        config=dict(
            model=dict(decode_head=head, auxiliary_head=head),
            optim_wrapper=dict(
                optimizer=dict(lr=lr, **optimizer), paramwise_cfg=dict(custom_keys=keys))))


def adamw(lr, heads=1.0, class_weight=None):
    """AdamW with a learning rate."""
    return rate(lr, heads, class_weight, type='AdamW', weight_decay=0.01)


# ENet's weights, 1 / ln(1.02 + share of the class in train), scaled so that the mean over pixels is 1
class_weight = [0.80, 0.61, 4.79, 0.48, 2.21, 1.25, 4.50, 4.57, 1.83, 5.43, 6.27]


methods = dict(
    sgd_003=rate(0.03),
    sgd_01=rate(0.1),
    sgd_003_heads_10=rate(0.03, 10.0),
    adamw_0003=adamw(0.0003),
    adamw_0003_heads_10=adamw(0.0003, 10.0),
    adamw_001=adamw(0.001),
    adamw_001_heads_3=adamw(0.001, 3.0),
    adamw_001_heads_3_weighted=adamw(0.001, 3.0, class_weight),
    adamw_002_heads_3_weighted=adamw(0.002, 3.0, class_weight),
    sgd_01_heads_3_weighted=rate(0.1, 3.0, class_weight))
comparison = dict(runs=dict(_delete_=True, **{name: (1,) for name in methods}), seeds=(0,))
