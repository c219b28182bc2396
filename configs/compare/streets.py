# For one GPU: DeepLabV3-R50 from scratch on 1024x512 streets, bf16.
# Meant to take about 25 minutes for all K of a method; not measured.
_base_ = [
    './methods.py',
    '../_base_/models/deeplabv3_r50.py',
    '../_base_/datasets/synthetic_streets.py',
    '../_base_/runtime.py',
]
model = dict(backbone=dict(encoder=dict(init_cfg=None)))
max_iters = 4000
optim_wrapper = dict(
    type='AmpOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0005))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=200, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=200, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=max_iters, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
train_dataloader = dict(batch_size=8)
default_hooks = dict(checkpoint=dict(interval=1000, max_keep_ckpts=1, save_best=None))
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])

comparison = dict(
    runs=dict(
        e2e=(1,),
        greedy=(2, 4),
        infopro=(2, 4),
        dgl=(2, 4),
        infopro_contrast=(2, 4),
        e2e_checkpointed=(1,)),
    seeds=(0,),
    cuts='even',  # the same for all methods; 'balanced' by memory differs with their local heads
    local_head=dict(),
    data=dict(train=2000, val=200, size=(512, 1024), seed=0))
