"""mmengine's runner, with errors that users can act on and a console that they can read."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger
from mmengine.runner import Runner

import infopro_seg.register  # noqa: F401
from infopro_seg.checkpoints import unreadable_checkpoint
from infopro_seg.cli import quiet_console
from infopro_seg.errors import ConfigError, UserError


class QuietRunner(Runner):
    """mmengine's runner, with a console that shows progress and leaves the dumps to the log file."""

    def build_model(self, model: Any) -> Any:
        """The model; what its parts refuse is the config's fault.

        Raises:
            ConfigError: the config asks for what cannot be built.
        """
        try:
            return super().build_model(model)
        except (TypeError, KeyError, AssertionError, AttributeError) as error:
            raise ConfigError(
                f'cannot build the model of the config: {type(error).__name__}: {error}; correct that part, '
                'or the --cfg-options that set it'
            ) from error

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> Any:
        """Loads a checkpoint.

        Raises:
            CheckpointError: it cannot be read, or is of another model.
        """
        try:
            return super().load_checkpoint(filename, *args, **kwargs)
        except UserError:
            raise
        except Exception as error:  # torch raises whatever its unpickler does
            raise unreadable_checkpoint(filename, error) from error

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Any = 'cpu',
    ) -> None:
        """Resumes a run; the checkpoint is read into CPU memory, as all of it need not fit the GPU."""
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """The run's logger."""
        logger = super().build_logger(*args, **kwargs)
        quiet_console(logger)
        return logger


def build_runner(cfg: Config) -> Runner:
    """Builds mmengine's runner for a config, on GPUs or, with gloo, on CPUs."""
    launched = cfg.get('launcher', 'none') != 'none'
    if launched and not torch.cuda.is_available() and not is_distributed():
        torch.distributed.init_process_group('gloo')
    return QuietRunner.from_cfg(cfg)
