"""Prediction over images, rasters and videos, as `tools/predict.py` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from infopro_seg.consoles import counting, message_console
from infopro_seg.drawing.overlay import overlay
from infopro_seg.errors import IncompleteError, OutputError, UserError
from infopro_seg.evaluation.label_files import require_replaceable, write_image, write_label_image
from infopro_seg.outputs import require_folder
from infopro_seg.prediction.inputs import Input, find_inputs, left_out, require_apart
from infopro_seg.prediction.onnx_network import OnnxNetwork
from infopro_seg.prediction.rasters import predict_raster
from infopro_seg.prediction.video_files import FrameFolder, VideoFile
from infopro_seg.prediction.videos import predict_video
from infopro_seg.prediction.ways import Ways
from infopro_seg.prediction.windows import WindowNetwork
from infopro_seg.tasks import is_classifier, refuse_classifier

FAULTS = (AttributeError, ImportError, NameError, NotImplementedError, TypeError)
"""Errors of a program's own faults, hardly ever of an image."""

FULL = (
    'out of memory',
    'not enough memory',
    'Insufficient memory',
    'ALLOC_FAILED',
    'Failed to allocate memory',
)
"""What torch, OpenCV, onnxruntime and CUDA's libraries say if memory runs out."""


def predict(
    config: str | Path,
    checkpoint: str | Path | None,
    images: Sequence[str | Path],
    out: str | Path,
    device: str | None = None,
    options: Mapping[str, Any] | None = None,
    ways: Ways | None = None,
) -> list[Path]:
    """Writes labels and an overlay of each image, and an overlay of each video.

    For `NAME.png` these are `NAME_labels.png` and `NAME_overlay.png`; for a georeferenced or large TIFF,
    `NAME_labels.tif` and a small `NAME_overlay.png`; for a video, `NAME_overlay.mp4`. A classifier writes one
    `classes.csv`: image, class and score.

    Args:
        config: path of the config, or of an exported `.onnx`, which needs no checkpoint.
        checkpoint: path of the checkpoint.
        images: image and video files, and folders that are searched for images.
        out: the folder to write into; images found in a folder keep their relative path. If two results
            would have the same name, they get different names, see :func:`output_names`.
        device: `cpu`, `cuda`, ...; by default the GPU if there is one.
        options: overrides of the config, `{'a.b': value}`.
        ways: how to predict.

    Returns:
        The images and videos that could not be predicted completely; the console names them.

    Raises:
        UserError: config or checkpoint is wrong, there is no image, or `out` cannot be written to.
    """
    console = message_console()
    ways = ways or Ways()
    inputs, found = find_inputs(images, ways.video)
    require_apart(inputs, Path(out))
    require_replaceable(result for one in inputs for result in one.results(Path(out)).values())
    out = require_folder(out)
    run = _Run(console, out, ways)
    for notice in left_out(inputs, found):
        run.say(notice, 'yellow')
    given: Any = config
    if checkpoint is not None:
        from infopro_seg.config_files import load_config  # with torch, which exports do without

        given = load_config(config, options)
        if is_classifier(given):
            from infopro_seg.classification.prediction import classify

            for option in ways.options():
                refuse_classifier(given, option, 'leave it out')
            return classify(given, checkpoint, inputs, out, device, run.say)
    run.load(given, checkpoint, device, options, any(one.kind == 'raster' for one in inputs))
    with counting(console) as run.progress:
        task = run.progress.add_task('predicting', total=len(inputs))
        for several in batches(inputs, ways.batch):
            run.predict(several)
            run.progress.advance(task, len(several))
    if run.fault is not None and len(run.skipped) == len(inputs):
        raise run.fault  # not caused by an image: with its traceback
    kinds = {'videos' if one.kind == 'video' else 'images' for one in inputs}
    what = ' and '.join(sorted(kinds))
    run.say(f'{len(inputs) - len(run.skipped)} of {len(inputs)} {what} predicted into {out}')
    return run.skipped


