# Synthetic streets, 1024x512 images in Cityscapes layout.
_base_ = './cityscapes.py'
data_root = 'data/synthetic_streets'
data_howto = 'python tools/make_synthetic_streets.py --out data/synthetic_streets --train 2000 --val 200 --size 512 1024 --seed 0'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels', num_classes={{_base_.num_classes}}),
    dict(type='RandomResize', scale=(1024, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size={{_base_.crop_size}}, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='Resize', scale=(1024, 512), keep_ratio=True),
    dict(type='LoadLabels', num_classes={{_base_.num_classes}}),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
