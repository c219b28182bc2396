"""How to predict: the options of `tools/predict.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ways:
    """How to predict.

    Args:
        half: compute in half precision: float16 on a GPU, bfloat16 on a CPU.
        batch: number of windows, or of images or frames of the same size, computed at once.
        resize: whether images are resized as in the test pipeline.
        video: whether each folder contains the frames of a video.
        fps: frames per second of overlay videos; by default the video's own, and 25 for a folder of frames.
    """

    half: bool = False
    batch: int = 1
    resize: bool = True
    video: bool = False
    fps: float | None = None

    def options(self) -> list[str]:
        """The options of the command, but for --video, that were given."""
        given = {
            '--half': self.half,
            '--batch': self.batch != 1,
            '--no-resize': not self.resize,
            '--fps': self.fps is not None,
        }
        return [option for option, value in given.items() if value]
