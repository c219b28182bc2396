# DeepLabV3-R50 trained end to end on Potsdam: the twin of deeplabv3_r50_infopro_potsdam.py.
_base_ = [
    '_base_/models/deeplabv3_r50.py',
    '_base_/datasets/potsdam.py',
    '_base_/schedules/80k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=6),
    auxiliary_head=dict(num_classes=6))
auto_scale_lr = dict(base_batch_size=16)
