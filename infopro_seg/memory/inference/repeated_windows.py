"""Traces few of the windows of a prediction, because the others take the same memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any

from mmseg.structures import SegDataSample
from torch import Tensor

from infopro_seg.logit_maps.row_maps import Box, RowMap, SlidingMap
from infopro_seg.memory.inference.sized_scores import Repeats, SizedScores
from infopro_seg.memory.tracing.storages import StorageTracker
from infopro_seg.models.bounded_prediction import BoundedPrediction

WindowLogits = Callable[[Tensor, list[dict[str, Any]], Sequence[Box]], Sequence[Any]]


def trace_repeats_once(model: BoundedPrediction, tracker: StorageTracker) -> None:
    """Makes a model trace each shape of window twice, and each operation on scores once for each layout.

    Repetitions only count what the first ones took. An image has hundreds of windows, and thousands with
    scales and flips. Tracing the network takes about a second, adding a window's logits to a band of rows
    some hundredths of a second.

    Args:
        model: predicts whole images or in sliding windows.
        tracker: follows the trace.
    """
    segment, compute, repeats = model.segment, model.small_logits, Repeats(tracker)

    def small_logits(inputs: Tensor, metas: list[dict[str, Any]]) -> Any:
        return repeats.stand_for(compute(inputs, metas))

    def segment_sized(sample: SegDataSample, logits: RowMap, are_probabilities: bool = False) -> None:
        segment(sample, _Tensors(logits), are_probabilities)

    if model.test_cfg.get('mode', 'whole') == 'slide':
        model.window_logits = repeated(model.window_logits, repeats)  # type: ignore[method-assign, assignment]
        model.sliding_map = OneWindowOfEachRow
    else:
        model.small_logits = small_logits  # type: ignore[method-assign]
    model.segment = segment_sized  # type: ignore[method-assign]


def repeated(compute: WindowLogits, repeats: Repeats) -> WindowLogits:
    """A network that runs twice on windows of each shape, and then only counts what the second run took.

    The first run takes more: autocast keeps the weights that it converts.

    Args:
        compute: the network's `window_logits`.
        repeats: the computations traced so far.
    """
    first: set[Hashable] = set()

    def window_logits(image: Tensor, metas: list[dict[str, Any]], boxes: Sequence[Box]) -> list[SizedScores]:
        size = [part.stop - part.start for part in boxes[0]]
        key = (len(boxes), *size, image.shape[:2], image.dtype)
        if key in repeats.known:
            return [repeats.replay(repeats.known[key])] * len(boxes)
        taken, logits = repeats.measure(lambda: compute(image, metas, boxes))
        if key in first:
            repeats.known[key] = taken
        first.add(key)
        return repeats.stand_for(logits)

    return window_logits


class OneWindowOfEachRow(SlidingMap):
    """Adds the logits of one window of each row only, because the others take the same, one after another."""

    def _across(self, top: int) -> Iterator[tuple[int, RowMap]]:
        return islice(super()._across(top), 1)


class _Tensors:
    """A map of stand-ins, read as fake tensors."""

    def __init__(self, source: RowMap) -> None:
        self.source, self.size = source, source.size

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        scores: SizedScores = self.source(start, stop)
        return scores.tensor()
