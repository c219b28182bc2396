"""A tiny classifier and its batches."""

import torch
from mmengine import ConfigDict
from mmpretrain.structures import DataSample

from tests.stand_ins import MEAN, STD

CLASSES = 3
SIZE = 24  # maps of 24, 24, 12 and 6 pixels: convolutions of local heads with stride 2 and with stride 1
CUTS = {1: (), 2: ('layer1.0',), 4: ('stem', 'layer1.0', 'layer2.0')}


def local_head(loss='softmax', num_convs=1, **kwargs):
    return {
        'type': 'InfoProHead',
        'decoder': {
            'type': 'ImageDecoder',
            'channels': 5,
            'loss_recon': {'type': 'ReconstructionLoss', 'loss_weight': (3.0, 1.0)},
        },
        'auxiliary_head': {
            'type': 'ConvClassifierHead',
            'num_classes': CLASSES,
            'num_convs': num_convs,
            'double_below': 8,
            'hidden_channels': 6,
            'loss': loss,
            'out_channels': 7,
            'loss_weight': (0.5, 2.0),
            **kwargs,
        },
    }


def model_config(modules=2, loss='softmax', **kwargs):
    head = local_head(loss)
    return ConfigDict(
        {
            'type': 'InfoProImageClassifier',
            'data_preprocessor': {'mean': MEAN, 'std': STD, 'to_rgb': True},
            'backbone': {
                'type': 'InfoProBackbone',
                'encoder': {'type': 'CifarResNet', 'depth': 8, 'base_channels': 4},
                'cuts': CUTS[modules],
                'local_head': head if modules > 1 else None,
            },
            'neck': {'type': 'mmpretrain.GlobalAveragePooling'},
            'head': {
                'type': 'mmpretrain.LinearClsHead',
                'num_classes': CLASSES,
                'loss': {'type': 'mmpretrain.CrossEntropyLoss'},
            },
            **kwargs,
        }
    )


def make_batch(count=8, seed=0, size=SIZE):
    random = torch.Generator().manual_seed(seed)
    inputs = [
        torch.randint(0, 256, (3, size, size), generator=random, dtype=torch.uint8) for _ in range(count)
    ]
    labels = [torch.tensor([index % CLASSES]) for index in range(count)]
    return {'inputs': inputs, 'data_samples': [DataSample(gt_label=label) for label in labels]}
