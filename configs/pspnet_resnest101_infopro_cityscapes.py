# PSPNet-ResNeSt101 with InfoPro, K = 2, lean local head.
_base_ = ['./pspnet_resnest101_e2e_cityscapes.py', '_base_/local_heads/lean.py']
model = dict(backbone=dict(cuts=('layer3.11',), local_head={{_base_.local_head}}))
