"""Checks that the losses of a config's heads can be computed for its classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.logging import MMLogger
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.losses.utils import get_class_weight
from mmseg.registry import MODELS

from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.errors import ConfigError

SEVERAL_CHANNELS = ('DiceLoss', 'FocalLoss', 'OhemCrossEntropy', 'TverskyLoss')
"""Losses of mmseg that take the only channel of a head for the first class, not for the second."""

SIGMOID = "loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)"


def require_losses(model: Any) -> None:
    """Checks the losses of every decode head of a model.

    Args:
        model: the config of the model.

    Raises:
        ConfigError: a head has one channel but a loss for several, or the number of class weights differs
            from the number of classes, or a head does not ignore padded pixels.
    """
    for name, head in heads(model):
        kind = _kind(head['type'])
        if not (isinstance(kind, type) and issubclass(kind, BaseDecodeHead)):
            continue
        _require_ignored(name, head, (model.get('data_preprocessor') or {}).get('seg_pad_val', IGNORED))
        channels = head.get('out_channels') or head['num_classes']
        losses = head.get('loss_decode') or {'type': 'CrossEntropyLoss'}
        for loss in losses if isinstance(losses, (list, tuple)) else (losses,):
            if channels == 1:
                _require_one_channel(name, loss)
            _require_weights(name, loss, channels)


def heads(node: Any, name: str = 'model') -> Iterator[tuple[str, dict[str, Any]]]:
    """Every config with a `num_classes` below a node, with its path."""
    if isinstance(node, dict):
        if 'type' in node and isinstance(node.get('num_classes'), int):
            yield name, node
        for key, value in node.items():
            if key != 'encoder':  # an encoder's num_classes is that of its pretraining
                yield from heads(value, f'{name}.{key}')
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from heads(value, f'{name}[{index}]')


def _require_ignored(name: str, head: dict[str, Any], padding: int) -> None:
    """Checks that a head ignores the pixels by which crops are padded."""
    ignored = head.get('ignore_index', IGNORED)
    if ignored == padding:
        return
    what = f'{name} ignores the label {ignored}, but model.data_preprocessor pads crops with {padding}'
    if padding < head['num_classes']:
        MMLogger.get_current_instance().warning(
            f'{what}: padded pixels count as class {padding}; unless they should, write seg_pad_val={ignored}'
        )
        return
    raise ConfigError(
        f'{what} (seg_pad_val), which is no class; to ignore the label {IGNORED} leave out ignore_index, and '
        f'to ignore {ignored} write ignore_index={ignored} in every head and seg_pad_val={ignored}'
    )


def _require_one_channel(name: str, loss: dict[str, Any]) -> None:
    kind = _kind(loss.get('type'))
    softmax = isinstance(kind, type) and issubclass(kind, CrossEntropyLoss) and not loss.get('use_sigmoid')
    if softmax or getattr(kind, '__name__', loss.get('type')) in SEVERAL_CHANNELS:
        raise ConfigError(
            f'{name} has one output channel, but its loss {loss.get("type")} compares several; give it '
            f'num_classes=2, out_channels=1 and {SIGMOID}, or leave out out_channels'
        )


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


def _kind(kind: Any) -> Any:
    return MODELS.get(kind) if isinstance(kind, str) else kind
