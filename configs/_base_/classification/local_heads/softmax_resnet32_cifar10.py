# The paper's weights of the contrastive task, ResNet-32 on CIFAR-10; those for softmax are not known.
# They are of the first and the last local head, for each number of local modules.
_base_ = './softmax.py'
local_head = dict(
    decoder=dict(loss_recon=dict(loss_weight=dict(k2=5.0, k4=(6.0, 1.0), k8=(5.0, 0.0), k16=(5.0, 0.2)))),
    auxiliary_head=dict(loss_weight=dict(k2=1.0, k4=(0.0, 2.0), k8=(0.0, 2.0), k16=(0.05, 0.5))))
