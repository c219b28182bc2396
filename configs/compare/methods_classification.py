# The training methods of the paper for classifiers, as methods.py has them for segmentors.
methods = dict(
    e2e=dict(),
    greedy=dict(local_head='{{ fileDirname }}/../_base_/classification/local_heads/greedy.py'),
    dgl=dict(local_head='{{ fileDirname }}/../_base_/classification/local_heads/dgl.py'),
    infopro=dict(  # the paper's weights of the contrastive task
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/softmax_resnet32_cifar10.py'),
    infopro_constant=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/softmax.py'),
    infopro_dgl_head=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/dgl_decoder.py'),
    infopro_contrast=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/contrast_resnet32_cifar10.py'),
    infopro_contrast_constant=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/contrast.py'),
    infopro_no_decoder=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/no_decoder.py'))
