"""The head that trains a local module: a decoder for I(h, x) and a pixel-wise auxiliary head for I(h, y)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor, nn
from torch._decomp import decomposition_table

from infopro_seg.errors import ConfigError
from infopro_seg.models.losses.lean_loss import head_losses

MODULES = re.compile(r'k([1-9]\d*)')  # a number of local modules
INTERPOLATED = {'loss_weight', 'num_convs'}  # may list values, from the first local head to the last


@MODELS.register_module()
class InfoProHead(BaseModule):
    """The local head of one module: `lambda_recon * L_recon + lambda_task * L_task` (paper, eq. 9).

    The lambdas are the `loss_weight` of the losses in decoder and auxiliary head. Without a decoder the
    method is greedy supervised learning, or DGL if the auxiliary head is deeper.

    Args:
        in_channels: channels of the feature map; the backbone fills it in.
        auxiliary_head: config of any mmseg decode head that reads one feature map; its `in_channels`
            and `in_index` are filled in. `channels` defaults to those of the feature map.
        decoder: config of the decoder.
        stride: classify at 1 / stride of the image's resolution. The head then reads every stride-th label,
            and finer feature maps are averaged over areas.
        init_cfg: mmengine's initialisation config.

    Raises:
        ConfigError: neither a decoder nor an auxiliary head is given.
    """

    def __init__(
        self,
        in_channels: int,
        auxiliary_head: dict[str, Any] | None = None,
        decoder: dict[str, Any] | None = None,
        stride: int = 1,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if auxiliary_head is None and decoder is None:
            raise ConfigError(
                'InfoProHead has neither decoder nor auxiliary_head, so nothing would train its module; '
                'give at least one'
            )
        self.stride = stride
        self.auxiliary_head = self.decoder = None
        if decoder is not None:
            self.decoder = MODELS.build({**decoder, 'in_channels': in_channels})
        if auxiliary_head is not None:
            auxiliary_head = {'channels': in_channels, **auxiliary_head}
            only_map = {'in_channels': in_channels, 'in_index': 0}
            self.auxiliary_head = MODELS.build({**auxiliary_head, **only_map})

    def loss(self, feature: Tensor, image: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of the module before the head.

        Args:
            feature: the feature map at the module's end, (N, C, h, w).
            image: RGB in [0, 1], (N, 3, H, W).
            data_samples: N samples with `gt_sem_seg`.

        Returns:
            `loss_recon`, and the losses and the accuracy of the auxiliary head, named as in mmseg.
        """
        losses: dict[str, Tensor] = {}
        if self.decoder is not None:
            losses['loss_recon'] = self.decoder.loss(feature, image)
        if self.auxiliary_head is not None:
            if self.stride > 1:
                data_samples = subsample_labels(data_samples, self.stride)
                size = data_samples[0].gt_sem_seg.shape
                if feature.shape[2] > size[0] and feature.shape[3] > size[1]:
                    feature = area_average(feature, size)
            losses.update(head_losses(self.auxiliary_head, [feature], data_samples))
        return losses

    def reconstruct(self, feature: Tensor, size: tuple[int, int]) -> Tensor | None:
        """The reconstructed image, RGB in [0, 1], (N, 3, *size); None without a decoder."""
        if self.decoder is None:
            return None
        image = self.decoder(feature, size).float().sigmoid()
        resized: Tensor = resize(image, size=size, mode='bilinear', align_corners=False, warning=False)
        return resized


def area_average(feature: Tensor, size: tuple[int, int]) -> Tensor:
    """Averages a feature map (N, C, h, w) over areas, to (N, C, *size).

    Unlike torch's own function, it has a deterministic backward pass on a GPU, where that is asked for.
    """
    if torch.are_deterministic_algorithms_enabled():
        averaged: Tensor = decomposition_table[torch.ops.aten._adaptive_avg_pool2d.default](feature, size)
        return averaged
    return F.adaptive_avg_pool2d(feature, size)


def subsample_labels(data_samples: SampleList, stride: int) -> SampleList:
    """Samples with one label for each square of `stride` x `stride` labels: the one in its middle.

    Labels (1, H, W) become about (1, H / stride, W / stride); the samples given are not changed.
    """
    start = stride // 2
    return [
        SegDataSample(
            gt_sem_seg=PixelData(data=sample.gt_sem_seg.data[..., start::stride, start::stride]),
            metainfo=sample.metainfo,
        )
        for sample in data_samples
    ]


