# Whether the comparison runs at all: each method for a few iterations on a handful of images.
_base_ = './cpu.py'
data_root = 'data/synthetic_streets_smoke'
data_howto = 'python tools/make_synthetic_streets.py --out data/synthetic_streets_smoke --train 16 --val 4 --size 64 128 --seed 0'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
max_iters = 20
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters, val_interval=10)
default_hooks = dict(logger=dict(interval=5), checkpoint=dict(interval=10))
comparison = dict(
    runs=dict(
        greedy=(4,),
        dgl=(4,),
        infopro=(2, 4),
        infopro_contrast=(4,),
        e2e_checkpointed=(1,),
        infopro_async=(2,),
        infopro_deeper_early=(4,),
        infopro_momentum=(4,),
        infopro_overlap=(4,)),
    seeds=(0,),
    data=dict(train=16, val=4))
