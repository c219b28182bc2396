# Images in a folder per class: DATA_ROOT/train/CLASS/IMAGE.png and DATA_ROOT/test/CLASS/IMAGE.png.
# A leaf sets data_root, and pipelines for other sizes.
data_root = 'data/images'
data_howto = 'put the images into a folder for each class, see docs/classification.md'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.RandomCrop', crop_size=32, padding=4, padding_mode='reflect'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(32, 32)),
    dict(type='mmpretrain.PackInputs'),
]
collate_fn = dict(type='default_collate')  # workers hand over a batch as one tensor, not image by image
train_dataloader = dict(
    batch_size=1024,
    num_workers=4,
    persistent_workers=True,
    collate_fn=collate_fn,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmpretrain.CustomDataset',
        data_root=data_root,
        data_prefix='train',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=500,
    num_workers=4,
    persistent_workers=True,
    collate_fn=collate_fn,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmpretrain.CustomDataset',
        data_root=data_root,
        data_prefix='test',
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmpretrain.Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
