"""Checks that the losses of a config's heads can be computed for its classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmseg.models.decode_heads import STDCHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss, FocalLoss
from mmseg.models.losses.utils import get_class_weight
from mmseg.registry import MODELS

from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.errors import ConfigError

SEVERAL_CHANNELS = ('DiceLoss', 'FocalLoss', 'OhemCrossEntropy', 'TverskyLoss')
"""Losses of mmseg that take the only channel of a head for the first class, not for the second."""

SIGMOID = "loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)"


def require_losses(model: Any, trains: bool = True) -> None:
    """Checks the losses of every decode head of a model, and warns if padded pixels are not ignored.

    Args:
        model: the config of the model.
        trains: whether the model is trained, and crops are padded.

    Raises:
        ConfigError: a head has one channel but a loss for several, the class weights are not one number of 0
            or more for each class, or a loss is not trained.
    """
    padding = (model.get('data_preprocessor') or {}).get('seg_pad_val', IGNORED)
    for name, head in _classifiers(model):
        if trains:
            _warn_of_padding(name, head, padding)
        channels = head.get('out_channels') or head['num_classes']
        losses = head.get('loss_decode') or {'type': 'CrossEntropyLoss'}
        losses = losses if isinstance(losses, (list, tuple)) else (losses,)
        for loss in losses:
            if channels == 1:
                _require_one_channel(name, loss)
            _require_weights(name, loss, channels)
            if trains:
                _require_device(name, loss, channels)
        if trains and all('loss' not in loss.get('loss_name', 'loss') for loss in losses):
            given = losses[0]['loss_name']
            raise ConfigError(
                f'loss_name={given!r} of {name}: mmseg trains only losses whose names begin with loss_; '
                f"write loss_name='loss_{given}'"
            )


def require_labels(model: Any, labels: Iterable[int], where: str) -> None:
    """Checks that every label of a training crop is a class of each head, or ignored by it.

    Args:
        model: the config of the model.
        labels: the labels that the crop holds, with those of its padding.
        where: the pipeline that made the crop, for the message.

    Raises:
        ConfigError: a softmax loss would fail on a label.
    """
    for name, head in _classifiers(model):
        ignored = head.get('ignore_index', IGNORED)
        outside = [label for label in sorted(labels) if label != ignored and label >= head['num_classes']]
        losses = head.get('loss_decode') or {'type': 'CrossEntropyLoss'}
        if outside and any(map(_is_softmax, losses if isinstance(losses, (list, tuple)) else (losses,))):
            raise ConfigError(
                f'{where} and its padding (seg_pad_val) give the label {outside[0]}, which is not a class of '
                f'{name} and is not ignored, as its ignore_index is {ignored}; to ignore the label {IGNORED} '
                f'leave out ignore_index, and to ignore {ignored} write ignore_index={ignored} in every head '
                f'and seg_pad_val={ignored}, with no other label outside the classes'
            )


def _classifiers(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The heads whose losses compare logits with labels in mmseg's own way."""
    for name, head in heads(model):
        kind = _kind(head['type'])
        known = isinstance(kind, type) and issubclass(kind, BaseDecodeHead)
        if known and kind.loss_by_feat is BaseDecodeHead.loss_by_feat:
            yield name, head


def heads(node: Any, name: str = 'model') -> Iterator[tuple[str, dict[str, Any]]]:
    """Every config with a `num_classes` below a node, with its path."""
    if isinstance(node, dict):
        kind = _kind(node['type']) if 'type' in node else None
        detail = isinstance(kind, type) and issubclass(kind, STDCHead)  # whose classes are edges
        if 'type' in node and isinstance(node.get('num_classes'), int) and not detail:
            yield name, node
        for key, value in node.items():
            if key != 'encoder':  # an encoder's num_classes is that of its pretraining
                yield from heads(value, f'{name}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from heads(value, f'{name}[{index}]')


def _warn_of_padding(name: str, head: dict[str, Any], padding: int) -> None:
    """Warns if a head does not ignore the pixels by which crops smaller than their size are padded."""
    ignored = head.get('ignore_index', IGNORED)
    if ignored == padding:
        return
    what = f'{name} ignores the label {ignored}, but model.data_preprocessor pads crops with {padding}'
    effect = f'padded pixels count as class {padding}; unless they should,'
    if padding >= head['num_classes']:
        effect = 'this is not a class, and a padded crop would end the training; if there may be any,'
    MMLogger.get_current_instance().warning(f'{what}: {effect} write seg_pad_val={ignored}')


def _require_one_channel(name: str, loss: dict[str, Any]) -> None:
    kind = _kind(loss.get('type'))
    if _is_softmax(loss) or getattr(kind, '__name__', loss.get('type')) in SEVERAL_CHANNELS:
        raise ConfigError(
            f'{name} has one output channel, but its loss {loss.get("type")} compares several; give it '
            f'num_classes=2, out_channels=1 and {SIGMOID}, or leave out out_channels'
        )


def _is_softmax(loss: dict[str, Any]) -> bool:
    kind = _kind(loss.get('type'))
    return isinstance(kind, type) and issubclass(kind, CrossEntropyLoss) and not loss.get('use_sigmoid')


def _require_weights(name: str, loss: dict[str, Any], channels: int) -> None:
    given = loss.get('class_weight')
    if given is None:
        return
    try:
        weights = get_class_weight(given)
        count = len(weights)
    except Exception as error:  # a file of the user's, in any of several formats
        raise ConfigError(
            f'cannot read class_weight={given!r} of the {loss.get("type")} of {name}: {error}; give a list '
            f'of {channels} numbers'
        ) from error
    if count != channels:
        raise ConfigError(
            f'class_weight of the {loss.get("type")} of {name} has {count} weights, but the head has '
            f'{channels} output channels; give one for each'
        )
    numbers = (int, float, np.number)  # files hold NumPy's
    if not all(isinstance(weight, numbers) and 0 <= weight < inf for weight in weights) or not any(weights):
        raise ConfigError(
            f'class_weight={weights} of the {loss.get("type")} of {name}; write numbers of 0 or more, at '
            'least one of them above 0'
        )


def _require_device(name: str, loss: dict[str, Any], channels: int) -> None:
    """Refuses mmseg's focal loss on a CPU, where it takes one channel of the labels for all of them."""
    sigmoid = _kind(loss.get('type')) is FocalLoss and loss.get('use_sigmoid', True)
    if sigmoid and channels > 1 and not torch.cuda.is_available():
        raise ConfigError(
            f"mmseg's FocalLoss of {name} does not work on a CPU; write CrossEntropyLoss, or train on a GPU"
        )


def _kind(kind: Any) -> Any:
    return MODELS.get(kind) if isinstance(kind, str) else kind
