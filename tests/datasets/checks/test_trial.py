"""Pipelines that lack a step, or have it in the wrong place, are refused before anything is trained."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import MMLogger
from mmseg.models import BaseSegmentor
from mmseg.registry import DATASETS

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.padding import require_unpadded
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import UserError
from infopro_seg.evaluation.pipelines import without_labels
from infopro_seg.inference import Predictor
from tests.datasets.pairs import CLASSES, leaf, make, mask, save

LOAD, LABELS = {'type': 'LoadImage'}, {'type': 'LoadLabels', 'num_classes': len(CLASSES)}
RESIZE, PACK = {'type': 'Resize', 'scale': (60, 40), 'keep_ratio': True}, {'type': 'PackSegInputs'}
FLIPPED = {'type': 'RandomFlip', 'prob': 1.0}
UNTOLD = {'type': 'PackSegInputs', 'meta_keys': ('img_path', 'ori_shape', 'img_shape')}
FLIP, CROP = {'type': 'RandomFlip', 'prob': 0.5}, {'type': 'RandomCrop', 'crop_size': (16, 16)}
RANDOM = {'type': 'RandomResize', 'scale': 64, 'ratio_range': (0.5, 2.0)}
NORMALIZE = {'type': 'Normalize', 'mean': [120] * 3, 'std': [60] * 3}
GOOD = {'train': [LOAD, LABELS, RESIZE, CROP, FLIP, PACK], 'val': [LOAD, RESIZE, LABELS, PACK]}


@pytest.fixture
def root(tmp_path):
    return make(tmp_path, 2)


def config(root, split, pipeline, preprocessor=None, evaluator='ClassIoUMetric'):
    data_preprocessor = {
        **{'type': 'SegDataPreProcessor', 'size': (16, 16), 'mean': [120] * 3, 'std': [60] * 3},
        **(preprocessor or {}),
    }
    return Config(
        {
            'model': {'data_preprocessor': data_preprocessor},
            f'{split}_dataloader': {'dataset': leaf(root, split, pipeline=pipeline)},
            f'{split}_evaluator': {'type': evaluator},
        }
    )


@pytest.mark.parametrize('split', GOOD)
def test_usual_pipelines_pass_and_leave_random_numbers_alone(root, split):
    before = np.random.get_state()[1].copy()
    require_data(config(root, split, GOOD[split]), (split,))
    assert np.array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize(
    ('split', 'pipeline', 'words'),
    [
        ('train', [LOAD, LABELS, CROP], r"does not pack its results .*; end it with dict\(type='PackSegIn"),
        ('train', [LOAD, CROP, PACK], r"train data set BaseSegDataset loads no labels; add dict"),
        ('train', [LOAD, RESIZE, LABELS, CROP, PACK], 'has Resize before it loads the labels, which'),
        ('train', [LOAD, FLIP, LABELS, CROP, PACK], 'has RandomFlip before it loads the labels'),
        ('train', [LOAD, LABELS, CROP, NORMALIZE, PACK], 'normalises the images, and model.data_preproc'),
        ('train', [LOAD, LABELS, RANDOM, PACK], r'cannot process \S+0.png: NotImplementedError: .*scale=\('),
        ('val', [LOAD, RESIZE, PACK], 'the val data set BaseSegDataset loads no labels'),
        ('val', [LOAD, LABELS, RESIZE, PACK], 'labels of 40x60 pixels for an image of 20x30: .*after'),
        ('val', [LOAD, RESIZE, LABELS, NORMALIZE, PACK], 'normalises the images'),
        ('val', [LOAD, LABELS, FLIP, PACK], 'has RandomFlip after it loads the labels: predictions are fl'),
    ],
)  # fmt: skip
def test_pipelines_that_fail_later_or_silently_are_refused(root, split, pipeline, words):
    with pytest.raises(UserError, match=words):
        require_data(config(root, split, pipeline), (split,))


@pytest.mark.parametrize(
    ('pipeline', 'right'),
    [
        ([LOAD, FLIPPED, LABELS, PACK], True),
        ([LOAD, LABELS, FLIPPED, PACK], False),
        ([LOAD, LABELS, FLIPPED, UNTOLD], True),
    ],
)
def test_flips_of_a_validation_are_refused_where_mmseg_would_score_a_perfect_network_wrongly(
    root, pipeline, right
):
    """mmseg's own classes tell: a perfect network gives the labels of the image that it gets."""
    built = DATASETS.build(leaf(root, 'val', pipeline=pipeline))
    sample = built[0]['data_samples']
    seen = torch.from_numpy(mask()[:, ::-1].copy()).long()
    logits = one_hot(seen)
    own = SimpleNamespace(align_corners=False, decode_head=SimpleNamespace(threshold=None))
    [result] = BaseSegmentor.postprocess_result(own, logits, [sample.clone()])
    assert right == torch.equal(result.pred_sem_seg.data, sample.gt_sem_seg.data)
    with nullcontext() if right else pytest.raises(UserError, match='RandomFlip after it loads the labels'):
        require_data(config(root, 'val', pipeline), ('val',))
    require_data(config(root, 'val', pipeline, evaluator='LabelFreeMetric'), ('val',))


