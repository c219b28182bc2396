# UPerNet-ConvNeXt-T with InfoPro, K = 2, lean local head.
_base_ = ['./upernet_convnext_t_e2e_cityscapes.py', '_base_/local_heads/lean.py']
model = dict(backbone=dict(cuts=('stages.2.7',), local_head={{_base_.local_head}}))
