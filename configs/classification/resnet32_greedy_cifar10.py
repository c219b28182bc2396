# ResNet-32 on CIFAR-10: greedy supervised learning, K = 16 (paper, Table 2).
# Fewer modules: --cfg-options "model.backbone.cuts=('layer2.1',)" for K = 2;
# configs/compare/cifar10.py has the paper's cuts of each K.
_base_ = ['./resnet32_e2e_cifar10.py', '../_base_/classification/local_heads/greedy.py']
model = dict(
    backbone=dict(
        cuts=('stem',
              'layer1.0', 'layer1.1', 'layer1.2', 'layer1.3', 'layer1.4',
              'layer2.0', 'layer2.1', 'layer2.2', 'layer2.3', 'layer2.4',
              'layer3.0', 'layer3.1', 'layer3.2', 'layer3.3'),
        local_head={{_base_.local_head}}))
