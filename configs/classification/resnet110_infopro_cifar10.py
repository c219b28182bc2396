# ResNet-110 on CIFAR-10: InfoPro (contrast), K = 4 balanced by memory (InfoPro*), with the paper's weights.
_base_ = [
    '../_base_/classification/resnet110.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/classification/runtime.py',
    '../_base_/classification/schedule_cifar.py',
    '../_base_/classification/local_heads/contrast_resnet110_cifar10.py',
]
model = dict(backbone=dict(cuts=(), num_modules=4, local_head={{_base_.local_head}}))
