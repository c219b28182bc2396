"""The compiled operator of mmcv that PointRend's head needs, in plain PyTorch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads import point_head
from torch import Tensor


def point_sample(input: Tensor, points: Tensor, align_corners: bool = False, **kwargs: Any) -> Tensor:
    """Samples feature maps at points, as `mmcv.ops.point_sample` does; mmcv's pure-Python build lacks it.

    Args:
        input: feature maps, (N, C, H, W).
        points: x and y of each point as shares of width and height, (N, P, 2).
        align_corners: whether 0 and 1 are the centres of the outermost pixels, not their outer edges.
        kwargs: the other arguments of `torch.nn.functional.grid_sample`.

    Returns:
        The features at the points, (N, C, P).
    """
    dtype = torch.promote_types(input.dtype, points.dtype)
    grid = points.to(dtype).unsqueeze(2) * 2 - 1
    return F.grid_sample(input.to(dtype), grid, align_corners=align_corners, **kwargs).squeeze(3)


if point_head.point_sample is None:
    point_head.point_sample = point_sample
