# DeepLabV3-R101 with InfoPro in as little memory as it gets without recomputing convolutions: the lean
# local head, cross-entropy that never holds the full-resolution logits of a batch, and heads that recompute
# norms and activations. Gradients of the decode head are those of the stock loss.
_base_ = ['./deeplabv3_r101.py', '../local_heads/lean.py']
model = dict(
    backbone=dict(local_head={{_base_.local_head}}, checkpoint_heads=True),
    decode_head=dict(loss_decode=dict(type='LeanCrossEntropyLoss')),
    auxiliary_head=dict(loss_decode=dict(type='LeanCrossEntropyLoss')))
