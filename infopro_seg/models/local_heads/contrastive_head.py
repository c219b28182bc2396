"""The contrastive auxiliary head: estimates I(h, y) by pulling the pixels of a class together."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.local_heads.decoder import BATCH_NORM, RELU


@MODELS.register_module()
class ContrastiveHead(BaseModule):
    """A pixel-wise auxiliary head with a supervised contrastive loss (paper, section 3.3).

    It replaces the softmax classifier in an `InfoProHead`. In each training step it draws up to
    `pixels_per_class` pixels of every class from the whole batch and contrasts their projections. Ignored
    pixels are never drawn.

    Args:
        in_channels: channels of the feature map.
        channels: width of the hidden convolutions.
        num_classes: number of classes.
        out_channels: width of the projection.
        num_convs: number of hidden 3x3 convolutions before the projection.
        temperature: tau of the loss.
        pixels_per_class: maximum number of pixels drawn per class; the similarities need
            (classes * pixels)^2 floats.
        ignore_index: label of the pixels that are never drawn.
        loss_weight: lambda_task.
        norm_cfg: norm of the hidden convolutions; None for none.
        act_cfg: their activation.
        in_index: index of the only feature map.
        init_cfg: mmengine's initialisation config.

    Raises:
        ConfigError: `temperature` is not above 0, or `pixels_per_class` is below 2.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        out_channels: int = 128,
        num_convs: int = 1,
        temperature: float = 0.07,
        pixels_per_class: int = 64,
        ignore_index: int = 255,
        loss_weight: float = 1.0,
        norm_cfg: dict[str, Any] | None = BATCH_NORM,
        act_cfg: dict[str, Any] | None = RELU,
        in_index: int = 0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if temperature <= 0:
            raise ConfigError(f'temperature={temperature} of ContrastiveHead must be above 0; give e.g. 0.07')
        if pixels_per_class < 2:
            raise ConfigError(
                f'pixels_per_class={pixels_per_class} of ContrastiveHead gives no pair of one class, so '
                'nothing would be learnt; give 2 or more'
            )
        self.in_index = in_index
        self.num_classes = num_classes
        self.temperature = temperature
        self.pixels_per_class = pixels_per_class
        self.ignore_index = ignore_index
        self.loss_weight = loss_weight
        widths = [in_channels] + [channels] * num_convs
        self.convs = nn.Sequential(
            *(
                ConvModule(width, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)
                for width in widths[:-1]
            )
        )
        self.projection = nn.Conv2d(widths[-1], out_channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Projects the feature map (N, C, h, w) to one unit vector per pixel, (N, out_channels, h, w)."""
        projected: Tensor = self.projection(self.convs(features[self.in_index]))
        return F.normalize(projected.to(torch.promote_types(projected.dtype, torch.float32)))

    def loss(
        self, features: list[Tensor], data_samples: SampleList, train_cfg: Any = None
    ) -> dict[str, Tensor]:
        """The contrastive loss of the projected feature map.

        Args:
            features: feature maps, (N, C, h, w).
            data_samples: N samples with `gt_sem_seg`, (1, H, W); the nearest label is read for each pixel of
                the feature map.
            train_cfg: ignored; decode heads of mmseg have it.

        Returns:
            `loss_contrast`, a scalar, times `loss_weight`.
        """
        embeddings = self(features)
        labels = torch.stack([sample.gt_sem_seg.data for sample in data_samples])
        labels = F.interpolate(labels.float(), size=embeddings.shape[2:]).long().flatten()
        drawn, valid = draw_pixels(
            labels.masked_fill(labels == self.ignore_index, -1), self.num_classes, self.pixels_per_class
        )
        vectors = embeddings.permute(0, 2, 3, 1).flatten(0, 2)[drawn]
        loss = supervised_contrastive_loss(vectors, labels[drawn], valid, self.temperature)
        return {'loss_contrast': self.loss_weight * loss}


def draw_pixels(labels: Tensor, num_classes: int, per_class: int) -> tuple[Tensor, Tensor]:
    """Draws up to `per_class` pixels of each class at random, without repetition.

    Args:
        labels: class of each pixel, (P,); pixels with labels outside 0 to `num_classes` - 1 are never drawn.
        num_classes: number of classes.
        per_class: maximum number of pixels of a class.

    Returns:
        Indices of the drawn pixels, (num_classes * min(per_class, P),), and which of them are valid. The
        number is fixed; if a class has fewer pixels, its remaining places are invalid.
    """
    score = torch.rand(labels.shape, device=labels.device)
    classes = torch.arange(num_classes, device=labels.device)
    of_class = torch.where(labels == classes[:, None], score, -1.0)
    best = of_class.topk(min(per_class, len(labels)), dim=1)
    return best.indices.flatten(), best.values.flatten() >= 0


def supervised_contrastive_loss(vectors: Tensor, labels: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """For each pixel i, the mean of -log softmax_j(z_i z_j / tau) over other pixels j of its class; averaged.

    This estimates I(h, y) by contrast (paper, section 3.3), in the form of Khosla et al., NeurIPS 2020
    (their L_out). The paper averages over all pairs i, j instead, which is the same for equally frequent
    classes; in street scenes, a few frequent classes would have most of the pairs. Without any pair the loss
    is 0, with gradients of 0.

    Args:
        vectors: unit vectors z, (P, D).
        labels: their classes, (P,).
        valid: which vectors take part, (P,).
        temperature: tau.
    """
    with torch.autocast(vectors.device.type, enabled=False):  # half precision is too coarse for 1 / tau
        similarity = vectors @ vectors.T / temperature
    others = valid & ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    hidden = torch.finfo(similarity.dtype).min
    log_softmax = similarity - similarity.masked_fill(~others, hidden).logsumexp(dim=1, keepdim=True)
    pairs = others & valid[:, None] & (labels == labels[:, None])
    partners = pairs.sum(dim=1)
    by_pixel = -torch.where(pairs, log_softmax, 0.0).sum(dim=1) / partners.clamp(min=1)
    loss: Tensor = by_pixel.sum() / (partners > 0).sum().clamp(min=1)
    return loss
