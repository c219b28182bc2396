"""An exported network, run by onnxruntime; nothing here needs torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from infopro_seg.datasets.image_files import load_image
from infopro_seg.errors import CheckpointError, UserError
from infopro_seg.graph_sizes import ENOUGH, STEP
from infopro_seg.image_inputs import to_bgr, to_picture
from infopro_seg.logit_maps.row_maps import ResizedMap
from infopro_seg.prediction.resizing import resized, resizing
from infopro_seg.prediction.windows import Size, label_bands, two_thirds, window_map

TEXTS = ('channels', 'input', 'output')  # metadata that is not JSON
USUAL = (512, 512)  # size of windows, if the graph does not contain its training crop


class OnnxNetwork:
    """A :class:`WindowNetwork` with `predict` and `read`, as in :class:`infopro_seg.inference.Predictor`.

    It resizes images and slides windows as the config of the training says. The graph takes sides that are
    multiples of 32, or one size only; smaller inputs are padded.

    Args:
        path: the `.onnx`, as `tools/export.py` writes it.
        device: `cpu` or `cuda`; by default the GPU if onnxruntime has one.
        resize: whether images are resized as in the test pipeline.

    Raises:
        UserError: onnxruntime is missing, the file is not an export of this package, or the device does not
            exist.
    """

    batch = 1  # the graph takes one image at a time

    def __init__(self, path: str | Path, device: str | None = None, resize: bool = True) -> None:
        _require_file(Path(path))
        self.session = _session(Path(path), device)
        meta = _metadata(self.session, path)
        self.classes = tuple(meta['classes'])
        self.palette = np.array(meta['palette'], np.uint8)
        ids = meta['label_ids']
        self.label_ids = np.array(ids, np.uint8 if max(ids, default=0) < 256 else np.uint16)
        self.reverse = meta['channels'] == 'RGB'
        self.mean, self.std = (np.array(meta[key], np.float32) for key in ('mean', 'std'))
        self.threshold: float = meta.get('threshold', 0.5)
        self.channels = 1 if 'threshold' in meta else len(self.classes)
        said: Mapping[str, Any] = meta.get('prediction') or {}
        self.align_corners = bool(said.get('align_corners'))
        steps = said.get('resize') or []
        self.resizing = [resizing(step) for step in steps] if resize else []
        self.only: Size | None = _pair(meta.get('size'))
        crop = _pair(said.get('crop_size'))
        self.window = self.only or crop or USUAL
        self.stride = (crop == self.window and _pair(said.get('stride'))) or two_thirds(self.window)
        self.slides = self.only is not None or said.get('mode') == 'slide'

    def padded(self, size: Size) -> Size:
        """See :class:`WindowNetwork`: windows are padded, not images."""
        return size

    def logits(self, pixels: Sequence[np.ndarray], size: Size) -> Sequence[np.ndarray]:
        """See :class:`WindowNetwork`."""
        target = self.only or (_up(size[0]), _up(size[1]))
        found = []
        for window in pixels:
            colours = window[..., ::-1] if self.reverse else window
            normal = (colours.astype(np.float32) - self.mean) / self.std
            image = np.zeros((1, 3, *target), np.float32)
            image[0, :, : window.shape[0], : window.shape[1]] = normal.transpose(2, 0, 1)
            [given] = self.session.run(None, {'image': image})
            found.append(given[0][:, : size[0], : size[1]])
        return found

    def predict(self, image: Any) -> Any:
        """The index into `classes` of each pixel, (H, W); for a list of images, a list of these.

        Args:
            image: what :meth:`infopro_seg.inference.Predictor.predict` takes.

        Raises:
            DataError: the file cannot be read, or the input is not an image.
        """
        if isinstance(image, (list, tuple)):
            return [self(item) for item in image]
        given = load_image(image) if isinstance(image, (str, os.PathLike)) else to_bgr(image)
        bgr = given
        for step in self.resizing:
            bgr = resized(bgr, step)
        height, width = bgr.shape[:2]
        whole = not self.slides and max(height, width) <= ENOUGH
        size = (height, width)
        logits = window_map(self, lambda box: bgr[box], size, size if whole else None)
        original = ResizedMap(logits, given.shape[:2], self.align_corners)
        kind = np.uint8 if len(self.classes) <= 256 else np.uint16
        return np.concatenate([*label_bands(self, original)]).astype(kind)

    __call__ = predict

    def read(self, path: str | Path) -> np.ndarray:
        """Reads an image for display: (H, W, 3) RGB uint8."""
        return to_picture(load_image(path))


def _session(path: Path, device: str | None) -> Any:
    if find_spec('onnxruntime') is None:
        raise UserError(f'{path} is run by the package onnxruntime: pip install onnxruntime')
    import onnxruntime

    has_gpu = 'CUDAExecutionProvider' in onnxruntime.get_available_providers()
    kind, _, index = (device or ('cuda' if has_gpu else 'cpu')).partition(':')
    known = kind in ('cpu', 'cuda') and (not index or index.isdecimal())
    if not known or (kind == 'cuda' and not has_gpu):
        raise UserError(
            f'--device {device} cannot be used: onnxruntime has {onnxruntime.get_device()}; use cpu, or '
            'install onnxruntime-gpu for cuda'
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    gpu = [('CUDAExecutionProvider', {'device_id': int(index or 0)})] if kind == 'cuda' else []
    try:
        session = onnxruntime.InferenceSession(str(path), options, [*gpu, 'CPUExecutionProvider'])
    except Exception as error:  # onnxruntime has no specific error for other files
        raise CheckpointError(
            f'cannot read the exported network {path}: {" ".join(str(error).split())}; export it again'
        ) from error
    if device and gpu and gpu[0][0] not in session.get_providers():  # it has silently taken the CPU
        raise UserError(
            f'--device {device} cannot be used: onnxruntime finds no such GPU, or not the CUDA '
            'libraries that it was built for; use cpu'
        )
    return session


def _metadata(session: Any, path: str | Path) -> dict[str, Any]:
    stored = session.get_modelmeta().custom_metadata_map
    missing = {'classes', 'palette', 'label_ids', 'mean', 'std', 'channels'} - stored.keys()
    if missing:
        raise CheckpointError(
            f'{path} does not say its {", ".join(sorted(missing))}, as exports of this package do; export it '
            'with tools/export.py CKPT --out DIR --format onnx'
        )
    return {key: value if key in TEXTS else json.loads(value) for key, value in stored.items()}


def _require_file(path: Path) -> None:
    if not path.is_file():
        nearby = (
            sorted(str(one) for one in path.parent.glob(f'*{path.suffix}')) if path.parent.is_dir() else []
        )
        there = f'there are {", ".join(nearby)}' if nearby else f'{path.parent} holds none'
        raise CheckpointError(f'no exported network {path}; {there}')


def _threads() -> int:
    """Number of threads: as many as torch would use."""
    given = os.environ.get('OMP_NUM_THREADS', '')
    if given.isdigit() and int(given) > 0:
        return int(given)
    allowed = getattr(os, 'sched_getaffinity', None)  # not on every system
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _pair(value: Any) -> Size | None:
    return (int(value[0]), int(value[1])) if value else None


def _up(side: int) -> int:
    """The next multiple of the stride of the coarsest map; the graph needs at least two."""
    return max(-(-side // STEP), 2) * STEP
