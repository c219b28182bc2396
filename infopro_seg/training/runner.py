"""mmengine's runner, with errors that users can act on and a console that they can read."""

from __future__ import annotations

import functools
import os
import subprocess
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_distributed
from mmengine.hooks import EarlyStoppingHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing

from infopro_seg.checkpoints import config_of, unreadable_checkpoint
from infopro_seg.consoles import quiet_console
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.hooks.checkpoint_guard import CheckpointGuardHook
from infopro_seg.hooks.early_stop import EarlyStopHook
from infopro_seg.hooks.finite_losses import FiniteLossHook
from infopro_seg.precision import use_tf32
from infopro_seg.training.building import building
from infopro_seg.training.checks.late_faults import require_sound
from infopro_seg.training.optimizers.module_clipping import ModuleClipping, clipping_config
from infopro_seg.training.resuming.resumed_schedules import Plan, optimizer_of, other_optimizer
from infopro_seg.training.resuming.saving import SavingRunner

RANK_OF = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID'}  # in the environment, by launcher

# the key of the config that each method of mmengine's runner builds
PARTS = {
    'setup_env': 'env_cfg',
    'set_randomness': 'randomness',
    'build_log_processor': 'log_processor',
    'build_logger': 'log_level',
    'build_visualizer': 'visualizer',
    'build_model': 'model',
    'wrap_model': 'model_wrapper_cfg',
    'register_hook': 'hooks',
    'build_train_loop': 'train_cfg',
    'build_val_loop': 'val_cfg',
    'build_test_loop': 'test_cfg',
    'build_optim_wrapper': 'optim_wrapper',
    'scale_lr': 'auto_scale_lr',
    'build_param_scheduler': 'param_scheduler',
    '_check_scheduler_cfg': 'param_scheduler',
    '_maybe_compile': 'compile',
}


def _naming(name: str, part: str) -> Callable[..., Any]:
    split = part.partition('_')[0]
    loader, evaluator = f'{split}_dataloader', f'{split}_evaluator'
    of_a_loop = dict.fromkeys(('build_dataloader', 'dataset', 'transform', 'data_sampler'), loader)
    of_a_loop |= dict.fromkeys(('build_evaluator', 'metric', 'evaluator'), evaluator)
    inner = of_a_loop if name.endswith('_loop') else {}

    @functools.wraps(getattr(Runner, name))
    def named(self: NamingRunner, *args: Any, **kwargs: Any) -> Any:
        with building(part, **inner):
            return getattr(super(NamingRunner, self), name)(*args, **kwargs)

    return named


class NamingRunner(Runner):
    """mmengine's runner; a part that cannot be built is a :class:`ConfigError` that names it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with building('parts', add_config='visualizer'):
            super().__init__(*args, **kwargs)

    @staticmethod
    def build_dataloader(dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        """The data loader; without workers it has none to keep."""
        if isinstance(dataloader, dict) and not dataloader.get('num_workers', 0):
            unused = ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context')
            dataloader = {key: value for key, value in dataloader.items() if key not in unused}
        return Runner.build_dataloader(dataloader, *args, **kwargs)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls all hooks; an error of a hook before training starts becomes a config error."""
        early = fn_name in ('before_run', 'before_train', 'before_train_epoch')
        for hook in self._hooks:
            method = getattr(hook, fn_name, None)
            if method is None:
                continue
            with building(f'hook {type(hook).__name__}') if early else nullcontext():
                method(self, **kwargs)


for _name, _part in PARTS.items():
    setattr(NamingRunner, _name, _naming(_name, _part))


