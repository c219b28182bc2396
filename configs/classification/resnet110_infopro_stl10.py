# ResNet-110 on STL-10 (96x96) in a folder per class: InfoPro (contrast), K = 4 balanced by memory.
_base_ = [
    '../_base_/classification/resnet110.py',
    '../_base_/datasets/image_folders.py',
    '../_base_/classification/runtime.py',
    '../_base_/classification/schedule_stl10.py',
    '../_base_/classification/local_heads/contrast_resnet110_stl10.py',
]
data_root = 'data/stl10'
crop_size = (96, 96)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.RandomCrop', crop_size=96, padding=12, padding_mode='reflect'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='mmpretrain.PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 96)),
    dict(type='mmpretrain.PackInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(logger=dict(interval=39), checkpoint=dict(interval=390))
model = dict(backbone=dict(cuts=(), num_modules=4, local_head={{_base_.local_head}}))
