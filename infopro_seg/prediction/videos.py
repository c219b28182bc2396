"""Predicts videos: writes a video with the colours of the classes over each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from infopro_seg.drawing.overlay import overlay
from infopro_seg.errors import DataError, IncompleteError
from infopro_seg.prediction.video_files import Frames, overlay_video


def predict_video(
    network: Any,
    frames: Frames,
    path: Path,
    result: Path,
    batch: int = 1,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Writes a video of overlays.

    Args:
        network: a network with `predict` and `palette`.
        frames: the frames of the video.
        path: the video, for messages.
        result: the `.mp4` to write.
        batch: number of frames to predict at once.
        advance: called with the number of frames done, and their total.

    Raises:
        DataError: no frame of the video can be read.
        IncompleteError: the video ends early; the overlays of the earlier frames are kept.
        OutputError: the result cannot be written.
    """
    source = iter(frames)
    first = next(source, None)
    if first is None:
        raise DataError(f'{path} has no frame that can be read; replace it, or convert it to MP4')
    result.parent.mkdir(parents=True, exist_ok=True)
    fault: DataError | None = None
    with overlay_video(result, first.shape[:2], frames.fps) as video:
        try:
            for several in _batches(chain([first], source), batch):
                pictures = [frame[..., ::-1] for frame in several]
                for picture, labels in zip(pictures, network.predict(pictures), strict=True):
                    video.write(overlay(picture, labels, network.palette)[..., ::-1])
                advance(video.count, max(frames.count, video.count))
        except DataError as error:
            fault = error
    kept = f'the overlays of the first {video.count} are kept in {result}'
    if fault is not None:
        raise IncompleteError(f'{fault}. Of {frames.count} frames {kept}') from fault
    if video.count < frames.count - 1:  # containers that only estimate their number may be one off
        raise IncompleteError(
            f'{path} ends early: {video.count} of its {frames.count} frames can be read; {kept}'
        )


def _batches(frames: Iterable[np.ndarray], count: int) -> Iterator[list[np.ndarray]]:
    """Frames in lists of `count`; frames before an unreadable one are yielded before its error."""
    waiting: list[np.ndarray] = []
    try:
        for frame in frames:
            waiting.append(frame)
            if len(waiting) == count:
                yield waiting
                waiting = []
    except DataError:
        if waiting:
            yield waiting
        raise
    if waiting:
        yield waiting
