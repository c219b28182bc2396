# Your own images and masks. Edit the lines down to "that is all"; docs/custom_dataset.md explains them.
#
#   python tools/check_dataset.py configs/custom_dataset.py    # is the data as it should be?
#   python tools/train.py configs/custom_dataset.py
_base_ = [
    '_base_/models/deeplabv3_r101_infopro.py',
    '_base_/runtime.py',
]

# The classes: a pixel of value 0 in a mask is the first, 1 the second, and so on; 255 is ignored.
classes = ('background', 'leaf', 'stem')
# The colour (red, green, blue) in which each class is drawn.
palette = [(60, 60, 60), (90, 200, 70), (230, 150, 40)]

# Where the files are, and how their names end; photo 17 of the training split would be
#   data/custom/images/train/17.jpg  with its mask  data/custom/masks/train/17.png
data_root = 'data/custom'
train_images, train_masks = 'images/train', 'masks/train'
val_images, val_masks = 'images/val', 'masks/val'
img_suffix = '.jpg'
seg_map_suffix = '.png'

# Images are scaled to fit this width and height before a random crop is cut out of them (half to twice as
# large in training). Something near the size of your images is right.
image_size = (1024, 512)
crop_size = (512, 512)  # height and width; smaller needs less memory
batch_size = 4  # crops per GPU; smaller needs less memory, but take 2 or more
max_iters = 20000
# That is all: nothing below needs an edit.

num_classes = len(classes)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        cuts=('layer3.12',),
        local_head=dict(auxiliary_head=dict(num_classes=num_classes))),
    decode_head=dict(num_classes=num_classes),
    auxiliary_head=dict(num_classes=num_classes))
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLabels', num_classes=num_classes),
    dict(type='RandomResize', scale=image_size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='Resize', scale=image_size, keep_ratio=True),
    dict(type='LoadLabels', num_classes=num_classes),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='BaseSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path=train_images, seg_map_path=train_masks),
        img_suffix=img_suffix,
        seg_map_suffix=seg_map_suffix,
        metainfo=dict(classes=classes, palette=palette),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path=val_images, seg_map_path=val_masks),
        img_suffix=img_suffix,
        seg_map_suffix=seg_map_suffix,
        metainfo=dict(classes=classes, palette=palette),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005))
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters=max_iters, val_interval=max(max_iters // 10, 1))
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(checkpoint=dict(interval=max(max_iters // 10, 1)))
# lr fits this many crops per iteration over all GPUs; `--auto-scale-lr` adapts it to another number
auto_scale_lr = dict(enable=False, base_batch_size=8)
