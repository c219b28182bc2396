# SegFormer-B2 trained end to end, as in stock mmseg: the twin of segformer_mit_b2_infopro_cityscapes.py.
_base_ = [
    '_base_/models/segformer_mit_b2.py',
    '_base_/datasets/cityscapes_1024x1024.py',
    '_base_/schedules/adamw_160k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(1024, 1024)),
    test_cfg=dict(mode='slide', crop_size=(1024, 1024), stride=(768, 768)))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0))))  # decode and local heads
