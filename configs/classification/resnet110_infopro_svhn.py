# ResNet-110 on SVHN in a folder per class: InfoPro (contrast), K = 4 balanced by memory.
_base_ = [
    '../_base_/classification/resnet110.py',
    '../_base_/datasets/image_folders.py',
    '../_base_/classification/runtime.py',
    '../_base_/classification/schedule_cifar.py',
    '../_base_/classification/local_heads/contrast_resnet110_svhn.py',
]
data_root = 'data/svhn'
train_pipeline = [  # digits are not flipped
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.RandomCrop', crop_size=32, padding=4, padding_mode='reflect'),
    dict(type='mmpretrain.PackInputs'),
]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
model = dict(backbone=dict(cuts=(), num_modules=4, local_head={{_base_.local_head}}))
