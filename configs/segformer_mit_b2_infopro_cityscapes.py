# SegFormer-B2 with InfoPro, K = 2, lean local head.
_base_ = ['./segformer_mit_b2_e2e_cityscapes.py', '_base_/local_heads/lean.py']
model = dict(backbone=dict(cuts=('layers.1.1.2',), local_head={{_base_.local_head}}))
