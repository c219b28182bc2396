# Small synthetic streets for the demo, 256x128 images.
_base_ = './synthetic_streets.py'
data_root = 'data/synthetic_streets_demo'
data_howto = 'python tools/make_synthetic_streets.py --out data/synthetic_streets_demo --train 400 --val 50 --size 128 256 --seed 0'
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels', num_classes={{_base_.num_classes}}),
    dict(type='RandomCrop', crop_size=(96, 192)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels', num_classes={{_base_.num_classes}}),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=4, dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
