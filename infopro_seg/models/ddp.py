"""Distributed training: one ordinary DDP around a model whose backward runs once per module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.stages import tensors_elsewhere
from infopro_seg.models.train_step import local_train_step


@MODEL_WRAPPERS.register_module()
class LocalDistributedDataParallel(MMDistributedDataParallel):
    """`MMDistributedDataParallel` that trains by :func:`local_train_step`.

    DDP's forward returns the unstarted generator of local losses, which arms its reducer; then every
    parameter becomes ready once, in the backward of its own module. Of a stage it takes only what trains,
    as the rest lives on another device and is the same on all ranks.

    Args:
        module: an `InfoProEncoderDecoder`.
        device_ids: the GPU of this process; ignored for a model on the CPU.
        broadcast_buffers: whether rank 0's buffers (BN statistics) overwrite the others' at each
            forward pass.
        kwargs: the other arguments of `torch.nn.parallel.DistributedDataParallel`.

    Raises:
        ConfigError: `find_unused_parameters`, `static_graph` or `detect_anomalous_params` is asked for;
            they read the graph of the forward pass, which does not exist yet when DDP's forward returns.
    """

    def __init__(
        self,
        module: nn.Module,
        device_ids: Sequence[int] | None = None,
        broadcast_buffers: bool = False,
        **kwargs: Any,
    ) -> None:
        for option in ('find_unused_parameters', 'static_graph', 'detect_anomalous_params'):
            if kwargs.get(option):
                raise ConfigError(
                    f'{option}=True does not work with local losses, whose graphs are built after the '
                    f'forward pass returns; remove {option} from the config (every trainable parameter '
                    'gets a gradient in each iteration, so it is not needed)'
                )
        self._set_params_and_buffers_to_ignore_for_model(module, tensors_elsewhere(module))
        on_cpu = all(p.device.type == 'cpu' for p in module.parameters() if p.requires_grad)
        super().__init__(
            module,
            device_ids=None if on_cpu else device_ids,
            broadcast_buffers=broadcast_buffers,
            **kwargs,
        )

    def train_step(self, data: dict[str, Any], optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One iteration: backward per module, gradients averaged over ranks, one optimizer step.

        Raises:
            ConfigError: local modules overlap, so that the parameters they share would become ready twice.
        """
        backbone: Any = self.module.backbone
        if backbone.overlap and backbone.cuts:
            raise ConfigError(
                f'overlap={backbone.overlap} of the backbone does not work with DDP, which exchanges each '
                'gradient once: blocks that two local modules share get theirs in two backward passes; set '
                'overlap=0, choose momentum_block instead, or train in one process'
            )
        return local_train_step(self, data, optim_wrapper)
