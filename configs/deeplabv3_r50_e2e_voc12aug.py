# DeepLabV3-R50 trained end to end on VOC 2012 aug: the twin of deeplabv3_r50_infopro_voc12aug.py.
_base_ = [
    '_base_/models/deeplabv3_r50.py',
    '_base_/datasets/voc12aug.py',
    '_base_/schedules/40k.py',
    '_base_/runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    decode_head=dict(num_classes=21),
    auxiliary_head=dict(num_classes=21))
auto_scale_lr = dict(base_batch_size=16)
