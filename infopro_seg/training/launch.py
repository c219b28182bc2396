"""Training from a config, as `tools/train.py` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from infopro_seg.batch_norm import batch_norm_needs_two
from infopro_seg.checkpoints import config_of, read_checkpoint, require_start
from infopro_seg.config_edits import without_balance
from infopro_seg.config_files import load_config, work_dir_of
from infopro_seg.datasets.checks.classes import require_equal_classes
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import CheckpointError, ConfigError
from infopro_seg.hooks.early_stop import is_finished
from infopro_seg.hooks.results import splits_read
from infopro_seg.memory import resolve_cuts
from infopro_seg.outputs import require_folder
from infopro_seg.training.checks.config_check import require_keys
from infopro_seg.training.memory_budget.fitting import FitRequest, fit_config
from infopro_seg.training.memory_budget.within_memory import clean_up, train_within_memory
from infopro_seg.training.module_parallel.option import LOOPS, SEEDING, is_module_parallel
from infopro_seg.training.module_parallel.prepare import use_module_parallel
from infopro_seg.training.optimizers.cpu_amp import use_amp
from infopro_seg.training.resuming.checkpoint import checkpoint_folder, latest_checkpoint, require_resumable
from infopro_seg.training.runner import connect_ranks, require_launched
from infopro_seg.training.turns import turns_of
from infopro_seg.training.work_dir import only_run_in

NUM_MODULES = 'model.backbone.num_modules'


@batch_norm_needs_two()
def train(
    config: str | Path,
    work_dir: str | None = None,
    resume: str | bool = False,
    amp: bool = False,
    seed: int | None = None,
    auto_scale_lr: bool = False,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
    stage: int | None = None,
    fit: FitRequest | None = None,
    command: Sequence[str] = (),
    module_parallel: bool = False,
) -> Runner:
    """Trains a model; with a config that has `stages`, one local module after the other.

    Args:
        config: path of the config.
        work_dir: where checkpoints and logs go; by default `work_dirs/<name of the config>`.
        resume: True to continue the latest run in the work dir, if there is one; or the checkpoint to
            continue.
        amp: whether to train in mixed precision.
        seed: makes the run repeatable.
        auto_scale_lr: scales the learning rate to the real total batch size.
        options: overrides of the config, `{'a.b': value}`.
        launcher: `none`, `pytorch` or `slurm`.
        stage: the index of the only stage to train; None for all that are not finished.
        fit: the memory to train within; None to train as the config says, or as the resumed run did.
        command: the words of the command line, for messages that suggest the next command.
        module_parallel: whether each local module trains in its own process; if False, the config decides.

    Returns:
        The runner, after training; with several stages, that of the last one that ran.

    Raises:
        UserError: the config, the data or the checkpoint to resume is wrong.
    """
    cfg = load_config(config, options)
    require_keys(cfg, options)
    if module_parallel:
        cfg.model_parallel = {'modules': 'parallel'}
    if fit is not None and is_module_parallel(cfg):
        raise ConfigError(
            '--fit plans for one process that trains all local modules; leave it out with --module-parallel'
        )
    if fit is not None and cfg.get('stages') is not None:
        raise ConfigError(
            '--fit chooses how to train all local modules at once, but the config has stages, which train '
            'one after the other; leave --fit out, or use a config without stages (tools/plan.py shows what '
            'each stage needs)'
        )
    cfg.launcher = launcher
    require_launched(cfg)
    cfg.work_dir = work_dir_of(cfg, work_dir)
    resume = resume or resumed_by(cfg)
    with ExitStack() as locks:
        locks.enter_context(only_run_in(cfg.work_dir, launcher))
        folder = str(checkpoint_folder(cfg))
        if ':/' not in folder:  # not of a remote store
            require_folder(folder, 'out_dir of default_hooks.checkpoint, in')
        return _train_in_turn(cfg, locks, resume, amp, seed, auto_scale_lr, options, stage, fit, command)


def _train_in_turn(
    cfg: Config,
    locks: ExitStack,
    resume: str | bool,
    amp: bool,
    seed: int | None,
    auto_scale_lr: bool,
    options: Mapping[str, Any] | None,
    stage: int | None,
    fit: FitRequest | None,
    command: Sequence[str],
) -> Runner:
    """Trains once, or once in each turn; `locks` collects the lock of each folder."""
    runner: Any = None
    for part, resumed in turns_of(cfg, stage, resume, options):
        if runner is not None:
            runner = None
            clean_up()
        locks.enter_context(only_run_in(part.work_dir, cfg.launcher))
        _choose_start(part, resumed)
        if amp:
            part.optim_wrapper = use_amp(part.optim_wrapper)
        if seed is not None:
            part.randomness = {**part.get('randomness', {}), 'seed': seed}
        if auto_scale_lr:
            part.auto_scale_lr = {**part.get('auto_scale_lr', {}), 'enable': True}
        require_equal_classes(part)
        require_data(part, splits_read(part))
        if fit is not None:
            connect_ranks(part)  # who take the same recipe
        else:
            _say_what_replaces_cuts(part, options)
        part = _with_cuts(fit_config(part, fit))
        if is_module_parallel(part):
            use_module_parallel(part)
        elif part.train_cfg.get('type') == LOOPS[1]:  # of a dumped config
            part.train_cfg.type = LOOPS[0]
        runner = train_within_memory(part, command)
        if not is_finished(runner):
            break  # interrupted
        barrier()  # the first rank still writes the checkpoint that all read next
    return runner


def resumed_by(cfg: Config) -> str | bool:
    """What a config itself resumes: with `resume=True` the latest run in the work dir, else `load_from`.

    `resume` may also be the path of a checkpoint.
    """
    wanted = cfg.get('resume') or False
    if not wanted:
        return False
    MMLogger.get_current_instance().warning(f'resume={wanted!r} of the config: the run is resumed')
    if isinstance(wanted, str):
        return wanted
    start = cfg.get('load_from') if cfg.get('stages') is None else None
    return str(start) if start and latest_checkpoint(cfg) is None else True


def _choose_start(cfg: Config, resume: str | bool) -> None:
    """Sets in the config whether a run is resumed, and what it starts from.

    Raises:
        CheckpointError: there is no checkpoint to resume, or it cannot be continued exactly.
    """
    for key in ('load_from', 'resume'):
        if cfg.get(key) == '':
            raise ConfigError(f'{key} of the config is empty; name a checkpoint, or leave {key} out')
    cfg.resume = bool(resume)
    if resume is True:
        latest = latest_checkpoint(cfg)
        if latest is None:
            cfg.resume = False  # a first start, perhaps from the config's load_from
        else:
            require_resumable(latest, cfg)
            cfg.load_from = str(latest)
            _seed_as_before(cfg)
    elif isinstance(resume, str):
        if not Path(resume).is_file():
            raise CheckpointError(f'no checkpoint {resume} to resume; --resume alone continues the latest')
        require_resumable(resume, cfg)
        cfg.load_from = resume
        _seed_as_before(cfg)
    if cfg.get('load_from'):
        require_start(cfg.load_from)


def _seed_as_before(cfg: Config) -> None:
    """Seeds local modules as the resumed run did, which may have had another number of processes."""
    if 'train_cfg' not in cfg or cfg.train_cfg.get('type') not in LOOPS:
        return
    trained = config_of(read_checkpoint(cfg.load_from), cfg.load_from).get('train_cfg') or {}
    before, now = (bool(each.get(SEEDING, False)) for each in (trained, cfg.train_cfg))
    if is_module_parallel(cfg) and not before:
        MMLogger.get_current_instance().warning(
            f'{cfg.load_from} was trained without train_cfg.{SEEDING}: dropout draws other numbers now'
        )
    elif before != now:
        cfg.train_cfg[SEEDING] = before


def _say_what_replaces_cuts(cfg: Config, options: Mapping[str, Any] | None) -> None:
    """Says that a number of modules from the command line replaces the cuts that the config lists."""
    modules, cuts = (cfg.model.backbone.get(key) for key in ('num_modules', 'cuts'))
    if modules is not None and cuts and not cfg.resume and NUM_MODULES in (options or ()):
        MMLogger.get_current_instance().warning(
            f'num_modules={modules} replaces the cuts {tuple(cuts)} of the config by balanced ones; write '
            'num_modules=None to keep them'
        )


def _with_cuts(cfg: Config) -> Config:
    """The config with `num_modules` resolved: from the checkpoint to resume, or balanced by memory.

    Raises:
        CheckpointError: the checkpoint to resume has another number of local modules.
    """
    modules = cfg.model.backbone.get('num_modules')
    checkpoint = cfg.load_from if cfg.resume else None
    if modules is None or checkpoint is None:
        return resolve_cuts(cfg)
    cuts = config_of(read_checkpoint(checkpoint), checkpoint).model.backbone.get('cuts') or ()
    if len(cuts) + 1 != modules:
        raise CheckpointError(
            f'{checkpoint} was trained with {len(cuts) + 1} local modules, but the config has '
            f'num_modules={modules}; resume with num_modules={len(cuts) + 1}, or start a new training from '
            f'these weights: --cfg-options load_from={checkpoint}'
        )
    cfg.model.backbone.cuts, cfg.model.backbone.num_modules = cuts, None
    without_balance(cfg.model.backbone)
    return cfg
