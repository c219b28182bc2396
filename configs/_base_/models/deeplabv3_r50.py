# DeepLabV3-R50.
_base_ = './deeplabv3_r101.py'
model = dict(
    backbone=dict(encoder=dict(depth=50, init_cfg=dict(checkpoint='open-mmlab://resnet50_v1c'))))
