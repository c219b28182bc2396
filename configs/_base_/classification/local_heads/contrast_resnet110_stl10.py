# The paper's weights: InfoPro (contrast), ResNet-110 on STL-10, K = 4; of the first and of the last local head.
_base_ = './contrast.py'
local_head = dict(
    decoder=dict(loss_recon=dict(loss_weight=(20.0, 5.0))),
    auxiliary_head=dict(loss_weight=(0.2, 2.0)))
