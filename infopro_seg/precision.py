"""TF32: GPUs from Ampere on multiply float32 matrices several times faster if they may round their inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from infopro_seg.errors import ConfigError


def use_tf32(env_cfg: Mapping[str, Any]) -> None:
    """Sets TF32 for float32 matrix products and convolutions on GPUs, as a config's `env_cfg.tf32` says.

    Args:
        env_cfg: the config's `env_cfg`. With `tf32=True` both use TF32, with False neither does. Without the
            key, convolutions use it and matrix products do not, as in torch.

    Raises:
        ConfigError: `tf32` is neither True nor False.
    """
    tf32 = env_cfg.get('tf32')
    if tf32 not in (None, True, False):
        raise ConfigError(f'env_cfg.tf32={tf32!r} is neither True nor False; write one of them')
    matmul, convolution = (False, True) if tf32 is None else (bool(tf32), bool(tf32))
    torch.backends.cuda.matmul.allow_tf32 = matmul
    torch.backends.cudnn.allow_tf32 = convolution


def describe_tf32(env_cfg: Mapping[str, Any]) -> str:
    """The effect of :func:`use_tf32`, in words."""
    tf32 = env_cfg.get('tf32')
    return 'TF32 in convolutions' if tf32 is None else f'TF32 {"on" if tf32 else "off"}'
