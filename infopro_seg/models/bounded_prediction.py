"""Prediction without logits at the size of the image: labels are computed one band of rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.row_maps import (
    Box,
    CroppedMap,
    FlippedMap,
    ResizedMap,
    RowMap,
    SlidingMap,
    StoredMap,
    bands,
)


class BoundedPrediction:
    """Mixin for a segmentor of mmseg: `predict` gives its labels, without logits at the size of the image.

    A whole image is segmented from the head's small logits. With sliding windows, only windows that cover
    the current rows are held. `test_cfg` may also have:

    - `window_batch`: number of windows computed at once, 1 by default;
    - `return_logits`: also keep the logits, in half precision in CPU memory. Without it, results have no
      `seg_logits`.
    """

    backbone: Any
    decode_head: Any
    align_corners: bool
    out_channels: int
    test_cfg: Any
    data_preprocessor: Any
    row_bands: Callable[[tuple[int, int], int], Iterator[tuple[int, int]]] = staticmethod(bands)
    sliding_map: type[SlidingMap] = SlidingMap

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Segments images.

        Args:
            inputs: normalised images, (N, 3, H, W).
            data_samples: their N samples; `metainfo` says how the images were padded, flipped and resized.

        Returns:
            The samples, each with `pred_sem_seg`: the class of each pixel of the original image, (1, H, W)
            int16.
        """
        samples = [SegDataSample() for _ in inputs] if data_samples is None else data_samples
        for sample, logits in zip(samples, self.logit_maps(inputs, data_samples), strict=True):
            self.segment(sample, logits)
        return samples

    def logit_maps(self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None) -> list[RowMap]:
        """The logits of images at their original size, to be read a band of rows at a time.

        Args:
            inputs: normalised images, (N, 3, H, W).
            data_samples: see :meth:`predict`.

        Returns:
            One map (C, H, W) per image.
        """
        metas = [{} for _ in inputs] if data_samples is None else [one.metainfo for one in data_samples]
        size = (inputs.shape[2], inputs.shape[3])
        maps: list[RowMap] = []
        if self.test_cfg.get('mode', 'whole') == 'slide':
            maps += [self._sliding(image[None], [meta]) for image, meta in zip(inputs, metas, strict=True)]
        else:
            target = _size_of(metas[0], size)
            small = self.small_logits(inputs, metas)
            maps += [ResizedMap(StoredMap(one), target, self.align_corners) for one in small]
        return [self._of_original(logits, meta) for logits, meta in zip(maps, metas, strict=True)]

    def segment(self, sample: SegDataSample, logits: RowMap, are_probabilities: bool = False) -> None:
        """Sets the labels of an image as its sample's `pred_sem_seg`, (1, H, W) int16.

        With `return_logits` the sample also gets `seg_logits`, (C, H, W) float16 on the CPU. For a head with
        one channel they are probabilities, as in mmseg.

        Args:
            sample: the sample of the image.
            logits: logits at the size of the image.
            are_probabilities: whether `logits` are already probabilities.
        """
        keep = self.test_cfg.get('return_logits', False)
        labels: Tensor | None = None
        kept: Tensor | None = None
        for start, stop in self.row_bands(logits.size, self.out_channels):
            scores = logits(start, stop)
            if self.out_channels == 1 and not are_probabilities:
                scores = scores.sigmoid()
            if labels is None:
                labels = torch.empty((1, *logits.size), dtype=torch.int16, device=scores.device)
                kept = torch.empty((len(scores), *logits.size), dtype=torch.float16) if keep else None
            if self.out_channels == 1:
                labels[:, start:stop] = scores > self._last_head.threshold
            else:
                labels[0, start:stop] = scores.argmax(0)
            if kept is not None:
                kept[:, start:stop] = scores
        if kept is not None:
            sample.set_data({'seg_logits': PixelData(data=kept)})
        sample.set_data({'pred_sem_seg': PixelData(data=labels)})

    def _sliding(self, image: Tensor, metas: list[dict[str, Any]]) -> RowMap:
        def compute(boxes: Sequence[Box]) -> Sequence[Tensor]:
            return self.window_logits(image, metas, boxes)

        window, stride = self.test_cfg.crop_size, self.test_cfg.stride
        batch = self.test_cfg.get('window_batch', 1)
        return self.sliding_map(
            compute, (image.shape[2], image.shape[3]), window, stride, self.align_corners, batch
        )

    def window_logits(
        self, image: Tensor, metas: list[dict[str, Any]], boxes: Sequence[Box]
    ) -> Sequence[Tensor]:
        """The logits of windows of an image, at the head's own resolution.

        Args:
            image: a normalised image, (1, 3, H, W).
            metas: a list of the image's `metainfo`.
            boxes: rows and columns of each window, as slices.

        Returns:
            One tensor (C, h, w) per window.
        """
        windows = torch.cat([image[(..., *box)] for box in boxes])
        return list(self.small_logits(windows, metas * len(boxes)))

    def small_logits(self, inputs: Tensor, metas: list[dict[str, Any]]) -> Tensor:
        """The logits of images (N, 3, H, W) at the head's own resolution, (N, C, h, w)."""
        metas = [{**meta, 'img_shape': inputs.shape[2:]} for meta in metas]
        with _not_resized(self._last_head):
            logits: Tensor = self.encode_decode(inputs, metas)  # type: ignore[attr-defined]
        return logits

    def _of_original(self, logits: RowMap, meta: dict[str, Any]) -> RowMap:
        """Maps logits of the network's input back to the original image."""
        padding = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
        if any(padding):
            logits = CroppedMap(logits, *padding)
        if meta.get('flip'):
            logits = FlippedMap(logits, meta['flip_direction'])
        return ResizedMap(logits, meta.get('ori_shape', logits.size), self.align_corners)

    @property
    def _last_head(self) -> Any:
        """The decode head that gives the result; the last one of a cascade."""
        return self.decode_head[-1] if isinstance(self.decode_head, nn.ModuleList) else self.decode_head


