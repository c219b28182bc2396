"""The trainings of a config with `stages`: one local module after the other, each in a folder of its own."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from infopro_seg.checkpoints import config_of, read_checkpoint
from infopro_seg.config_edits import with_stage, without_pretraining
from infopro_seg.errors import ConfigError
from infopro_seg.hooks.results import METRICS
from infopro_seg.training.stage_result import StageResult, stage_result

Options = Mapping[str, Any] | None


def stages_in_turn(
    cfg: Config, stage: int | None = None, resume: str | bool = False, options: Options = None
) -> Iterator[tuple[Config, str | bool]]:
    """Yields the config of each training, and what it resumes; the caller trains before it asks for the next.

    A config without `stages` is one training. Stages that are finished are left out, unless one is asked
    for by its number; the last one is continued at its end, and so is one that has left no results. One
    that began with other weights of the stage before it starts anew.

    Args:
        cfg: the config, with its `work_dir`.
        stage: the only one to train; None for all.
        resume: True to continue the latest run in each folder, or the checkpoint to continue.
        options: overrides of the config, which win over those of a stage.

    Raises:
        ConfigError: there is no such stage, the one before it is not finished or had other cuts, the
            stages do not fit the local modules, or the checkpoint to continue is of another stage.
    """
    if stage is None and cfg.get('stages') is None:
        yield cfg, resume
        return
    count = require_stages(cfg, stage)
    if stage is None and isinstance(resume, str):
        raise ConfigError(
            f'--resume {resume} does not say which of the {count} stages it continues; add --stage, or give '
            '--resume alone: each stage then continues its own latest checkpoint'
        )
    for index in range(count) if stage is None else [stage]:
        part = stage_config(cfg, index, options)
        if index > 0:
            before = stage_result(stage_config(cfg, index - 1, options), by_its_own_length=stage is not None)
            _continue_from(part, index, before)
        if isinstance(resume, str) and Path(resume).is_file():
            _require_same_stage(part, index, resume)
        result = stage_result(part)
        logger = MMLogger.get_current_instance()
        if isinstance(resume, str) or result is None:
            yield part, resume
        elif result.weights_before != part.get('weights_before'):
            logger.warning(f'stage {index} starts anew: {result.checkpoint} is of another stage {index - 1}')
            yield part, False
        elif stage is None and result.finished and index < count - 1 and not _lacks_results(part):
            logger.warning(f'stage {index} is finished: {result.checkpoint}; --stage {index} trains it again')
        else:
            yield part, resume or (stage is None and result.finished)


def require_stages(cfg: Config, stage: int | None = None) -> int:
    """Checks the `stages` of a config and returns their number.

    Args:
        cfg: the config.
        stage: one that has to be among them, or None.

    Raises:
        ConfigError: `stages` is missing, does not fit the local modules, or lacks the stage asked for.
    """
    stages = cfg.get('stages')
    backbone = cfg.get('model', {}).get('backbone') or {}
    count = backbone.get('num_modules') or len(backbone.get('cuts') or ()) + 1
    if stages is None:
        raise ConfigError(
            f'--stage {stage}, but the config {cfg.filename} trains all local modules at once; to train its '
            f'{count} in turn, add stages=[{", ".join(["dict()"] * count)}], each dict with what is '
            'different for that one'
        )
    if not isinstance(stages, (list, tuple)) or not all(isinstance(item, dict) for item in stages):
        raise ConfigError(
            f'stages={stages!r} of the config; write a list of {count} dicts, each with what is different '
            'for that local module, e.g. dict(train_cfg=dict(max_iters=20000)), or dict()'
        )
    if len(stages) != count:
        raise ConfigError(
            f'stages lists {len(stages)} dicts, but the model has {count} local modules; write one for each, '
            'dict() where nothing is different'
        )
    if stage is not None and stage not in range(count):
        raise ConfigError(
            f'no stage {stage}: the config has {count} stages; give --stage 0 to {count - 1}, or none for all'
        )
    return count


def stage_config(cfg: Config, stage: int, options: Options = None) -> Config:
    """The config of one stage: that of all with what is different, in a folder of its own.

    Args:
        cfg: a config with `stages`.
        stage: number of the stage.
        options: overrides of the config, which win over those of the stage.

    Raises:
        ConfigError: the stage does not fit the config.
    """
    part = copy.deepcopy(cfg)
    changes = part.pop('stages')[stage]
    try:
        part.merge_from_dict(changes.to_dict() if hasattr(changes, 'to_dict') else dict(changes))
        kept = ('stages', 'work_dir')  # which are settled
        part.merge_from_dict({k: v for k, v in (options or {}).items() if k.partition('.')[0] not in kept})
        with_stage(part.model.backbone, stage)
    except (TypeError, KeyError, AttributeError, AssertionError) as error:
        raise ConfigError(
            f'stages[{stage}] does not fit the config: {error}; write a part of a config in it, e.g. '
            'dict(train_cfg=dict(max_iters=20000)), or dict()'
        ) from error
    if part.get('work_dir'):
        part.work_dir = str(Path(part.work_dir) / f'stage_{stage}')
    name = part.get('experiment_name') or Path(part.filename or 'training').stem
    part.experiment_name = f'{name}_stage_{stage}'  # mmengine's loggers and pictures go by name
    if part.get('visualizer'):
        part.visualizer.name = f'{part.visualizer.get("name") or "visualizer"}_stage_{stage}'
    if stage < len(cfg.stages) - 1:  # no complete network yet to validate
        part.val_dataloader = part.val_cfg = part.val_evaluator = None
    return part


def _require_same_stage(cfg: Config, stage: int, checkpoint: str) -> None:
    """Checks that a checkpoint to continue is of this stage, on the same weights of the one before."""
    trained = config_of(read_checkpoint(checkpoint), checkpoint)
    found = trained.model.backbone.get('stage')
    if found != stage:
        of = 'no stage, but all modules at once' if found is None else f'stage {found}'
        raise ConfigError(
            f'--resume {checkpoint} is of {of}; stage {stage} continues a checkpoint of its own, and starts '
            'without --resume'
        )
    if trained.get('weights_before') != cfg.get('weights_before'):
        raise ConfigError(
            f'--resume {checkpoint} was trained on other weights of stage {stage - 1} than those of '
            f'{cfg.load_from}; leave --resume out to start stage {stage} on these'
        )


def _lacks_results(cfg: Config) -> bool:
    """Whether a stage was to leave results and has not: it was killed at its very end."""
    wanted = any(hook.get('type') == 'ResultsHook' for hook in cfg.get('custom_hooks') or ())
    return wanted and not (Path(cfg.work_dir) / METRICS).is_file()


def _continue_from(cfg: Config, stage: int, before: StageResult | None) -> None:
    """Makes a stage start from the one before it, with the same cuts."""
    if before is None or not before.finished:
        folder = Path(cfg.work_dir).parent
        raise ConfigError(
            f'stage {stage} trains on the outputs of stage {stage - 1}, which is not finished in '
            f'{folder / f"stage_{stage - 1}"}; train that first: --stage {stage - 1}, with --resume if it '
            'has begun'
        )
    backbone = cfg.model.backbone
    if backbone.get('num_modules') is not None:  # balanced for the first stage, and kept
        backbone.cuts, backbone.num_modules = before.cuts, None
    if tuple(backbone.cuts) != before.cuts:
        raise ConfigError(
            f'the config has the cuts {tuple(backbone.cuts)}, but stage {stage - 1} was trained with '
            f'{before.cuts} ({before.checkpoint}); write those, or train all stages in another --work-dir'
        )
    cfg.load_from, cfg.weights_before = str(before.checkpoint), before.weights
    cfg.model = without_pretraining(cfg.model)  # all weights are in the checkpoint