def build_local_heads(
    config: dict[str, Any] | Sequence[dict[str, Any]] | None,
    channels: Sequence[int],
    cuts: Sequence[str],
) -> nn.ModuleList:
    """Builds one local head per cut.

    Args:
        config: one config for all, or a list of one per cut.
        channels: channels of the feature map at each cut.
        cuts: names of the cuts, for error messages.

    Raises:
        ConfigError: there are cuts but no config, or the list has the wrong length.
    """
    if cuts and config is None:
        raise ConfigError(f'the cuts {tuple(cuts)} need local heads; give the backbone a local_head')
    if config is not None and not isinstance(config, dict) and len(config) != len(cuts):
        raise ConfigError(
            f'local_head lists {len(config)} heads, but the {len(cuts)} cuts {tuple(cuts)} need '
            f'{len(cuts)}; give one per cut, or a single one for all'
        )
    return nn.ModuleList(
        MODELS.build({**head, 'in_channels': width})
        for head, width in zip(head_configs(config or {}, len(cuts)), channels, strict=True)
    )


def head_configs(config: dict[str, Any] | Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The configs of the local heads, from one for all or a list of them; listed values are interpolated."""
    configs = [config] * count if isinstance(config, dict) else config
    depths = [index / (count - 1) if count > 1 else 0.0 for index in range(count)]
    return [interpolate(one, depth, count + 1) for one, depth in zip(configs, depths, strict=True)]


def interpolate(config: Any, depth: float, modules: int = 2) -> Any:
    """Replaces every list of values in `loss_weight` and `num_convs` by its value at a depth.

    The values lie at equal distances from the first local head to the last, with straight lines between
    them: `(5, 1)` is the paper's law (section 5), `(5, 1.5, 0.5)` falls faster at first. A falling
    `num_convs=(3, 1)` makes the auxiliary heads of early modules deeper (AugLocal: Ma et al., Scaling
    Supervised Local Learning with Augmented Auxiliary Networks, ICLR 2024). Only the depth follows AugLocal:
    it falls linearly and is rounded, half to even. AugLocal builds auxiliary networks from copies of later
    layers, with their widths and strides; here they are `num_convs` convolutions of equal width.

    Values may depend on the number of local modules: `{'k2': 5, 'k4': (6, 1)}`. A number that is not named
    has the values of the nearest one, of the larger if two are.

    Args:
        config: the config of a local head, at any nesting.
        depth: 0 for the first local module with a local head, 1 for the last; linear between.
        modules: number of local modules.

    Returns:
        A copy of the config in which every `loss_weight` is a number and every `num_convs` a whole number.

    Raises:
        ConfigError: a list has fewer than two values, a `num_convs` is negative or no whole number, or values
            depend on something else than the number of modules.
    """
    if isinstance(config, dict):
        out = {key: interpolate(value, depth, modules) for key, value in config.items()}
        for key in out.keys() & INTERPOLATED:
            if isinstance(out[key], dict) and any(map(MODULES.fullmatch, out[key])):
                out[key] = _of_modules(key, out[key], modules)
            if isinstance(out[key], (list, tuple)):
                out[key] = _at_depth(key, out[key], depth)
        return out
    if isinstance(config, (list, tuple)):
        return type(config)(interpolate(item, depth, modules) for item in config)
    return config


def _of_modules(key: str, values: dict[str, Any], modules: int) -> Any:
    counts = {name: MODULES.fullmatch(name) for name in values}
    if None in counts.values():
        raise ConfigError(
            f"{key}={values} of a local head; name numbers of local modules, as in {key}={{'k2': 5, 'k4': 6}}"
        )
    numbers = {int(match[1]): name for name, match in counts.items() if match}
    nearest = min(numbers, key=lambda number: (abs(number - modules), -number))
    return values[numbers[nearest]]


def _at_depth(key: str, values: Sequence[float], depth: float) -> float:
    if len(values) < 2:
        raise ConfigError(
            f'{key}={values} of a local head; give one number, or (first, last), or more values, from the '
            'first local head to the last'
        )
    place = depth * (len(values) - 1)
    start = min(int(place), len(values) - 2)
    before, after = values[start : start + 2]
    value = before + (after - before) * (place - start)
    if key != 'num_convs':
        return value
    if not all(isinstance(count, int) and count >= 0 for count in values):
        raise ConfigError(
            f'num_convs={values} of a local head is not a number of convolutions; give a whole number, 0 '
            'or more, or such numbers from the first local head to the last'
        )
    return round(value)
