# ResNet-32 on a fifth of CIFAR-10's training images, small enough for a core: the paper's Table 2 in kind.
# The images are those of data/cifar10_jpeg.npz, which are recompressed as JPEG: say so beside every figure.
_base_ = [
    './methods_classification.py',
    '../_base_/classification/resnet32.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/classification/runtime.py',
]
data_root = 'data/cifar10_jpeg.npz'
data_howto = 'see docs/classification.md, "Images in one file"'
model = dict(channels_last=True)
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='EncodedImages',
        data_file=data_root,
        split='train',
        per_class=1000,
        pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(
    batch_size=500,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='EncodedImages',
        data_file=data_root,
        split='test',
        pipeline={{_base_.test_pipeline}}))
test_dataloader = val_dataloader
max_iters = 400
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.0005))
param_scheduler = [  # one cycle: up in a quarter of the iterations, down in the others
    dict(type='LinearLR', start_factor=0.1, begin=0, end=max_iters // 4, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        begin=max_iters // 4,
        end=max_iters,
        T_max=max_iters - max_iters // 4,
        by_epoch=False),
]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=100, max_keep_ckpts=1, save_best=None))
custom_hooks = [dict(type='CheckpointGuardHook'), dict(type='ResultsHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])

blocks = [f'layer{stage}.{block}' for stage in (1, 2, 3) for block in range(5)]
comparison = dict(
    metric='accuracy/top1',
    runs=dict(  # numbers of local modules of each method; the ends of the claim first
        e2e=(1,),
        greedy=(16, 2, 4),
        dgl=(16, 2, 4),
        infopro=(16, 2, 4),
        infopro_contrast=(16, 2, 4),
        infopro_no_decoder=(16,)),
    seeds=(0, 1, 2),
    cuts=[  # those of the paper, for K = 2, 4, 8, 16
        ['layer2.1'],
        ['layer1.2', 'layer2.1', 'layer3.0'],
        ['layer1.0', 'layer1.2', 'layer1.4', 'layer2.1', 'layer2.3', 'layer3.0', 'layer3.2'],
        ['stem', *blocks[:-1]],
    ],
    local_head=dict())
