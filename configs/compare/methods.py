# The training methods of the paper: what each sets in the InfoProBackbone of a suite's model.
# `local_head` names the file whose `local_head` trains the early modules; the suite sizes it.
# `asynchronous` trains one local module after the other, each as long as the others train at once.
methods = dict(
    e2e=dict(),
    e2e_checkpointed=dict(checkpoint=True),
    greedy=dict(local_head='{{ fileDirname }}/../_base_/local_heads/greedy.py'),
    dgl=dict(local_head='{{ fileDirname }}/../_base_/local_heads/dgl.py'),
    infopro=dict(local_head='{{ fileDirname }}/../_base_/local_heads/paper.py'),
    infopro_contrast=dict(local_head='{{ fileDirname }}/../_base_/local_heads/contrast.py'),
    infopro_async=dict(
        local_head='{{ fileDirname }}/../_base_/local_heads/paper.py', asynchronous=True),
    # what may close the gap at larger K; see docs/methods.md
    infopro_deeper_early=dict(local_head='{{ fileDirname }}/../_base_/local_heads/deeper_early.py'),
    infopro_momentum=dict(
        local_head='{{ fileDirname }}/../_base_/local_heads/paper.py',
        momentum_block=dict(momentum=0.995, learnable=True)),
    infopro_overlap=dict(local_head='{{ fileDirname }}/../_base_/local_heads/paper.py', overlap=1))