class QuietRunner(NamingRunner, SavingRunner):
    """mmengine's runner, with a console that shows progress and leaves the dumps to the log file."""

    def register_hooks(self, default_hooks: Any = None, custom_hooks: Any = None) -> None:
        """Registers the hooks of the config, and hooks for early stops and NaN losses."""
        super().register_hooks(default_hooks, custom_hooks)
        for hook in [hook for hook in self.hooks if isinstance(hook, EarlyStoppingHook)]:
            self._hooks.remove(hook)  # it comes last, after the checkpoint that is to hold what it has seen
            self.register_hook(hook, EarlyStopHook.priority)
        self.register_hook(EarlyStopHook())
        if not any(isinstance(hook, FiniteLossHook) for hook in self.hooks):
            self.register_hook(FiniteLossHook())
        if self._train_loop is None and not any(isinstance(hook, CheckpointGuardHook) for hook in self.hooks):
            self.register_hook(CheckpointGuardHook())  # or weights that do not match would be left out

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Sets up mmengine's environment, and TF32 according to `env_cfg.tf32`."""
        use_tf32(env_cfg)
        super().setup_env(env_cfg)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Builds the optimizer wrapper, which may clip each local module separately."""
        built = super().build_optim_wrapper(clipping_config(optim_wrapper))
        if isinstance(built, ModuleClipping):
            built.know_modules(getattr(self.model, 'module', self.model))
        return built

    _settings: dict[str, Any]  # settings of the training that wrote the loaded checkpoint

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls all hooks; once all parts are built, checks them.

        Raises:
            ConfigError: a part would fail later.
        """
        super().call_hook(fn_name, **kwargs)
        if fn_name == 'before_run':
            require_sound(self)

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> Any:
        """Loads a checkpoint.

        Raises:
            CheckpointError: the file cannot be read, or belongs to another model.
        """
        try:
            checkpoint = super().load_checkpoint(filename, *args, **kwargs)
        except UserError:
            raise
        except Exception as error:  # unpickling may raise any error
            raise unreadable_checkpoint(filename, error) from error
        self._settings = {key: checkpoint[key] for key in ('meta', 'param_schedulers') if key in checkpoint}
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Any = 'cpu',
    ) -> None:
        """Resumes a run, with the learning rates and schedules of the config.

        The checkpoint is read into CPU memory, because all of it may not fit the GPU.

        Raises:
            CheckpointError: the checkpoint was trained with another optimizer.
        """
        plan = Plan.of(self)
        try:
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        except UserError:
            raise
        except (KeyError, ValueError) as error:
            frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
            if not any('/torch/optim/' in frame.f_code.co_filename for frame in frames):
                raise
            trained, own = optimizer_of(config_of(self._settings, filename)), optimizer_of(self.cfg)
            reason = f'it was trained with {trained}, but the config has {own}'
            if trained == own:
                reason = f'its groups of parameters differ from those of the run ({error})'
            raise other_optimizer(filename, reason) from error
        plan.follow(self, self._settings, filename)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """The run's logger."""
        logger = super().build_logger(*args, **kwargs)
        quiet_console(logger)
        return logger


def require_launched(cfg: Config) -> None:
    """Checks that a launcher has started this process, if the config says so.

    Raises:
        ConfigError: the environment lacks what the launcher sets.
    """
    sets = RANK_OF.get(cfg.get('launcher', 'none'))
    if sets is not None and sets not in os.environ and not is_distributed():
        raise ConfigError(
            f'--launcher {cfg.launcher} is for processes that it has started, but {sets} is not in the '
            'environment; leave out --launcher, or start several processes by tools/dist_train.sh CONFIG GPUS'
        )


def connect_ranks(cfg: Config) -> None:
    """Connects the processes of a launched run, as mmengine's runner would do later."""
    if cfg.get('launcher', 'none') == 'none' or is_distributed():
        return
    if torch.cuda.is_available():
        env_cfg = cfg.get('env_cfg') or {}
        set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
        init_dist(cfg.launcher, **env_cfg.get('dist_cfg', {}))
    else:
        if cfg.launcher == 'slurm':
            _name_ranks_of_slurm()
        torch.distributed.init_process_group('gloo')


def _name_ranks_of_slurm() -> None:
    """Sets what torch reads in the environment, from what Slurm sets; mmengine does so only with GPUs."""
    of = os.environ
    of.update(RANK=of['SLURM_PROCID'], WORLD_SIZE=of['SLURM_NTASKS'])
    of.setdefault('LOCAL_RANK', of.get('SLURM_LOCALID', of['SLURM_PROCID']))
    of.setdefault('MASTER_PORT', '29500')
    if 'MASTER_ADDR' not in of:
        command = ['scontrol', 'show', 'hostnames', of['SLURM_NODELIST']]
        try:
            nodes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        except (OSError, subprocess.CalledProcessError) as error:
            raise ConfigError(
                f'--launcher slurm cannot ask for the nodes of the job ({error}); set MASTER_ADDR to the '
                'name of the first node'
            ) from error
        of['MASTER_ADDR'] = nodes[0]
