# The paper's schedule (section 5): SGD, poly 0.9 to 1e-4, 40k iterations, 8 crops per iteration.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005))
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=40000, by_epoch=False)]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=40000, val_interval=4000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# lr fits this many crops per iteration over all GPUs; `--auto-scale-lr` adapts it to another number
auto_scale_lr = dict(enable=False, base_batch_size=8)
