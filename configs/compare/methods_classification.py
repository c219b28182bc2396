# The training methods of the paper for classifiers, as methods.py has them for segmentors.
# `by_modules` is what a local head takes for a number of local modules: here the paper's loss weights of
# ResNet-32 on CIFAR-10 (contrast), for the first and for the last local head. The paper's weights for
# softmax are not known; it gets the same.


def weights(recon, task):
    """The weights of reconstruction and classification; a pair runs from the first local head to the last."""
    return dict(
        decoder=dict(loss_recon=dict(loss_weight=recon)), auxiliary_head=dict(loss_weight=task))


by_modules = dict(
    k2=weights(5.0, 1.0),
    k4=weights((6.0, 1.0), (0.0, 2.0)),
    k8=weights((5.0, 0.0), (0.0, 2.0)),
    k16=weights((5.0, 0.2), (0.05, 0.5)))
methods = dict(
    e2e=dict(),
    greedy=dict(local_head='{{ fileDirname }}/../_base_/classification/local_heads/greedy.py'),
    dgl=dict(local_head='{{ fileDirname }}/../_base_/classification/local_heads/dgl.py'),
    infopro=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/softmax.py',
        by_modules=by_modules),
    infopro_constant=dict(  # both tasks weigh the same in all modules
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/softmax.py',
        by_modules={f'k{count}': weights(1.0, 1.0) for count in (2, 4, 8, 16)}),
    infopro_dgl_head=dict(  # DGL with a decoder: the same auxiliary head and weight of the classification
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/softmax.py',
        by_modules={
            f'k{count}': dict(
                decoder=dict(loss_recon=dict(loss_weight=1.0)),
                auxiliary_head=dict(num_convs=2, loss_weight=1.0))
            for count in (2, 4, 8, 16)
        }),
    infopro_contrast=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/contrast.py',
        by_modules=by_modules),
    infopro_contrast_constant=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/contrast.py',
        by_modules={f'k{count}': weights(1.0, 1.0) for count in (2, 4, 8, 16)}),
    infopro_no_decoder=dict(
        local_head='{{ fileDirname }}/../_base_/classification/local_heads/no_decoder.py'))
