# OCRNet-HRNet48 with InfoPro, K = 2, lean local head.
_base_ = ['./ocrnet_hr48_e2e_cityscapes.py', '_base_/local_heads/lean.py']
model = dict(backbone=dict(cuts=('stage4.0',), local_head={{_base_.local_head}}))
