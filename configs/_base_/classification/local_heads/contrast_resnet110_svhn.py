# The paper's weights: InfoPro (contrast), ResNet-110 on SVHN.
# They are of the first and the last local head, for each number of local modules.
_base_ = './contrast.py'
local_head = dict(
    decoder=dict(loss_recon=dict(loss_weight=dict(k2=1.0, k4=(5.0, 0.5), k8=(5.0, 0.5), k16=(5.0, 0.5)))),
    auxiliary_head=dict(loss_weight=dict(k2=0.1, k4=(0.0, 1.0), k8=(0.0, 2.0), k16=(0.2, 1.0))))
