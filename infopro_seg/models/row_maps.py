"""Maps of logits that are tensors, see :mod:`infopro_seg.logit_maps.row_maps`; flips and means of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from infopro_seg.errors import ConfigError
from infopro_seg.logit_maps.array_maths import as_single, blend_rows, class_indices, resize_columns, zeros
from infopro_seg.logit_maps.row_maps import (
    Box,
    CroppedMap,
    ResizedMap,
    RowMap,
    SlidingMap,
    StoredMap,
    bands,
    window_starts,
)

__all__ = [
    'Box',
    'CroppedMap',
    'FlippedMap',
    'MeanProbabilities',
    'ResizedMap',
    'RowMap',
    'SlidingMap',
    'StoredMap',
    'as_probabilities',
    'bands',
    'window_starts',
]


class FlippedMap:
    """Another map flipped.

    Args:
        source: the map.
        direction: `horizontal` or `vertical`.

    Raises:
        ConfigError: the direction is neither of these.
    """

    def __init__(self, source: RowMap, direction: str) -> None:
        if direction not in ('horizontal', 'vertical'):
            raise ConfigError(
                f'a prediction for an image with flip_direction={direction!r} cannot be flipped back; '
                "use 'horizontal' or 'vertical' in the test pipeline"
            )
        self.source, self.size, self.vertical = source, source.size, direction == 'vertical'

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        if self.vertical:
            height = self.size[0]
            rows: Tensor = self.source(height - stop, height - start)
            return rows.flip(1)
        rows = self.source(start, stop)
        return rows.flip(2)


class MeanProbabilities:
    """The mean of the class probabilities over several maps.

    Args:
        maps: logits of the same size.
    """

    def __init__(self, maps: Sequence[RowMap]) -> None:
        self.maps, self.size = maps, maps[0].size

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        total: Tensor | None = None
        for logits in self.maps:
            probabilities = as_probabilities(logits(start, stop))
            total = probabilities if total is None else total.add_(probabilities)
        assert total is not None
        return total.div_(len(self.maps))


def as_probabilities(logits: Tensor) -> Tensor:
    """The probabilities of the classes, or of the foreground if there is one channel: (C, H, W)."""
    return logits.softmax(0) if logits.shape[0] > 1 else logits.sigmoid()


@as_single.register(Tensor)
def _(rows: Tensor) -> Tensor:
    return rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows


@blend_rows.register(Tensor)
def _(rows: Tensor, before: np.ndarray, after: np.ndarray, share: np.ndarray) -> Tensor:
    upper, lower = (
        rows.index_select(1, torch.as_tensor(index, device=rows.device)) for index in (before, after)
    )
    weight = torch.as_tensor(share, dtype=rows.dtype, device=rows.device)
    return torch.lerp(upper, lower, weight.view(-1, 1))


@resize_columns.register(Tensor)
def _(rows: Tensor, width: int, align_corners: bool) -> Tensor:
    size = (rows.shape[1], width)
    return F.interpolate(rows[None], size, mode='bilinear', align_corners=align_corners)[0]


@zeros.register(Tensor)
def _(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    return like.new_zeros(shape)


@class_indices.register(Tensor)
def _(scores: Tensor, threshold: float) -> np.ndarray:
    labels = scores[0].sigmoid() > threshold if len(scores) == 1 else scores.argmax(0)
    indices: np.ndarray = labels.to(torch.int16).cpu().numpy()
    return indices
