# DeepLabV3-R50 with InfoPro on Potsdam, K = 2, lean local head.
_base_ = [
    '_base_/models/deeplabv3_r50_infopro.py',
    '_base_/datasets/potsdam.py',
    '_base_/schedules/80k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        cuts=('layer3.3',),
        local_head=dict(auxiliary_head=dict(num_classes=6))),
    decode_head=dict(num_classes=6),
    auxiliary_head=dict(num_classes=6))
auto_scale_lr = dict(base_batch_size=16)
