"""The model wrapper of module-parallel training: a process trains one local module of the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import get_dist_info
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.parallel import DistributedDataParallel

from infopro_seg.errors import ConfigError
from infopro_seg.models.segmentor import LocalSegmentor
from infopro_seg.models.train_step import added, train_modules, update
from infopro_seg.training.module_parallel.link import Link
from infopro_seg.training.module_parallel.local_module import HandedBatch, LocalModule
from infopro_seg.training.module_parallel.messages import on_device
from infopro_seg.training.module_parallel.norms import synchronise_norms
from infopro_seg.training.module_parallel.placement import place
from infopro_seg.training.module_parallel.prediction import divided
from infopro_seg.training.module_parallel.share import Share, drop_absent_state
from infopro_seg.training.module_parallel.stream import Stream


@MODEL_WRAPPERS.register_module()
class ModuleParallel(nn.Module):
    """Trains one local module on the output that the process of the previous module sends.

    Until :meth:`settle`, the network is whole and on the CPU, so that all processes initialise it alike. From
    then on, a process holds only its own module; the others are on the `meta` device and take no memory.

    Args:
        module: an `InfoProEncoderDecoder`.
        sync_bn: whether its batch norms become SyncBN, within each group of replicas.

    Raises:
        ConfigError: the model is not a segmentor or has MMSyncBN, or the number of processes is not a
            multiple of the number of modules.
    """

    def __init__(self, module: Any, sync_bn: bool = False) -> None:
        super().__init__()
        if not isinstance(module, LocalSegmentor):
            raise ConfigError(
                f'module-parallel training is for segmentors with local modules, not {type(module).__name__}'
                '; leave out --module-parallel: several processes then share the batch'
            )
        rank, processes = get_dist_info()
        self.placement = place(len(module.backbone.cuts) + 1, processes, rank)
        device = get_device()
        self.device = torch.device(f'cuda:{torch.cuda.current_device()}' if device == 'cuda' else device)
        shape = (self.placement.modules, self.placement.replicas)
        mesh = init_device_mesh(self.device.type, shape, mesh_dim_names=('modules', 'data'))
        self.data_group = mesh.get_group('data')  # the processes that train the same module
        module = synchronise_norms(module, sync_bn, self.placement.replicas, self.data_group)
        self.local: Any = LocalModule(module, self.placement.module)
        self.link = Link(self.placement)
        self.stream = Stream(self.link)

    @property
    def module(self) -> Any:
        """The network."""
        return getattr(self.local, 'module', self.local).model

    @property
    def is_with_first_rank(self) -> bool:
        """Whether this process trains on the same images as the first rank, which draws."""
        return self.placement.replica == 0

    def settle(self, optim_wrapper: OptimWrapper) -> None:
        """Keeps only the process's own module, on its device; called after initialisation, before any step.

        Args:
            optim_wrapper: the optimizer wrapper of all parameters.
        """
        share = Share(self.module, self.placement.module)
        share.drop_foreign(optim_wrapper.optimizer)
        share.to(self.device)
        self.module._set_device(self.device)  # where mmengine's preprocessor puts the images
        if self.placement.replicas > 1:
            tensors = [*self.local.named_parameters(), *self.local.named_buffers()]
            absent = [name for name, tensor in tensors if tensor.is_meta]
            ddp: Any = DistributedDataParallel
            ddp._set_params_and_buffers_to_ignore_for_model(self.local, absent)
            self.local = ddp(self.local, process_group=self.data_group, broadcast_buffers=False)

    def train_step(self, data: HandedBatch, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One iteration of the module.

        Args:
            data: the batch, with the output of the previous module.
            optim_wrapper: the model's optimizer wrapper.

        Returns:
            The losses of this and the previous modules, and their sum as `loss`.
        """
        handed = data.handed
        handed.state, handed.kept, handed.log_vars = on_device(
            (handed.state, handed.kept, handed.log_vars), self.device
        )
        with optim_wrapper.optim_context(self):
            prepared = self.module.data_preprocessor(dict(data), True)
            losses = self.local(handed, prepared['inputs'], prepared['data_samples'], self.link.send_on)
        del prepared
        log_vars = train_modules(self, losses, optim_wrapper, self.placement.module)
        update(self, optim_wrapper)
        return added(handed.log_vars, log_vars)

    def no_sync(self) -> Any:
        """Within the context, gradients are summed up without an exchange among the replicas."""
        return self.local.no_sync() if isinstance(self.local, DistributedDataParallel) else nullcontext()

    def divided(self) -> AbstractContextManager[None]:
        """Within the context, the network predicts together with its neighbours, see :func:`divided`."""
        return divided(self.module, self.placement.module, self.stream, self.device)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within the context, all processes predict the same images; if one fails, no other waits."""
        self.stream.open()
        try:
            with self.divided():
                yield
        finally:
            self.stream.close()

    def forget_absent(self, optim_wrapper: OptimWrapper) -> None:
        """Drops what a checkpoint contained for other modules: optimizer state and waiting gradients."""
        drop_absent_state(optim_wrapper.optimizer, self.module.parameters())

    def val_step(self, data: Any) -> Any:
        """mmengine's validation step; only in the last module's process, samples get labels."""
        with self.divided():
            return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        """mmengine's test step; only in the last module's process, samples get labels."""
        with self.divided():
            return self.module.test_step(data)
