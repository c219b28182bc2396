# The suite cpu with twice the iterations: do the methods come together or apart in longer trainings?
_base_ = './cpu.py'
max_iters = 6000
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=100, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)

comparison = dict(runs=dict(_delete_=True, e2e=(1,), greedy=(8,), infopro=(8,), dgl=(8,)))
