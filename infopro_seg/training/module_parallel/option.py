"""How a config asks for module-parallel training."""

from __future__ import annotations

from mmengine.config import Config

from infopro_seg.errors import ConfigError

SEEDING = 'seed_per_module'  # of the training loop
LOOPS = ('ResumableIterBasedTrainLoop', 'ModuleParallelTrainLoop')


def is_module_parallel(cfg: Config) -> bool:
    """Whether a config asks for one process per local module.

    Raises:
        ConfigError: `model_parallel` is neither None nor `dict(modules='parallel')`.
    """
    wanted = cfg.get('model_parallel')
    if wanted is not None and dict(wanted) != {'modules': 'parallel'}:
        raise ConfigError(
            f"model_parallel={wanted} of the config; write model_parallel=dict(modules='parallel'), or None"
        )
    return wanted is not None