@pytest.mark.parametrize(
    'never', [{'prob': 0.0}, {'prob': [0.0] * 2, 'direction': ['horizontal', 'vertical']}]
)
def test_a_flip_that_never_happens_passes(root, never):
    require_data(config(root, 'val', [LOAD, LABELS, {'type': 'RandomFlip', **never}, PACK]), ('val',))


@pytest.mark.parametrize('ignored', [{'ignore_index': 0}, {'ignore_index': 255}, {}])
def test_a_metric_ignores_what_is_no_class(root, ignored):
    made = config(root, 'val', GOOD['val'])
    made.val_evaluator.update(ignored)
    require_data(made, ('val',))
    labels = mask()
    labels[:, 20:] = 255
    save(root / 'masks/val/0.png', labels)
    wrong = ignored == {'ignore_index': 0}
    words = 'gives the label 255, which is not a class, but ClassIoUMetric has ignore_index=0'
    with pytest.raises(UserError, match=words) if wrong else nullcontext():
        require_data(made, ('val',))


PADDED = {'type': 'Pad', 'size_divisor': 16}


@pytest.mark.parametrize(
    ('pipeline', 'right'),
    [
        ([LOAD, PADDED, LABELS, PACK], False),
        ([LOAD, RESIZE, PADDED, LABELS, PACK], False),
        ([LOAD, LABELS, PADDED, PACK], False),
        ([LOAD, {'type': 'Pad', 'size_divisor': 10}, LABELS, PACK], True),
        ([LOAD, {'type': 'ResizeToMultiple', 'size_divisor': 16}, PADDED, LABELS, PACK], True),
        ([LOAD, {'type': 'Resize', 'scale': (64, 64)}, PADDED, LABELS, PACK], True),
    ],
)
def test_padding_is_refused_where_mmseg_would_score_a_perfect_network_wrongly(root, pipeline, right):
    built = DATASETS.build(leaf(root, 'val', pipeline=pipeline))
    sample = built[0]
    logits = one_hot(of_colours(sample['inputs']))
    own = SimpleNamespace(align_corners=False, decode_head=SimpleNamespace(threshold=None))
    [result] = BaseSegmentor.postprocess_result(own, logits, [sample['data_samples'].clone()])
    truth = torch.from_numpy(mask())[None]
    assert right == ((result.pred_sem_seg.data == truth).float().mean() > 0.97)
    with nullcontext() if right else pytest.raises(UserError, match=r'has Pad, .*; leave Pad out'):
        require_data(config(root, 'val', pipeline), ('val',))
    steps = without_labels(pipeline)
    predictor = SimpleNamespace(pipeline=Compose(steps), steps=steps)
    with nullcontext() if right else pytest.raises(UserError, match='the test pipeline has Pad'):
        Predictor.prepare(predictor, root / 'images/val/0.png')


def one_hot(labels):
    return torch.nn.functional.one_hot(labels, len(CLASSES)).permute(2, 0, 1)[None].float()


def of_colours(image):
    """What a perfect network sees: the class of each pixel, which the red of `photograph` tells."""
    return ((image[2].float() / 100).round()).long()


def test_a_preprocessor_needs_one_way_to_pad(root):
    for preprocessor in ({'size': None}, {'size_divisor': 32}):
        with pytest.raises(UserError, match='needs one of them to pad the crops of a batch'):
            require_data(config(root, 'train', GOOD['train'], preprocessor), ('train',))
    with pytest.raises(UserError, match='has size=16; write the height and width'):
        require_data(config(root, 'train', GOOD['train'], {'size': 16}), ('train',))


