# DeepLabV3-MobileNetV2 with InfoPro, K = 2, lean local head.
_base_ = ['./deeplabv3_mobilenetv2_e2e_cityscapes.py', '_base_/local_heads/lean.py']
model = dict(backbone=dict(cuts=('layer5.1',), local_head={{_base_.local_head}}))
