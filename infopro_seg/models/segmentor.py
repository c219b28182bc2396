"""The segmentors: those of mmseg, with an encoder that trains in local modules."""

from __future__ import annotations

from typing import Any

from mmseg.models.segmentors import CascadeEncoderDecoder, EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import SampleList

from infopro_seg.errors import ConfigError
from infopro_seg.models.backbone import Losses
from infopro_seg.models.local_training import LocalTraining


@MODELS.register_module()
class InfoProEncoderDecoder(LocalTraining, EncoderDecoder):
    """`EncoderDecoder` trained module by module; its last module ends with neck and heads.

    Takes the arguments of mmseg's `EncoderDecoder`, with an :class:`InfoProBackbone` as backbone.
    `in_channels` of neck and heads may be left out: they are inferred from the encoder.
    Testing, prediction and the keys of the state dict are those of the stock segmentor.

    Raises:
        ConfigError: the backbone is not an `InfoProBackbone`, or the `in_channels` of neck or a head are
            wrong.
    """


@MODELS.register_module()
class InfoProCascadeEncoderDecoder(LocalTraining, CascadeEncoderDecoder):
    """`CascadeEncoderDecoder` trained module by module: OCRNet, PointRend.

    Each decode head reads the logits of the previous one; all of them belong to the last module.
    Takes the arguments of mmseg's `CascadeEncoderDecoder`. Otherwise like :class:`InfoProEncoderDecoder`.

    Raises:
        ConfigError: as for :class:`InfoProEncoderDecoder`, or the number of decode heads is not `num_stages`.
    """

    def decode_losses(self, features: Any, data_samples: SampleList) -> Losses:
        """The losses of the decode heads, `decode_0` and up, from the outputs of encoder or neck."""
        losses: Losses = self._decode_head_forward_train(features, data_samples)
        return losses

    def _init_decode_head(self, decode_head: Any) -> None:
        count = len(decode_head) if isinstance(decode_head, (list, tuple)) else None
        if count != self.num_stages:
            raise ConfigError(
                f'decode_head is {"no list" if count is None else f"a list of {count}"}, but '
                f'num_stages={self.num_stages} of InfoProCascadeEncoderDecoder needs a list of that many '
                'heads; a single head belongs to an InfoProEncoderDecoder'
            )
        super()._init_decode_head(list(decode_head))
