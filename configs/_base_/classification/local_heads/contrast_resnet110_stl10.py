# The paper's weights: InfoPro (contrast), ResNet-110 on STL-10.
# They are of the first and the last local head, for each number of local modules.
_base_ = './contrast.py'
local_head = dict(
    decoder=dict(loss_recon=dict(loss_weight=dict(k2=10.0, k4=(20.0, 5.0), k8=(20.0, 5.0), k16=(20.0, 10.0)))),
    auxiliary_head=dict(loss_weight=dict(k2=1.0, k4=(0.2, 2.0), k8=(0.2, 1.0), k16=(0.5, 0.1))))
