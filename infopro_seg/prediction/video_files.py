"""Reads videos and folders of frames one frame at a time; writes overlay videos."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from infopro_seg.datasets.image_files import load_image
from infopro_seg.errors import DataError, OutputError
from infopro_seg.files import is_special, whole_file
from infopro_seg.predict_images import IMAGE_SUFFIXES, is_earlier_result

FPS = 25.0  # for a folder of frames, which has no rate
CODEC = 'mp4v'  # MPEG-4, which OpenCV's own build writes everywhere


class Frames(Protocol):
    """The frames of a video.

    Args:
        count: expected number of frames; 0 if unknown.
        fps: frames per second.
    """

    count: int
    fps: float

    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames, (H, W, 3) BGR uint8."""
        ...


class VideoFile:
    """The :class:`Frames` of a video file, as OpenCV reads it.

    Args:
        path: the file.
        fps: frames per second; the file's own by default.

    Raises:
        DataError: OpenCV cannot read it.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        self.path = path
        video = self._open()
        self.count = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        own = float(video.get(cv2.CAP_PROP_FPS))
        self.fps = fps or (own if 0 < own < 1000 else FPS)
        video.release()

    def __iter__(self) -> Iterator[np.ndarray]:
        """See :class:`Frames`."""
        video = self._open()
        try:
            while True:
                found, frame = video.read()
                if not found:
                    return
                yield frame
        finally:
            video.release()

    def _open(self) -> cv2.VideoCapture:
        video = cv2.VideoCapture(str(self.path))
        if not video.isOpened():
            raise DataError(
                f'cannot read the video {self.path}: OpenCV does not know its kind, or it is damaged or was '
                'not copied to its end; replace it, or convert it to MP4'
            )
        return video


class FrameFolder:
    """The :class:`Frames` of a folder of images, ordered by name, with digits as numbers.

    Results of earlier predictions are left out.

    Args:
        folder: the folder.
        fps: frames per second.

    Raises:
        DataError: the folder contains no images.
    """

    def __init__(self, folder: Path, fps: float | None = None) -> None:
        found = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
        frames = [path for path in found if not path.name.startswith('.') and not is_special(path)]
        self.files = sorted((path for path in frames if not is_earlier_result(path)), key=_numbered)
        if not self.files:
            raise DataError(f'no frames in {folder}; looked for {", ".join(sorted(IMAGE_SUFFIXES))}')
        self.count, self.fps = len(self.files), fps or FPS

    def __iter__(self) -> Iterator[np.ndarray]:
        """See :class:`Frames`."""
        size = None
        for file in self.files:
            frame = load_image(file)
            size = size or frame.shape
            if frame.shape != size:
                raise DataError(
                    f'{file} has {frame.shape[1]}x{frame.shape[0]} pixels, but the first frame '
                    f'{self.files[0].name} {size[1]}x{size[0]}; frames of a video are of one size'
                )
            yield frame


class OverlayVideo:
    """Writes an MP4.

    Args:
        file: the `.mp4`.
        size: height and width; if one is odd, OpenCV leaves out the last row or column.
        fps: frames per second.
    """

    def __init__(self, file: Path, size: tuple[int, int], fps: float) -> None:
        self.count = 0
        fps = round(fps, 2 if fps < 65 else 1)  # MPEG-4 counts time in at most 65535 parts of a second
        self._writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*CODEC), fps, size[::-1])
        self.opened = self._writer.isOpened()
        self.close = self._writer.release

    def write(self, frame: np.ndarray) -> None:
        """Takes the next frame, (H, W, 3) BGR uint8."""
        self._writer.write(np.ascontiguousarray(frame))
        self.count += 1


@contextmanager
def overlay_video(path: Path, size: tuple[int, int], fps: float) -> Iterator[OverlayVideo]:
    """An MP4 to write, which replaces `path` when it is complete.

    OpenCV does not report a full disk, so the frames in the file are counted.

    Args:
        path: the `.mp4`.
        size: height and width.
        fps: frames per second.

    Raises:
        OutputError: the file cannot be written.
    """
    with whole_file(path) as partial:
        file = partial.with_name(f'{partial.name}.mp4')  # OpenCV chooses the format by the suffix
        try:
            video = OverlayVideo(file, size, fps)
            if not video.opened:
                raise OutputError(
                    f'cannot write {path}: OpenCV cannot encode MPEG-4 there at {fps:g} frames per second; '
                    'choose another rate (--fps) or another place'
                )
            try:
                yield video
            finally:
                video.close()
            found = frames_in(file)
            if found != video.count:
                raise OutputError(
                    f'cannot write {path}: {found} of {video.count} frames are in the file; make room, or '
                    'choose another place'
                )
            file.replace(partial)
        finally:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)


def frames_in(path: Path) -> int:
    """The number of frames in a video's header; 0 if it cannot be opened."""
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT)) if video.isOpened() else 0
    video.release()
    return count


def _numbered(path: Path) -> list[str | int]:
    """A sort key that puts frame_2 before frame_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r'([0-9]+)', path.name)]
