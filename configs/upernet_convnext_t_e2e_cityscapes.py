# UPerNet-ConvNeXt-T trained end to end, as in stock mmseg: the twin of upernet_convnext_t_infopro_cityscapes.py.
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
            type='mmpretrain.ConvNeXt',  # pip install onedl-mmpretrain
            arch='tiny',
            out_indices=[0, 1, 2, 3],
            drop_path_rate=0.4,
            layer_scale_init_value=1.0,
            gap_before_final_norm=False,
            init_cfg=dict(
                type='Pretrained',
                prefix='backbone.',
                checkpoint='https://mmassets.onedl.ai/mmclassification/v0/convnext/downstream/'
                'convnext-tiny_3rdparty_32xb128-noema_in1k_20220301-795e9634.pth'))))
optim_wrapper = dict(
    constructor='LocalLearningRateDecayConstructor',
    optimizer=dict(lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(_delete_=True, decay_rate=0.9, decay_type='stage_wise', num_layers=6))
