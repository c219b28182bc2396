# DeepLabV3-R101 with InfoPro: the local head of the paper.
_base_ = ['./deeplabv3_r101.py', '../local_heads/paper.py']
model = dict(backbone=dict(local_head={{_base_.local_head}}))