def check_test_cfg(test_cfg: Any) -> None:
    """Rejects an invalid `test_cfg`.

    Raises:
        ConfigError: a key has a wrong value, or the windows would leave gaps.
    """
    mode = test_cfg.get('mode', 'whole')
    if mode not in ('whole', 'slide'):
        raise ConfigError(f"model.test_cfg: mode={mode!r}; choose 'whole' or 'slide'")
    if mode == 'whole':
        return
    for key in ('crop_size', 'stride'):
        value = test_cfg.get(key)
        if not (isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_size(one) for one in value)):
            raise ConfigError(
                f"model.test_cfg: {key}={value!r}, but mode='slide' needs two whole numbers above 0: height "
                'and width'
            )
    for window, stride, axis in zip(
        test_cfg['crop_size'], test_cfg['stride'], ('rows', 'columns'), strict=True
    ):
        if stride > window:
            raise ConfigError(
                f'model.test_cfg: a stride of {stride} {axis} leaves gaps between windows of {window}; '
                'use a stride of at most the window; two thirds of it is usual'
            )
    batch = test_cfg.get('window_batch', 1)
    if not _is_size(batch):
        raise ConfigError(f'model.test_cfg: window_batch={batch!r} is not a whole number above 0')


def _size_of(meta: dict[str, Any], size: tuple[int, int]) -> tuple[int, int]:
    """The size that mmseg's heads resize their logits to."""
    shape = meta.get('img_shape', size)
    if not isinstance(shape, torch.Size):
        shape = meta.get('pad_shape', shape)
    return int(shape[0]), int(shape[1])


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@contextmanager
def _not_resized(head: Any) -> Iterator[None]:
    """Within the context, a head of mmseg returns its logits without resizing them."""
    if type(head).predict_by_feat is not BaseDecodeHead.predict_by_feat:
        yield  # computes its result in its own way, at the size of its input
        return
    head.predict_by_feat = lambda logits, *args, **kwargs: logits
    try:
        yield
    finally:
        del head.predict_by_feat