class _Run:
    """A running prediction."""

    progress: Progress
    network: Any
    windows: WindowNetwork | None = None
    color_type = 'color'

    def __init__(self, console: Console, out: Path, ways: Ways) -> None:
        self.console, self.out, self.ways = console, out, ways
        self.skipped: list[Path] = []
        self.fault: Exception | None = None

    def say(self, text: str, style: str | None = None) -> None:
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def load(self, config: Any, checkpoint: Any, device: Any, options: Any, rasters: bool) -> None:
        """Loads the network; for rasters, checks that it can predict window by window."""
        ways = self.ways
        if checkpoint is None:
            if options or ways.half or ways.batch > 1:
                raise UserError(
                    f'{config} is exported: it predicts one image at a time, in its own precision, and has '
                    'no config; leave out --batch, --half and --cfg-options, or give config and checkpoint'
                )
            self.network = network = OnnxNetwork(config, device, ways.resize)
            self.windows = network
            if rasters and network.resizing:
                raise UserError(
                    f'large and georeferenced TIFFs are predicted at their own resolution, but {config} was '
                    'trained with resized images; leave out the resizing with --no-resize'
                )
            return
        from infopro_seg.inference import Predictor  # with torch, which exports do without

        self.network = Predictor(config, checkpoint, device, ways.half, ways.batch, ways.resize)
        if rasters:
            from infopro_seg.prediction.checkpoint_windows import CheckpointWindows, color_type

            self.windows = CheckpointWindows(self.network, config, ways.batch)
            self.color_type = color_type(self.network.steps)

    def predict(self, inputs: Sequence[Input]) -> None:
        """Predicts a raster, a video, or several images at once; names those that fail."""
        try:
            if inputs[0].kind == 'image':
                found = self._segment([one.path for one in inputs])
            else:
                self._predict_large(inputs[0])
                return
        except OutputError:
            raise
        except Exception as error:  # whatever it is, the others are predicted
            if len(inputs) > 1:  # predict them one by one to find which image failed
                for one in inputs:
                    self.predict([one])
                return
            verb = 'incomplete' if isinstance(error, IncompleteError) else 'skipped'
            exported = isinstance(self.network, OnnxNetwork)
            self.say(f'{verb}: {reason_of(inputs[0].path, error, exported)}', 'yellow')
            self.skipped.append(inputs[0].path)
            self.fault = self.fault or (error if isinstance(error, FAULTS) else None)
            return
        for one, (labels, picture) in zip(inputs, found, strict=True):
            results = one.results(self.out)
            write_label_image(results['labels'], labels, self.network.label_ids)
            write_image(results['overlay'], picture)

    def _segment(self, paths: Sequence[Path]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Class indices and overlay of each image."""
        network = self.network
        found = network.predict(paths) if len(paths) > 1 else [network(paths[0])]
        pictures = [overlay(network.read(path), one, network.palette) for path, one in zip(paths, found)]  # noqa: B905
        return list(zip(found, pictures, strict=True))

    def _predict_large(self, one: Input) -> None:
        results, network = one.results(self.out), self.network
        with self._advance(one.path.name) as advance:
            if one.kind == 'video':
                kind = FrameFolder if one.path.is_dir() else VideoFile
                frames = kind(one.path, self.ways.fps)
                predict_video(network, frames, one.path, results['overlay'], self.ways.batch, advance)
                return
            assert self.windows is not None
            predict_raster(
                self.windows, one.path, results, network.label_ids, network.palette, self.color_type, advance
            )

    @contextmanager
    def _advance(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """A separate progress bar, for rows or frames."""
        task = self.progress.add_task(name, total=None)
        try:
            yield lambda done, total: self.progress.update(task, completed=done, total=total)
        finally:
            self.progress.remove_task(task)


def batches(inputs: Sequence[Input], count: int) -> Iterator[list[Input]]:
    """Successive images in lists of `count`; each raster and each video alone."""
    for kind, group in groupby(inputs, key=lambda one: one.kind):
        several = list(group)
        size = count if kind == 'image' else 1
        for at in range(0, len(several), size):
            yield several[at : at + size]


def reason_of(path: Path, error: Exception, exported: bool = False) -> str:
    """Why an image could not be predicted, and what to do about it, in one line."""
    if isinstance(error, UserError):
        return str(error)
    text = ' '.join(str(error).split())
    full = isinstance(error, MemoryError) or type(error).__name__ == 'OutOfMemoryError'  # torch's
    if full or any(word in text for word in FULL):
        windows = (
            'export it again from a config whose test_cfg slides'
            if exported
            else '--cfg-options model.test_cfg.mode=slide "model.test_cfg.crop_size=(512,512)" '
            '"model.test_cfg.stride=(384,384)"'
        )
        return f'{path}: out of memory; predict it on the CPU (--device cpu), or in windows: {windows}'
    return f'{path}: {type(error).__name__}: {text}' if text else f'{path}: {type(error).__name__}'
