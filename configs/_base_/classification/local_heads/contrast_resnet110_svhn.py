# The paper's weights: InfoPro (contrast), ResNet-110 on SVHN, K = 4; of the first and of the last local head.
_base_ = './contrast.py'
local_head = dict(
    decoder=dict(loss_recon=dict(loss_weight=(5.0, 0.5))),
    auxiliary_head=dict(loss_weight=(0.0, 1.0)))
