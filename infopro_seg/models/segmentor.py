"""The segmentor: an ordinary mmseg `EncoderDecoder` whose encoder trains in local modules."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from mmengine.optim import OptimWrapper
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.backbone import InfoProBackbone, Losses
from infopro_seg.models.channels import infer_in_channels
from infopro_seg.models.checkpoint import recompute_norms
from infopro_seg.models.image import to_rgb
from infopro_seg.models.lean_loss import head_losses
from infopro_seg.training.step import local_train_step


@MODELS.register_module()
class InfoProEncoderDecoder(EncoderDecoder):
    """`EncoderDecoder` trained module by module; its last module ends with neck and heads.

    Takes the arguments of mmseg's `EncoderDecoder`, with an :class:`InfoProBackbone` as backbone.
    `in_channels` of heads may be left out: without a neck they are inferred from the encoder.
    Testing, prediction and the state dict's keys are those of the stock segmentor.

    Raises:
        ConfigError: the backbone is no `InfoProBackbone`, or a head expects channels that the encoder
            does not give.
    """

    def local_losses(self, inputs: Tensor, data_samples: SampleList) -> Generator[Losses, None, None]:
        """Yields the losses of each local module, the last with neck and heads.

        Run backward on each before asking for the next: only one module's graph is alive at a time
        (paper, figure 1).

        Args:
            inputs: normalised images, (N, 3, H, W).
            data_samples: N samples with `gt_sem_seg`.
        """
        image = to_rgb(inputs, self.data_preprocessor)
        early = self.backbone.local_losses(inputs, image, data_samples, self.outputs_read())
        del inputs, image  # the last module needs neither
        features = yield from early
        if self.with_neck:
            features = self.neck(features)
        losses: Losses = {}
        for name, head in self.heads().items():
            losses.update(add_prefix(head_losses(head, features, data_samples, self.train_cfg), name))
        yield losses

    def loss(self, inputs: Tensor, data_samples: SampleList) -> Losses:
        """All modules' losses at once: the same gradients as `local_losses`, but no memory saved."""
        return {
            name: value
            for losses in self.local_losses(inputs, data_samples)
            for name, value in losses.items()
        }

    def forward(self, inputs: Tensor, data_samples: SampleList | None = None, mode: str = 'tensor') -> Any:
        """mmseg's modes, and `local_losses`: the generator, not yet started."""
        if mode == 'local_losses':
            return self.local_losses(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def train_step(self, data: dict[str, Any], optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One iteration: backward per module, one optimizer step."""
        return local_train_step(self, data, optim_wrapper)

    def heads(self) -> dict[str, Any]:
        """The decode head and the auxiliary heads, by the prefix that mmseg gives their losses."""
        heads = {'decode': self.decode_head}
        if self.with_auxiliary_head:
            auxiliary = self.auxiliary_head
            if isinstance(auxiliary, nn.ModuleList):
                heads.update((f'aux_{index}', head) for index, head in enumerate(auxiliary))
            else:
                heads['aux'] = auxiliary
        return heads

    def outputs_read(self) -> set[int] | None:
        """Indices of the encoder's outputs that a head reads; None where a neck reads them all."""
        if self.with_neck:
            return None
        count = len(self.backbone.out_channels)
        read: set[int] = set()
        for head in self.heads().values():
            index = head.in_index
            read.update(i % count for i in (index if isinstance(index, (list, tuple)) else [index]))
            if getattr(head, 'c1_bottleneck', None) is not None:
                read.add(0)  # DeepLabV3+ reads it besides its in_index
        return read

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.backbone.checkpoint_heads:
            recompute_norms(self.neck if self.with_neck else None, *self.heads().values())

    def _init_decode_head(self, decode_head: dict[str, Any]) -> None:
        super()._init_decode_head(self._with_in_channels(decode_head, 'decode_head'))

    def _init_auxiliary_head(self, auxiliary_head: Any) -> None:
        if isinstance(auxiliary_head, (list, tuple)):
            auxiliary_head = [
                self._with_in_channels(head, f'auxiliary_head[{index}]')
                for index, head in enumerate(auxiliary_head)
            ]
        elif auxiliary_head is not None:
            auxiliary_head = self._with_in_channels(auxiliary_head, 'auxiliary_head')
        super()._init_auxiliary_head(auxiliary_head)

    def _with_in_channels(self, head: dict[str, Any], name: str) -> dict[str, Any]:
        if not isinstance(self.backbone, InfoProBackbone):
            raise ConfigError(
                f'InfoProEncoderDecoder needs an InfoProBackbone as backbone, not '
                f'{type(self.backbone).__name__}; wrap it: dict(type="InfoProBackbone", encoder=...), '
                'or use the stock EncoderDecoder'
            )
        return head if self.with_neck else infer_in_channels(head, name, self.backbone.out_channels)
