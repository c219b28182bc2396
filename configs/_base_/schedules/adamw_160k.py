# AdamW over 160k iterations with a linear warm-up, as transformers are trained; norms are not decayed.
# The keys of paramwise_cfg match anywhere in a name, e.g. backbone.encoder.stages.0.blocks.0.norm1.weight.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(norm=dict(decay_mult=0.0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1500, end=160000, by_epoch=False),
]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# lr fits this many crops per iteration over all GPUs; `--auto-scale-lr` adapts it to another number
auto_scale_lr = dict(enable=False, base_batch_size=8)