@pytest.mark.parametrize(
    ('preprocessor', 'words'),
    [
        ({'pad_val': '0'}, "pad_val='0' of model.data_preprocessor is a str; write a number"),
        ({'seg_pad_val': None}, 'seg_pad_val=None of .* pads labels with 0, a class; write 255'),
        ({'std': 0}, 'std=0 of model.data_preprocessor'),
        ({'std': [60, -1, 60]}, r'std=\[60, -1, 60\] of model.data_preprocessor'),
        ({'std': [60, 0, 60]}, r'std=\[60, 0, 60\] of model.data_preprocessor: images are divided by it'),
    ],
)
def test_what_an_image_is_normalised_and_padded_with_is_a_number(root, preprocessor, words):
    with pytest.raises(UserError, match=words):
        require_data(config(root, 'train', GOOD['train'], preprocessor), ('train',))


@pytest.mark.parametrize(
    'preprocessor',
    [{'pad_val': None}, {'mean': None}, {'mean': None, 'std': [0, 0, 0]}, {'mean': 127.5, 'std': 60}],
)
def test_what_mmseg_takes_or_does_not_use_is_left_alone(root, preprocessor):
    require_data(config(root, 'train', GOOD['train'], preprocessor), ('train',))


@pytest.mark.parametrize(
    ('mean', 'std', 'warned'),
    [
        ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 'both'),  # ImageNet's, as torchvision has them
        ([123.675, 116.28, 103.53], [0.229, 0.224, 0.225], 'std'),
        ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], False),
        ([123.675, 116.28, 103.53], [1.0, 1.0, 1.0], False),  # Caffe's
        ([0, 0, 0], [1, 1, 1], False),
        ([0, 0, 0], [255, 255, 255], False),
        (None, None, False),
    ],
)
def test_a_mean_of_images_from_0_to_1_is_warned_of(root, mean, std, warned, monkeypatch):
    told = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', told.append)
    require_data(config(root, 'train', GOOD['train'], {'mean': mean, 'std': std}), ('train',))
    assert ['from 0 to 1, but ' in text and text.endswith(f'multiply {warned} by 255') for text in told] == (
        [True] * bool(warned)
    )


@pytest.mark.parametrize('split', GOOD)
def test_an_image_too_narrow_to_be_resized_is_named(root, split):
    save(root / f'images/{split}/1.png', np.zeros((1, 500, 3), np.uint8))
    save(root / f'masks/{split}/1.png', np.zeros((1, 500), np.uint8))
    with pytest.raises(UserError, match=rf'cannot process \S+{split}/1.png: .*; remove the image'):
        require_data(config(root, split, GOOD[split]), (split,))


def test_what_others_complete_or_the_user_defines_is_not_judged(root):
    unpacked = config(root, 'train', [LOAD, LABELS])
    dataset = unpacked.train_dataloader.dataset
    unpacked.train_dataloader.dataset = {
        'type': 'MultiImageMixDataset',
        'dataset': dataset,
        'pipeline': [PACK],
    }
    require_data(unpacked, ('train',))
    require_data(config(root, 'val', [LOAD, RESIZE, PACK], evaluator='LabelFreeMetric'), ('val',))
    require_data(config(root, 'train', [LOAD, LABELS], {'type': 'OwnPreProcessor'}), ('train',))


@pytest.mark.parametrize(
    ('padded', 'right'), [([], True), ([{'type': 'Pad', 'size_divisor': 5}], True), ([PADDED], False)]
)
def test_padding_of_variants_is_refused_too(root, padded, right):
    resized = [{'type': 'Resize', 'scale_factor': factor, 'keep_ratio': True} for factor in (0.5, 1.0)]
    variants = {'type': 'TestTimeAug', 'transforms': [resized, *([pad] for pad in padded), [LABELS], [PACK]]}
    with nullcontext() if right else pytest.raises(UserError, match=r'has Pad, .*; leave Pad out'):
        require_data(config(root, 'val', [LOAD, variants]), ('val',))


def test_steps_of_the_users_own_are_not_judged(root):
    sample = DATASETS.build(leaf(root, 'val', pipeline=[LOAD, PADDED, LABELS, PACK]))[0]
    require_unpadded([LOAD, lambda results: results, PADDED, PACK], sample, 'a pipeline')
    with pytest.raises(UserError, match='a pipeline has Pad'):
        require_unpadded([LOAD, PADDED, PACK], sample, 'a pipeline')
