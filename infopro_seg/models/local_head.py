"""What trains one local module: a decoder, I(h, x), and a pixel-wise auxiliary head, I(h, y)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.lean_loss import head_losses


@MODELS.register_module()
class InfoProHead(BaseModule):
    """The local head of one module: `lambda_recon * L_recon + lambda_task * L_task` (paper, eq. 9).

    The lambdas are the `loss_weight` of the decoder's and the auxiliary head's own losses. Without a
    decoder it is greedy local supervision, or DGL with a deeper auxiliary head.

    Args:
        in_channels: channels of the feature map; the backbone infers it.
        auxiliary_head: config of any mmseg decode head that reads one feature map; its `in_channels`
            and `in_index` are replaced. Without `channels`, it is as wide as the feature map.
        decoder: config of the decoder.
        stride: classify at 1 / stride of the image's resolution: every stride-th label, and feature maps
            finer than that averaged over areas.
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
                'InfoProHead has neither decoder nor auxiliary_head: nothing would train its module; '
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
        """The losses of one module.

        Args:
            feature: what the module hands on, (N, C, h, w).
            image: RGB in [0, 1], (N, 3, H, W).
            data_samples: N samples with `gt_sem_seg`.

        Returns:
            `loss_recon`, and the auxiliary head's losses and accuracy under their mmseg names.
        """
        losses: dict[str, Tensor] = {}
        if self.decoder is not None:
            losses['loss_recon'] = self.decoder.loss(feature, image)
        if self.auxiliary_head is not None:
            if self.stride > 1:
                data_samples = subsample_labels(data_samples, self.stride)
                size = data_samples[0].gt_sem_seg.shape
                if feature.shape[2] > size[0] and feature.shape[3] > size[1]:
                    feature = F.adaptive_avg_pool2d(feature, size)
            losses.update(head_losses(self.auxiliary_head, [feature], data_samples))
        return losses

    def reconstruct(self, feature: Tensor, size: tuple[int, int]) -> Tensor | None:
        """The decoded image as RGB in [0, 1], (N, 3, *size); None without a decoder."""
        if self.decoder is None:
            return None
        image = self.decoder(feature, size).float().sigmoid()
        resized: Tensor = resize(image, size=size, mode='bilinear', align_corners=False, warning=False)
        return resized


def subsample_labels(data_samples: SampleList, stride: int) -> SampleList:
    """New samples whose `gt_sem_seg` is every `stride`-th label, from the middle of each square of them."""
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
        config: one config for all, or one per cut.
        channels: channels of the feature map at each cut.
        cuts: names of the cuts, for error messages.

    Raises:
        ConfigError: there is a cut but no head, or a list of another length than the cuts.
    """
    if cuts and config is None:
        raise ConfigError(f'the cuts {tuple(cuts)} need local heads; give the backbone a local_head')
    if config is None or isinstance(config, dict):
        configs = [config or {}] * len(cuts)
    elif len(config) == len(cuts):
        configs = list(config)
    else:
        raise ConfigError(
            f'local_head lists {len(config)} heads, but the {len(cuts)} cuts {tuple(cuts)} need '
            f'{len(cuts)}; give one per cut, or a single one for all'
        )
    heads = []
    for index, (head, width) in enumerate(zip(configs, channels, strict=True)):
        depth = index / (len(cuts) - 1) if len(cuts) > 1 else 0.0
        heads.append(MODELS.build({**interpolate_weights(head, depth), 'in_channels': width}))
    return nn.ModuleList(heads)


def interpolate_weights(config: Any, depth: float) -> Any:
    """Replaces every `loss_weight` that is a pair by its value at a depth (paper, section 5).

    Args:
        config: the config of a local head, at any nesting.
        depth: 0 for the first local module with a local head, 1 for the last; linear between.

    Returns:
        A copy of the config in which every `loss_weight` is a number.
    """
    if isinstance(config, dict):
        out = {key: interpolate_weights(value, depth) for key, value in config.items()}
        weight = out.get('loss_weight')
        if isinstance(weight, (list, tuple)):
            if len(weight) != 2:
                raise ConfigError(
                    f'loss_weight={weight} of a local head; give one number, or the pair (first, last)'
                )
            first, last = weight
            out['loss_weight'] = first + (last - first) * depth
        return out
    if isinstance(config, (list, tuple)):
        return type(config)(interpolate_weights(item, depth) for item in config)
    return config
