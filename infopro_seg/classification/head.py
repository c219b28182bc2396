"""The auxiliary head of the paper's classification networks, with softmax or contrast."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmengine.model import BaseModule, kaiming_init
from mmseg.registry import MODELS
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.local_heads.contrastive_head import supervised_contrastive_loss
from infopro_seg.models.local_heads.decoder import BATCH_NORM, RELU

WIDE = 16  # width in pixels from which the first convolution has stride 2
LOSSES = ('softmax', 'contrast')


class EntryConv(nn.Conv2d):
    """A 3x3 convolution that halves feature maps that are at least 16 pixels wide."""

    def forward(self, input: Tensor) -> Tensor:
        """The convolved map, (N, C, h, w)."""
        stride = 2 if input.shape[-1] >= WIDE else 1
        return F.conv2d(input, self.weight, self.bias, stride, self.padding)


@MODELS.register_module()
class ConvClassifierHead(BaseModule):
    """An auxiliary head that classifies whole images (paper, appendix): convolutions, pooling, linear layers.

    The paper's "1c2f" has `num_convs=1, num_linear=2`; its greedy SL is "0c1f", DGL "2c2f".

    Args:
        in_channels: channels of the feature map.
        channels: channels of the convolutions.
        num_classes: number of classes.
        double_below: `channels` is doubled if it is below this value.
        num_convs: number of 3x3 convolutions before the pooling. The first has stride 2 if the map is at
            least 16 pixels wide.
        num_linear: number of linear layers after the pooling, at least 1.
        hidden_channels: channels between linear layers.
        loss: `softmax`, or `contrast` for the supervised contrastive loss over all images of the batch.
        out_channels: width of the projection, for `contrast`.
        temperature: tau of the contrastive loss.
        loss_weight: lambda_task.
        norm_cfg: norm of the convolutions; None for none.
        act_cfg: activation of all layers but the last.
        in_index: index of the only feature map.
        init_cfg: mmengine's initialisation config.

    Raises:
        ConfigError: the loss is unknown, the temperature is not above 0, or there is no linear layer.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        num_classes: int,
        double_below: int = 0,
        num_convs: int = 1,
        num_linear: int = 2,
        hidden_channels: int = 128,
        loss: str = 'softmax',
        out_channels: int = 128,
        temperature: float = 0.07,
        loss_weight: float = 1.0,
        norm_cfg: dict[str, Any] | None = BATCH_NORM,
        act_cfg: dict[str, Any] = RELU,
        in_index: int = 0,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if loss not in LOSSES:
            raise ConfigError(f'loss={loss!r} of a ConvClassifierHead; choose from {", ".join(LOSSES)}')
        if temperature <= 0:
            raise ConfigError(
                f'temperature={temperature} of ConvClassifierHead must be above 0; give e.g. 0.07'
            )
        if num_linear < 1:
            raise ConfigError(
                f'num_linear={num_linear} of a ConvClassifierHead leaves no layer that gives scores; give 1 '
                'or more'
            )
        self.in_index = in_index
        self.num_classes = num_classes
        self.contrasts_images = loss == 'contrast'
        self.temperature = temperature
        self.loss_weight = loss_weight
        width = 2 * channels if channels < double_below else channels
        layers: list[nn.Module] = []
        for index in range(num_convs):
            kind = EntryConv if index == 0 else nn.Conv2d
            conv = kind(in_channels, width, 3, padding=1, bias=norm_cfg is None)
            kaiming_init(conv)
            norm = [] if norm_cfg is None else [build_norm_layer(norm_cfg, width)[1]]
            layers += [conv, *norm, build_activation_layer(act_cfg)]
            in_channels = width
        self.convs = nn.Sequential(*layers)
        ends = out_channels if self.contrasts_images else num_classes
        widths = [in_channels, *[hidden_channels] * (num_linear - 1), ends]
        layers = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), build_activation_layer(act_cfg)]
        self.linear = nn.Sequential(*layers[:-1])

    def forward(self, features: list[Tensor]) -> Tensor:
        """Maps feature maps (N, C, h, w) to logits (N, classes), or to unit vectors (N, out_channels)."""
        pooled = self.convs(features[self.in_index]).mean((2, 3))
        scores: Tensor = self.linear(pooled)
        if self.contrasts_images:
            return F.normalize(scores.to(torch.promote_types(scores.dtype, torch.float32)))
        return scores

    def loss(self, features: list[Tensor], data_samples: Any, train_cfg: Any = None) -> dict[str, Tensor]:
        """The weighted loss, `loss_contrast`, or `loss_ce` and the accuracy in percent, `acc`.

        Args:
            features: feature maps (N, C, h, w).
            data_samples: N samples with `gt_label`.
            train_cfg: ignored.
        """
        scores = self(features)
        labels = torch.cat([sample.gt_label for sample in data_samples])
        if self.contrasts_images:
            everything = torch.ones_like(labels, dtype=torch.bool)
            loss = supervised_contrastive_loss(scores, labels, everything, self.temperature)
            return {'loss_contrast': self.loss_weight * loss}
        accuracy = (scores.argmax(1) == labels).float().mean(0, keepdim=True) * 100
        return {'loss_ce': self.loss_weight * F.cross_entropy(scores, labels), 'acc': accuracy}
