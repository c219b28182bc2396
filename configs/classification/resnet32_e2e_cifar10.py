# ResNet-32 on CIFAR-10, end to end (paper, Table 2).
_base_ = [
    '../_base_/classification/resnet32.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/classification/runtime.py',
    '../_base_/classification/schedule_cifar.py',
]
