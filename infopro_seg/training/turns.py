"""The trainings of a config with `stages`: one local module after the other, each in its own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MMLogger

from infopro_seg.checkpoints import config_of, read_checkpoint
from infopro_seg.config_edits import without_pretraining
from infopro_seg.errors import ConfigError
from infopro_seg.hooks.results import METRICS
from infopro_seg.training.turn_result import TurnResult, turn_result
from infopro_seg.turn_configs import Options, require_turns, turn_config


def turns_of(
    cfg: Config, turn: int | None = None, resume: str | bool = False, options: Options = None
) -> Iterator[tuple[Config, str | bool]]:
    """Yields the config of each training, and what it resumes; train it before you ask for the next.

    A config without `stages` is one training. Finished turns are skipped, unless one is asked for by its
    index. The last turn, and a turn without results, is continued at its end. A turn starts again if it began
    with other weights of the previous turn.

    Args:
        cfg: the config, with its `work_dir`.
        turn: the only one to train; None for all.
        resume: True to continue the latest run in each folder, or the checkpoint to continue.
        options: overrides of the config, which win over those of a turn.

    Raises:
        ConfigError: the turn does not exist, the previous turn is not finished or had other cuts, the
            `stages` of the config are invalid, or the checkpoint to continue belongs to another turn.
    """
    if turn is None and cfg.get('stages') is None:
        yield cfg, resume
        return
    count = require_turns(cfg, turn)
    if turn is None and isinstance(resume, str):
        raise ConfigError(
            f'--resume {resume} does not say which of the {count} stages it continues; add --stage, or give '
            '--resume alone: each stage then continues its own latest checkpoint'
        )
    for index in range(count) if turn is None else [turn]:
        part = turn_config(cfg, index, options)
        if index > 0:
            before = turn_result(turn_config(cfg, index - 1, options), by_its_own_length=turn is not None)
            _continue_from(part, index, before)
        if isinstance(resume, str) and Path(resume).is_file():
            _require_same_turn(part, index, resume)
        result = turn_result(part)
        logger = MMLogger.get_current_instance()
        if isinstance(resume, str) or result is None:
            yield part, resume
        elif result.weights_before != part.get('weights_before'):
            logger.warning(f'stage {index} starts anew: {result.checkpoint} is of another stage {index - 1}')
            yield part, False
        elif turn is None and result.finished and index < count - 1 and not _lacks_results(part):
            logger.warning(f'stage {index} is finished: {result.checkpoint}; --stage {index} trains it again')
        else:
            yield part, resume or (turn is None and result.finished)


def _require_same_turn(cfg: Config, turn: int, checkpoint: str) -> None:
    """Checks that a checkpoint belongs to this turn, and to the current weights of the previous turn."""
    trained = config_of(read_checkpoint(checkpoint), checkpoint)
    found = trained.model.backbone.get('stage')
    if found != turn:
        of = 'no stage, but all modules at once' if found is None else f'stage {found}'
        raise ConfigError(
            f'--resume {checkpoint} is of {of}; stage {turn} continues a checkpoint of its own, and starts '
            'without --resume'
        )
    if trained.get('weights_before') != cfg.get('weights_before'):
        raise ConfigError(
            f'--resume {checkpoint} was trained on other weights of stage {turn - 1} than those of '
            f'{cfg.load_from}; leave --resume out to start stage {turn} on these'
        )


def _lacks_results(cfg: Config) -> bool:
    """Whether a turn should have written results but has not, because it was killed at its very end."""
    wanted = any(hook.get('type') == 'ResultsHook' for hook in cfg.get('custom_hooks') or ())
    return wanted and not (Path(cfg.work_dir) / METRICS).is_file()


def _continue_from(cfg: Config, turn: int, before: TurnResult | None) -> None:
    """Makes a turn start from the previous one, with the same cuts."""
    if before is None or not before.finished:
        folder = Path(cfg.work_dir).parent
        raise ConfigError(
            f'stage {turn} trains on the outputs of stage {turn - 1}, which is not finished in '
            f'{folder / f"stage_{turn - 1}"}; train that first: --stage {turn - 1}, with --resume if it '
            'has begun'
        )
    backbone = cfg.model.backbone
    if backbone.get('num_modules') is not None:  # balanced for the first turn, and kept
        backbone.cuts, backbone.num_modules = before.cuts, None
    if tuple(backbone.cuts) != before.cuts:
        raise ConfigError(
            f'the config has the cuts {tuple(backbone.cuts)}, but stage {turn - 1} was trained with '
            f'{before.cuts} ({before.checkpoint}); write those, or train all stages in another --work-dir'
        )
    cfg.load_from, cfg.weights_before = str(before.checkpoint), before.weights
    cfg.model = without_pretraining(cfg.model)  # all weights are in the checkpoint
