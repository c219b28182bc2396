# DeepLabV3+-R101 with InfoPro, K = 2, lean local head.
_base_ = ['./deeplabv3plus_r101_e2e_cityscapes.py', '_base_/local_heads/lean.py']
model = dict(backbone=dict(cuts=('layer3.18',), local_head={{_base_.local_head}}))
