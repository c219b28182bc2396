"""Distributed training: an ordinary DDP around a model with one backward pass per local module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.dist import all_reduce_params
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.asynchronous.turns import tensors_elsewhere
from infopro_seg.models.train_step import local_train_step, start, train_modules, update

BUCKET_MB = 25  # as DDP's own


@MODEL_WRAPPERS.register_module()
class LocalDistributedDataParallel(MMDistributedDataParallel):
    """`MMDistributedDataParallel` that trains by :func:`local_train_step`.

    DDP's forward pass returns the generator of local losses before it has started. That prepares DDP's
    reducer; then each parameter becomes ready once, in the backward pass of its own module. If modules train
    in turn, DDP handles only the one that trains. The others are on another device, equal on all ranks.

    Args:
        module: an `InfoProEncoderDecoder`.
        device_ids: the GPU of this process; ignored for a model on the CPU.
        broadcast_buffers: whether each forward pass copies the buffers of rank 0 (BN statistics) to all.
        kwargs: the other arguments of `torch.nn.parallel.DistributedDataParallel`.

    Raises:
        ConfigError: `find_unused_parameters`, `static_graph` or `detect_anomalous_params` is set. These read
            the graph, which does not exist yet when DDP's forward pass returns. Or `broadcast_buffers` is
            set and local modules overlap.
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
        overlap: Any = getattr(getattr(module, 'backbone', None), 'overlap', False)
        if broadcast_buffers and overlap:
            raise ConfigError(
                f'broadcast_buffers=True does not work with overlap={overlap} of the backbone, whose '
                'gradients are exchanged outside DDP; leave out broadcast_buffers, or set overlap=0'
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
        """One iteration: a backward pass per module, gradients averaged over ranks, one optimizer step.

        DDP exchanges each gradient once, during the backward pass. Blocks that two local modules share get
        theirs in two, so with `overlap` all gradients are averaged after the last one instead.
        """
        backbone: Any = self.module.backbone
        if not (backbone.overlap and backbone.cuts):
            return local_train_step(self, data, optim_wrapper)
        with self.no_sync():
            log_vars = train_modules(self, start(self, data, optim_wrapper), optim_wrapper)
        if optim_wrapper.should_update():
            self.average_gradients()
        update(self, optim_wrapper)
        return log_vars

    def average_gradients(self) -> None:
        """Replaces the gradients by their means over all ranks."""
        gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
        all_reduce_params(gradients, bucket_size_mb=BUCKET_MB, op='mean')
