"""mmseg's layer-wise learning rates (ConvNeXt, BEiT, MAE) for a wrapped encoder."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from mmseg.engine.optimizers import LearningRateDecayOptimizerConstructor
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.state_dict import ENCODER

BACKBONE = 'backbone.'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LocalLearningRateDecayConstructor(LearningRateDecayOptimizerConstructor):
    """mmseg's `LearningRateDecayOptimizerConstructor` for models with an `InfoProBackbone`.

    mmseg's constructor reads the type of the backbone and the stock names of its parameters; it gets both.
    Local heads learn at the same rate as the decode head.
    """

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, **kwargs: Any) -> None:
        """Adds a group of parameters for each rate and weight decay.

        Raises:
            ConfigError: mmseg does not define this `decay_type` for the encoder.
        """
        backbone: Any = module.backbone
        if isinstance(backbone, InfoProBackbone):
            backbone = backbone.encoder
        stock = SimpleNamespace(backbone=backbone, named_parameters=lambda: _stock_names(module))
        try:
            super().add_params(params, stock, **kwargs)
        except NotImplementedError as error:
            raise ConfigError(
                f'decay_type={self.paramwise_cfg.get("decay_type")!r} of paramwise_cfg is not defined for '
                f'the encoder {type(backbone).__name__}; mmseg has layer_wise for ConvNeXt, BEiT and MAE, '
                'stage_wise for ConvNeXt'
            ) from error


def _stock_names(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in module.named_parameters():
        yield name.replace(BACKBONE + ENCODER, BACKBONE, 1), parameter
