# DeepLabV3-R50 with InfoPro, K = 2, lean local head.
_base_ = ['./deeplabv3_r50.py', '../local_heads/lean.py']
model = dict(backbone=dict(cuts=('layer3.4',), local_head={{_base_.local_head}}))
