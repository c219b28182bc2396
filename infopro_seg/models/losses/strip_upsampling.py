"""Bilinear upsampling to a strip of rows, and its backward pass."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class StripUpsampling:
    """Bilinear upsampling to a strip of rows: the rows by hand, the columns by torch.

    Under `torch.use_deterministic_algorithms` the columns are computed by hand too, because torch's backward
    pass would raise an error.

    Args:
        small: the map to upsample, (N, C, h, w).
        rows: the strip.
        size: height and width of the whole upsampled map.
        align_corners: as for `torch.nn.functional.interpolate`.
    """

    def __init__(self, small: Tensor, rows: slice, size: tuple[int, int], align_corners: bool) -> None:
        self.rows = _Axis(small, 2, rows, size[0], align_corners)
        self.columns: _Axis | None = None
        if torch.are_deterministic_algorithms_enabled():
            self.columns = _Axis(small, 3, slice(0, size[1]), size[1], align_corners)
        self.size = [rows.stop - rows.start, size[1]]
        self.align_corners = align_corners

    def __call__(self, small: Tensor) -> Tensor:
        """The strip of the upsampled map, (N, C, rows, width)."""
        rows = self.rows(small)
        if self.columns is not None:
            return self.columns(rows)
        strip: Tensor = F.interpolate(rows, self.size, mode='bilinear', align_corners=self.align_corners)
        return strip

    def add_backward(self, grad: Tensor, out: Tensor) -> None:
        """Computes the small map's gradient from the strip's, and adds it to `out`.

        Args:
            grad: gradient of the strip, (N, C, rows, width).
            out: gradient of the small map, (N, C, h, w), changed in place.
        """
        shape = [*out.shape[:2], self.size[0], out.shape[3]]
        if self.columns is not None:
            narrow = grad.new_zeros(shape)
            self.columns.add_backward(grad, narrow)
        else:
            backward = torch.ops.aten.upsample_bilinear2d_backward
            narrow = backward(grad, self.size, shape, self.align_corners)
        self.rows.add_backward(narrow, out)


class _Axis:
    """Linear upsampling along one dimension, to a slice of `length` positions."""

    def __init__(self, small: Tensor, dim: int, part: slice, length: int, align_corners: bool) -> None:
        short = small.shape[dim]
        position = torch.arange(part.start, part.stop, device=small.device, dtype=small.dtype)
        if align_corners:
            position = position * ((short - 1) / max(length - 1, 1))
        else:
            position = ((position + 0.5) * (short / length) - 0.5).clamp(min=0)
        self.dim = dim
        self.before = position.long().clamp(max=short - 1)
        self.after = (self.before + 1).clamp(max=short - 1)
        share = position - self.before
        self.share = share.view(-1, 1) if dim == 2 else share

    def __call__(self, small: Tensor) -> Tensor:
        before, after = (small.index_select(self.dim, index) for index in (self.before, self.after))
        return torch.lerp(before, after, self.share)

    def add_backward(self, grad: Tensor, out: Tensor) -> None:
        out.index_add_(self.dim, self.before, grad * (1 - self.share))
        out.index_add_(self.dim, self.after, grad * self.share)
