# The paper's weights: InfoPro (contrast), ResNet-101 on ImageNet, K = 2; of the first and of the last local head.
_base_ = './contrast.py'
local_head = dict(
    decoder=dict(loss_recon=dict(loss_weight=5.0)),
    auxiliary_head=dict(loss_weight=0.75, num_classes=1000, double_below=0, channels=512))
