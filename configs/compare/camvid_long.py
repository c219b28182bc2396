# The suite camvid with twice the iterations: do the methods come together or apart in longer trainings?
_base_ = './camvid.py'
max_iters = 1200
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=50, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)
comparison = dict(
    runs=dict(
        _delete_=True,
        e2e=(1,),
        infopro=(4, 2, 8),
        infopro_overlap=(4, 2, 8),
        infopro_auxiliary=(2,),
        infopro_async=(4, 2, 8),
        infopro_momentum=(4, 8),
        infopro_paper_weights=(4,),
        infopro_earlier_cut=(4,),
        e2e_no_auxiliary=(1,),
        frozen_prefix_long=(1,),
        greedy=(4, 2, 8),
        infopro_no_decoder=(4, 8),
        frozen_prefix=(1,),
        dgl=(4, 2, 8)))
