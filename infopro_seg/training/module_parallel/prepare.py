"""Prepares a config for module-parallel training, or says why that is not possible."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.dist import get_dist_info

from infopro_seg.errors import ConfigError
from infopro_seg.models.local_heads.readers import require_own_blocks
from infopro_seg.training.module_parallel.option import LOOPS, SEEDING
from infopro_seg.training.module_parallel.placement import place
from infopro_seg.training.runner import connect_ranks

WRAPPER = {'type': 'LocalDistributedDataParallel'}  # in shipped configs; here modules get torch's own DDP


def use_module_parallel(cfg: Config) -> None:
    """Changes a config, in place, to train each local module in its own process.

    Args:
        cfg: the config, with its cuts.

    Raises:
        ConfigError: a part of the config needs several modules in one process, or the number of processes is
            not a multiple of the number of modules.
    """
    backbone = cfg.model.backbone
    if cfg.get('stages') is not None or backbone.get('stage') is not None:
        raise ConfigError(
            'module-parallel training trains all local modules at once, but the config has stages, which '
            'train one after the other; use a config without stages, or leave out --module-parallel'
        )
    if backbone.get('type') != 'InfoProBackbone':
        raise ConfigError(
            f'module-parallel training needs an InfoProBackbone, not {backbone.get("type")}; several '
            'processes train another network with DDP: leave out --module-parallel'
        )
    require_own_blocks(backbone)
    clip = cfg.optim_wrapper.get('clip_grad')
    if clip and not clip.get('per_module'):
        raise ConfigError(
            f'clip_grad={dict(clip)} of optim_wrapper clips by the norm of the whole network, which no '
            'process knows; add per_module=True to it, which clips each local module by its own norm (in one '
            'process too), e.g. --cfg-options optim_wrapper.clip_grad.per_module=True'
        )
    if cfg.get('compile'):
        raise ConfigError(
            'compile of the config compiles the whole training step; use compile_blocks of the backbone'
        )
    if cfg.train_cfg.get('type') not in LOOPS:
        raise ConfigError(
            f'module-parallel training has a loop of its own in place of {LOOPS[0]}, but train_cfg has '
            f'{cfg.train_cfg.get("type")}; write {LOOPS[0]}'
        )
    _require_known_wrapping(cfg)
    modules = len(backbone.get('cuts') or ()) + 1
    connect_ranks(cfg)
    rank, processes = get_dist_info()
    place(modules, processes, rank)
    cfg.train_cfg.type, cfg.train_cfg[SEEDING] = LOOPS[1], True


def _require_known_wrapping(cfg: Config) -> None:
    """Rejects settings of mmengine's model wrapper that would have no effect here."""
    wrapper = dict(cfg.get('model_wrapper_cfg') or WRAPPER)
    if wrapper.pop('type', None) != WRAPPER['type'] or wrapper not in ({}, {'broadcast_buffers': False}):
        raise ConfigError(
            f'model_wrapper_cfg={dict(cfg.model_wrapper_cfg)} of the config has no effect in module-parallel '
            'training, which wraps each local module by itself; write '
            f'model_wrapper_cfg=dict(type={WRAPPER["type"]!r}), or leave out --module-parallel'
        )
    if cfg.get('find_unused_parameters'):
        raise ConfigError(
            'find_unused_parameters=True has no effect in module-parallel training, where each parameter of '
            'a local module gets a gradient in every iteration; leave it out'
        )
    if cfg.get('sync_bn') not in (None, 'torch'):
        raise ConfigError(
            f"sync_bn={cfg.sync_bn!r} of the config; module-parallel training synchronises torch's SyncBN "
            "only: write sync_bn='torch', or leave it out"
        )
