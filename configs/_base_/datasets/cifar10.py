# CIFAR-10 by mmpretrain, which downloads it on first use; padded by reflection, cropped and flipped.
data_root = 'data/cifar10'
data_howto = 'download cifar-10-python.tar.gz (https://www.cs.toronto.edu/~kriz/cifar.html) and unpack it into data/cifar10'
train_pipeline = [
    dict(type='mmpretrain.RandomCrop', crop_size=32, padding=4, padding_mode='reflect'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [dict(type='Resize', scale=(32, 32)), dict(type='mmpretrain.PackInputs')]
collate_fn = dict(type='default_collate')  # workers hand over a batch as one tensor, not image by image
train_dataloader = dict(
    batch_size=1024,
    num_workers=4,
    persistent_workers=True,
    collate_fn=collate_fn,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='mmpretrain.CIFAR10', data_root=data_root, split='train', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=500,
    num_workers=4,
    persistent_workers=True,
    collate_fn=collate_fn,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmpretrain.CIFAR10', data_root=data_root, split='test', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmpretrain.Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
