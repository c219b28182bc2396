# The paper's weights of ResNet-32 on CIFAR-10 (contrast), K = 16: of the first and of the last local head.
_base_ = './contrast.py'
local_head = dict(
    decoder=dict(loss_recon=dict(loss_weight=(5.0, 0.2))),
    auxiliary_head=dict(loss_weight=(0.05, 0.5)))
