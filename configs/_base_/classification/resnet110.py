# ResNet-110: a stem and three stages of 18 blocks.
_base_ = './resnet32.py'
model = dict(backbone=dict(encoder=dict(depth=110)))
