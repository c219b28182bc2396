"""The segmentors: those of mmseg, with an encoder that trains in local modules."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from mmseg.models.segmentors import CascadeEncoderDecoder, EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.backbone import InfoProBackbone, Losses
from infopro_seg.models.bounded_prediction import BoundedPrediction, check_test_cfg
from infopro_seg.models.channels import infer_in_channels, neck_config, neck_out_channels
from infopro_seg.models.local_training import LocalTraining
from infopro_seg.models.losses.class_weights import mend_class_weights
from infopro_seg.models.losses.lean_loss import head_losses

WHAT_HEADS_READ = (
    'an assertion of mmseg fails; a head that reads several feature maps lists them in in_index; an FCNHead '
    "or a similar head also needs input_transform='resize_concat'; other heads need one in_index. Got "
)


class LocalSegmentor(LocalTraining, BoundedPrediction):
    """Mixin for a segmentor of mmseg: one loss per local module; neck and heads belong to the last module.

    Args:
        backbone: config of an :class:`InfoProBackbone`.
        neck: config of the neck; `in_channels` may be left out and is then inferred.
        pretrained: the encoder's pretrained weights, as in older configs of mmseg.
        channels_last: whether convolutions store channels last in memory. Losses and gradients are the same
            up to rounding, and it is often faster.
        kwargs: the other arguments of the segmentor.

    Raises:
        ConfigError: the backbone is not an `InfoProBackbone`, or the `in_channels` of neck or a head are
            wrong.
    """

    backbone: Any
    neck: Any
    decode_head: Any
    auxiliary_head: Any
    data_preprocessor: Any
    train_cfg: Any
    with_neck: bool
    with_auxiliary_head: bool

    def __init__(
        self,
        backbone: dict[str, Any],
        neck: dict[str, Any] | None = None,
        pretrained: str | None = None,
        channels_last: bool = False,
        **kwargs: Any,
    ) -> None:
        if pretrained is not None and 'encoder' in backbone:
            weights = {'type': 'Pretrained', 'checkpoint': pretrained}
            if backbone['encoder'].get('init_cfg') not in (None, weights):
                raise ConfigError(
                    f'model.pretrained={pretrained!r} and init_cfg={backbone["encoder"]["init_cfg"]} of the '
                    'encoder both name its weights; keep one, and set the other to None'
                )
            backbone = {**backbone, 'encoder': {'init_cfg': weights, **backbone['encoder']}}
        self._neck_config = neck  # filled in and built with the heads, once the encoder is known
        super().__init__(backbone=backbone, **kwargs)  # type: ignore[call-arg]
        del self._neck_config
        check_test_cfg(self.test_cfg or {})
        mend_class_weights(self)  # type: ignore[arg-type]
        self.ready(channels_last, self.neck if self.with_neck else None, *self.heads().values())

    def last_losses(self, features: Any, data_samples: SampleList) -> Generator[Losses, None, None]:
        """Yields the losses of neck and heads, the end of the last module.

        Args:
            features: the encoder's outputs; None, for no losses, while an earlier module trains alone.
            data_samples: N samples with `gt_sem_seg`.
        """
        if features is None:
            return
        if self.with_neck:
            features = self.neck(features)
        losses = self.decode_losses(features, data_samples)
        for name, head in self.auxiliary_heads().items():
            losses.update(add_prefix(head_losses(head, features, data_samples, self.train_cfg), name))
        del features  # the graph keeps them as long as it needs them
        yield losses

    def decode_losses(self, features: Any, data_samples: SampleList) -> Losses:
        """The losses of the decode heads, with mmseg's prefix.

        Args:
            features: the outputs of encoder or neck.
            data_samples: N samples with `gt_sem_seg`.
        """
        losses = head_losses(self.decode_head, features, data_samples, self.train_cfg)
        prefixed: Losses = add_prefix(losses, 'decode')
        return prefixed

    def heads(self) -> dict[str, Any]:
        """The decode heads and the auxiliary heads, by the prefix that mmseg gives their losses."""
        return {**dict(_numbered('decode', self.decode_head)), **self.auxiliary_heads()}

    def auxiliary_heads(self) -> dict[str, Any]:
        """The auxiliary heads, by the prefix that mmseg gives their losses."""
        return dict(_numbered('aux', self.auxiliary_head)) if self.with_auxiliary_head else {}

    def outputs_read(self) -> set[int] | None:
        """Indices of the encoder's outputs that a head reads; None if a neck reads them all."""
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

    def with_in_channels(self, heads: Any, name: str) -> Any:
        """The config of a head, or of a list of heads, with its `in_channels` filled in."""
        if isinstance(heads, (list, tuple)):
            return [self.with_in_channels(head, f'{name}[{index}]') for index, head in enumerate(heads)]
        source = 'neck' if self.with_neck else 'encoder'
        return infer_in_channels(heads, name, self.head_channels, source)

    def _init_decode_head(self, decode_head: Any) -> None:
        if not isinstance(self.backbone, InfoProBackbone):
            raise ConfigError(
                f'{type(self).__name__} needs an InfoProBackbone as backbone, not '
                f'{type(self.backbone).__name__}; wrap it: dict(type="InfoProBackbone", encoder=...), '
                f'or use the stock {type(self).__name__.removeprefix("InfoPro")}'
            )
        self.head_channels: tuple[int, ...] = self.backbone.out_channels
        if self._neck_config is not None:
            self.neck = MODELS.build(neck_config(self._neck_config, self.backbone.out_channels))
            self.head_channels = neck_out_channels(self.neck, self.backbone.out_shapes)
        self._build('decode_head', decode_head, super()._init_decode_head)  # type: ignore[misc]

    def _init_auxiliary_head(self, auxiliary_head: Any) -> None:
        if auxiliary_head is not None:
            build = super()._init_auxiliary_head  # type: ignore[misc]
            self._build('auxiliary_head', auxiliary_head, build)

    def _build(self, name: str, config: Any, build: Any) -> None:
        config = self.with_in_channels(config, name)
        try:
            build(config)
        except AssertionError as error:
            said = ' '.join(str(error).split()).rstrip('.')
            # mmseg checks what a head reads by assertions without words
            cause = f'{said}; correct {name} of the config' if said else WHAT_HEADS_READ + _described(config)
            raise ConfigError(f'{name} cannot be built: {cause}') from error


@MODELS.register_module()
class InfoProEncoderDecoder(LocalSegmentor, EncoderDecoder):
    """`EncoderDecoder` trained module by module; its last module ends with neck and heads.

    Takes the arguments of mmseg's `EncoderDecoder`, with an :class:`InfoProBackbone` as backbone.
    `in_channels` of neck and heads may be left out: they are inferred from the encoder.
    Testing, prediction and the keys of the state dict are those of the stock segmentor.

    Raises:
        ConfigError: the backbone is not an `InfoProBackbone`, or the `in_channels` of neck or a head are
            wrong.
    """


@MODELS.register_module()
class InfoProCascadeEncoderDecoder(LocalSegmentor, CascadeEncoderDecoder):
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


def _numbered(prefix: str, heads: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(heads, nn.ModuleList):
        yield from ((f'{prefix}_{index}', head) for index, head in enumerate(heads))
    else:
        yield prefix, heads


def _described(config: Any) -> str:
    """What a head, or each of a list of heads, reads according to its config."""
    keys = ('type', 'in_index', 'in_channels', 'input_transform')
    configs = config if isinstance(config, list) else [config]
    return '; '.join(', '.join(f'{key}={one.get(key)}' for key in keys if key in one) for one in configs)
