# InfoPro (contrast): the decoder of the paper's local head, a pixel-wise contrastive auxiliary head.
# A leaf puts it into its model: model = dict(backbone=dict(local_head={{_base_.local_head}}))
_base_ = './paper.py'
local_head = dict(
    auxiliary_head=dict(
        _delete_=True,
        type='ContrastiveHead',
        channels=512,
        num_convs=1,
        num_classes=19,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        temperature=0.07,
        pixels_per_class=64,
        loss_weight=1.0))
