# UPerNet-Swin-T trained end to end, as in stock mmseg: the twin of upernet_swin_t_infopro_cityscapes.py.
_base_ = [
    '_base_/models/upernet.py',
    '_base_/datasets/cityscapes.py',
    '_base_/schedules/adamw_160k.py',
    '_base_/runtime.py',
]
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='SwinTransformer',
            embed_dims=96,
            depths=[2, 2, 6, 2],
            num_heads=[3, 6, 12, 24],
            window_size=7,
            drop_path_rate=0.3,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/swin/'
                'swin_tiny_patch4_window7_224_20220317-1cdeb081.pth'))))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(relative_position_bias_table=dict(decay_mult=0.0))))
