"""Tries the pipelines of a config on a few images, before anything is trained or evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
from mmcv.transforms import Normalize, RandomFlip
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS, TRANSFORMS
from torch import Tensor

from infopro_seg.datasets.building import build_pipeline, class_of, is_stock
from infopro_seg.datasets.checks.head_losses import require_labels
from infopro_seg.datasets.checks.metric_labels import iou_metrics, require_ignored
from infopro_seg.datasets.checks.normalisation import require_padding_and_std, warn_of_scale
from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.datasets.padding import require_unpadded
from infopro_seg.datasets.seeding import fork_random
from infopro_seg.errors import ConfigError, DataError, UserError
from infopro_seg.faults import cause_of
from infopro_seg.stock_datasets import LoadAnnotations

Size = tuple[int, int]
GEOMETRIC = ('Resize', 'Flip', 'Crop', 'Rotat', 'Affine', 'Pad', 'Shift', 'CutOut')
MOST_PIXELS = 20_000_000  # of an image to try
WITH_PACK = "end it with dict(type='PackSegInputs')"


def require_pipeline(
    config: Config, split: str, dataset: dict[str, Any], built: Any, sizes: Sequence[Size | None]
) -> None:
    """Checks that the pipeline of a data set gives what mmseg's models and metrics read.

    Args:
        config: a whole config.
        split: train, val or test.
        dataset: the config of the data set, without wrappers.
        built: the data set, without its pipeline.
        sizes: width and height of each image, if known.

    Raises:
        ConfigError: the pipeline lacks a step, or has it in the wrong place, or does what the data
            preprocessor does again.
        DataError: a step cannot process one of the images.
    """
    preprocessor = config.model.get('data_preprocessor') or {}
    loader = config[f'{split}_dataloader']
    steps = dataset.get('pipeline') or ()
    kinds = [class_of(step, TRANSFORMS) if isinstance(step, dict) else None for step in steps]
    plain = 'collate_fn' not in loader and not _completed_outside(loader['dataset'])
    if not plain or class_of(preprocessor, MODELS) is not SegDataPreProcessor or None in kinds:
        return
    where = f'the pipeline of the {split} data set {dataset["type"]}'
    if any(
        _is(k, Normalize) and _normalises_alike(s, preprocessor) for k, s in zip(kinds, steps, strict=True)
    ):
        raise ConfigError(
            f'{where} normalises the images, and model.data_preprocessor does it again; leave Normalize out '
            'of the pipeline, or mean and std out of the data_preprocessor'
        )
    metrics = [] if split == 'train' else iou_metrics(config, split)
    if split == 'train':
        _require_size(preprocessor)
        require_padding_and_std(preprocessor)
        _require_order(kinds, where)
    elif metrics:
        _require_no_flip(kinds, steps, where)
    if type(built).prepare_data is BaseDataset.prepare_data and all(map(is_stock, kinds)):
        tried = [_try(dataset, built, index, where) for index in _various(sizes)]
        samples = [sample for sample in tried if sample is not None]
        for sample in samples:
            if metrics and 'data_samples' in sample:
                require_unpadded(steps, sample, where)
            _require_sample(sample, config, split, where, bool(metrics))
            if metrics and isinstance(sample['inputs'], Tensor):
                labels = sample['data_samples'].gt_sem_seg.data.unique().tolist()
                require_ignored(metrics, labels, len(built.metainfo['classes']), where)
        if split == 'train':
            _require_batches(samples, config, where)
            warn_of_scale(preprocessor, samples, where)


def _require_sample(sample: dict[str, Any], config: Config, split: str, where: str, measured: bool) -> None:
    """Checks what a pipeline has made of an image."""
    if 'inputs' not in sample or 'data_samples' not in sample:
        raise ConfigError(f'{where} does not pack its results for the model; {WITH_PACK}')
    if isinstance(sample['inputs'], list):
        return  # several variants of the image, to be averaged
    size = tuple(sample['inputs'].shape[-2:])
    labels = sample['data_samples'].get('gt_sem_seg')
    if labels is None:
        if split == 'train' or measured:
            raise ConfigError(f"{where} loads no labels; add dict(type='LoadLabels', num_classes=...) to it")
        return
    found = tuple(labels.data.shape[-2:])
    if split != 'train':
        whole = tuple(sample['data_samples'].metainfo.get('ori_shape', found)[:2])
        if found != whole and measured:
            raise ConfigError(
                f'{where} gives labels of {_text(found)} pixels for an image of {_text(whole)}: predictions '
                'are compared at the size of the image, so load labels after the step that resizes'
            )
        return
    if found != size:
        raise ConfigError(
            f'{where} gives labels of {_text(found)} pixels for inputs of {_text(size)}; load labels right '
            'after the image, so that every step changes both'
        )
    held = set(labels.data.unique().tolist())
    preprocessor = config.model.data_preprocessor
    if any(a < b for a, b in zip(size, preprocessor.get('size') or size, strict=True)):
        held.add(preprocessor.get('seg_pad_val', IGNORED))
    require_labels(config.model, held, where)


def _require_batches(samples: Sequence[dict[str, Any]], config: Config, where: str) -> None:
    """Checks that crops of different sizes are padded to one size, or they would not form a batch."""
    padded = config.model.data_preprocessor.get('size')
    sizes = {tuple(sample['inputs'].shape[-2:]) for sample in samples}
    if padded is None or config.train_dataloader.get('batch_size', 1) == 1:
        return
    if len({tuple(map(max, size, padded)) for size in sizes}) > 1:
        raise ConfigError(
            f'{where} gives crops of {", ".join(map(_text, sorted(sizes)))} pixels (height x width), but '
            f'model.data_preprocessor.size pads them to {_text(padded)}; make size equal to the crop_size of '
            'the pipeline'
        )


def _require_size(preprocessor: dict[str, Any]) -> None:
    size, divisor = preprocessor.get('size'), preprocessor.get('size_divisor')
    if (size is None) == (divisor is None):
        raise ConfigError(
            f'model.data_preprocessor has size={size} and size_divisor={divisor}, but needs one of them to '
            'pad the crops of a batch; write size=crop_size'
        )
    if size is not None and not _is_pair(size):
        raise ConfigError(
            f'model.data_preprocessor has size={size!r}; write the height and width of the crops, e.g. '
            'size=(512, 512)'
        )


def _require_order(kinds: Sequence[Any], where: str) -> None:
    """Checks that nothing moves the pixels of a training image before its labels are loaded."""
    for kind in kinds:
        if _is(kind, LoadAnnotations):
            return
        moves = is_stock(kind) and any(word in kind.__name__ for word in GEOMETRIC)
        if moves and any(_is(k, LoadAnnotations) for k in kinds):
            raise ConfigError(
                f'{where} has {kind.__name__} before it loads the labels, which would then not match the '
                'image; load labels right after the image'
            )


def _require_no_flip(kinds: Sequence[Any], steps: Sequence[Any], where: str) -> None:
    """Checks that no labels are flipped for a metric: mmseg flips predictions back."""
    if any('flip' not in (step.get('meta_keys') or ('flip',)) for step in steps):
        return  # mmseg is not told of it, and leaves the predictions flipped as well
    loaded = False
    for kind, step in zip(kinds, steps, strict=True):
        loaded = loaded or _is(kind, LoadAnnotations)
        prob = step.get('prob')
        if loaded and _is(kind, RandomFlip) and any(prob if isinstance(prob, (list, tuple)) else [prob]):
            raise ConfigError(
                f'{where} has {kind.__name__} after it loads the labels: predictions are flipped back before '
                'they are compared, but labels are not; leave it out (--tta averages over flips)'
            )


def _try(dataset: dict[str, Any], built: Any, index: int, where: str) -> dict[str, Any] | None:
    """What the pipeline makes of an image; None if it leaves the image out, or cannot be built."""
    pipeline = build_pipeline(dataset['pipeline'])
    if pipeline is None:
        return None
    info = built.get_data_info(index)
    path = info.get('img_path')
    try:
        with fork_random((index,)):
            sample: dict[str, Any] | None = pipeline(info)
            return sample
    except UserError:
        raise
    except cv2.error as error:
        raise DataError(
            f'{where} cannot process {path}: {" ".join(str(error).split())}; remove the image (a very narrow '
            'one cannot be resized), or change the pipeline'
        ) from error
    except Exception as error:  # of a stock transform, which checks few of its arguments before
        raise ConfigError(
            f'{where} cannot process {path}: {cause_of(error)}; correct the arguments of its steps, such as '
            'scale=(width, height) and crop_size=(height, width)'
        ) from error


def _various(sizes: Sequence[Size | None]) -> Iterator[int]:
    """The first image, the smallest, the largest and the narrowest."""
    known = [(index, size) for index, size in enumerate(sizes) if size and size[0] * size[1] <= MOST_PIXELS]
    if known:
        area = {index: width * height for index, (width, height) in known}
        shape = {index: max(width / height, height / width) for index, (width, height) in known}
        yield from dict.fromkeys(
            (
                known[0][0],
                min(area, key=area.__getitem__),
                max(area, key=area.__getitem__),
                max(shape, key=shape.__getitem__),
            )
        )


def _completed_outside(dataset: dict[str, Any]) -> bool:
    """Whether a wrapper, such as `MultiImageMixDataset`, has further steps."""
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else [])
    return bool(inner) and ('pipeline' in dataset or any(map(_completed_outside, inner)))


def _normalises_alike(step: dict[str, Any], preprocessor: dict[str, Any]) -> bool:
    """Whether a step subtracts and divides by the same as the data preprocessor, in RGB or BGR."""
    one, other = ([sorted(part.get(key) or ()) for key in ('mean', 'std')] for part in (step, preprocessor))
    return one == other


def _is(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


def _is_pair(size: Any) -> bool:
    return isinstance(size, (list, tuple)) and len(size) == 2 and all(isinstance(s, int) for s in size)


def _text(size: Sequence[int]) -> str:
    return 'x'.join(map(str, size))
