"""mmengine's runner in a process that trains one local module."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from infopro_seg.errors import RankError
from infopro_seg.faults import headline
from infopro_seg.hooks.pending_gradients import GRADIENTS
from infopro_seg.training.module_parallel.evaluation import LastEvaluator, SharedBatches, world_of
from infopro_seg.training.module_parallel.share import Share, drop_absent
from infopro_seg.training.module_parallel.wrapper import ModuleParallel
from infopro_seg.training.runner import QuietRunner

NAMED = ('state_dict', 'ema_state_dict', GRADIENTS)  # the parts of a checkpoint that contain tensors by name
SCALER, SCALERS = 'loss_scaler', 'loss_scalers'  # keys of mmengine's scale, and of all modules' scales


class PartRunner(Runner):
    """mmengine's runner, with checkpoints that combine the parts of several processes."""

    model: Any

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Saves one checkpoint, as a single process would, in the first rank; the others send their parts.

        Each process sends its part at the same iteration, and continues to train meanwhile.
        """
        if self.model.placement.replica > 0:
            return
        whole: Any = Runner.save_checkpoint
        with self._own_part():
            try:
                whole.__wrapped__(self, *args, **kwargs)
            except _SentError:
                return
            except Exception as error:
                if not is_main_process() and not isinstance(error, RankError):
                    self.model.link.send_part(headline(error))  # the first rank waits for the part
                raise

    @contextmanager
    def _own_part(self) -> Iterator[None]:
        """Within the context, state dicts contain only what this process holds."""
        networks = [self.model.module, *(hook.ema_model.module for hook in averages(self))]
        handles = [network.register_state_dict_post_hook(_drop_absent) for network in networks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class PartsHook(Hook):
    """Combines the parts of a checkpoint, in the first rank."""

    priority = 'LOWEST'  # after other hooks have added their parts

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Sends the part of this process, or adds the parts of all others."""
        model: ModuleParallel = runner.model
        if not is_main_process():
            part = {key: dict(checkpoint[key]) for key in NAMED if key in checkpoint}
            optimizer = checkpoint.get('optimizer', {})
            part['optimizer'], part[SCALER] = optimizer.get('state', {}), optimizer.get(SCALER)
            model.link.send_part(part)
            raise _SentError
        names = runner.names_saved
        parts = [_part(model, index) for index in reversed(range(model.placement.modules - 1))]
        for key in NAMED:
            found = {name: value for part in parts for name, value in part.get(key, {}).items()}
            if found:
                _fill(checkpoint.setdefault(key, {}), found, names)
        if 'optimizer' in checkpoint:
            state = checkpoint['optimizer']['state']
            for part in parts:
                state.update(part['optimizer'])
            checkpoint['optimizer']['state'] = dict(sorted(state.items()))
            if SCALER in checkpoint['optimizer']:
                others = [part[SCALER] for part in reversed(parts)]
                checkpoint['optimizer'][SCALERS] = [*others, checkpoint['optimizer'][SCALER]]

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Takes the loss scale of this process's module, if the checkpoint has one per module."""
        optimizer, placement = checkpoint.get('optimizer', {}), runner.model.placement
        if len(optimizer.get(SCALERS, ())) == placement.modules:
            optimizer[SCALER] = optimizer[SCALERS][placement.module]


class ModuleParallelRunner(QuietRunner, PartRunner):
    """mmengine's runner in a process that trains one local module."""

    names_saved: list[str]  # in the order of the network's state dict

    def wrap_model(self, model_wrapper_cfg: Any, model: Any) -> Any:
        """Wraps the model, which stays whole and on the CPU until its weights are initialised."""
        if isinstance(model, ModuleParallel):
            return model
        return ModuleParallel(model, sync_bn=self.cfg.get('sync_bn') is not None)

    def register_hooks(self, default_hooks: Any = None, custom_hooks: Any = None) -> None:
        """Registers the hooks of the config, and the one that combines the parts of checkpoints."""
        super().register_hooks(default_hooks, custom_hooks)
        self.register_hook(PartsHook())

    def build_val_loop(self, loop: Any) -> Any:
        """Builds the validation loop, which runs over the processes of all modules."""
        return self._shared(super().build_val_loop, loop)

    def build_test_loop(self, loop: Any) -> Any:
        """Builds the test loop, likewise."""
        return self._shared(super().build_test_loop, loop)

    def _shared(self, build: Callable[[Any], Any], loop: Any) -> Any:
        model: ModuleParallel = self.model
        with world_of(model.data_group):  # among whom the images are divided
            built = build(loop)
        train_loop: Any = self.train_loop
        built.dataloader = SharedBatches(
            built.dataloader, model.stream, model.link, train_loop.before_evaluated_batch
        )
        built.evaluator = LastEvaluator(
            built.evaluator, model.placement.is_last, model.data_group, model.link
        )
        return built

    def scale_lr(self, *args: Any, **kwargs: Any) -> None:
        """Scales the learning rate to the total batch size of the processes of one module."""
        runner: Any = self
        processes, runner._world_size = self.world_size, self.model.placement.replicas
        super().scale_lr(*args, **kwargs)
        runner._world_size = processes

    def _init_model_weights(self) -> None:
        """Initialises the whole network, as a single process does, then keeps only this process's module."""
        self.model.module.init_weights()
        self.names_saved = list(self.model.module.state_dict())
        self.model.settle(self.optim_wrapper)
        for hook in averages(self):
            average = hook.ema_model
            share = Share(average.module, self.model.placement.module)
            share.drop_foreign()
            share.to(self.model.device)
            tensors = average.module.state_dict() if average.update_buffers else None
            average.avg_parameters = tensors or dict(average.module.named_parameters())

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Loads this process's part of a checkpoint."""
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='.*copying from a non-meta parameter')
            return super().load_checkpoint(*args, **kwargs)

    def resume(self, *args: Any, **kwargs: Any) -> None:
        """Resumes a run of one process or of several."""
        super().resume(*args, **kwargs)
        self.model.forget_absent(self.optim_wrapper)


def averages(runner: Any) -> list[Any]:
    """The hooks that average weights."""
    return [hook for hook in runner.hooks if isinstance(hook, EMAHook)]


class _SentError(Exception):
    """Ends the creation of a checkpoint after its part has been sent."""


def _drop_absent(module: Any, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    drop_absent(state_dict)


def _part(model: ModuleParallel, index: int) -> dict[str, Any]:
    """The part of a module's process; raises an error if that process could not make one."""
    part: dict[str, Any] | str = model.link.receive_part(index)
    if isinstance(part, str):
        raise RankError(f'rank {model.placement.rank_of(index, 0)} ended the training: {part}')
    return part


def _fill(state: dict[str, Any], found: dict[str, Any], names: list[str]) -> None:
    """Adds tensors to a state dict, in place, in the order of the network's own."""
    everything = {**state, **found}
    order = {f'{prefix}{name}': place for place, name in enumerate(names) for prefix in ('', 'module.')}
    state.clear()
    state.update(sorted(everything.items(), key=lambda item: order.get(item[0], -1)))
