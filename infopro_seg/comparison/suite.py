"""A suite: a config that trains end to end, and what each method changes in it."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks import iter_blocks
from infopro_seg.models.encoder import build_encoder


@dataclass(frozen=True)
class Run:
    """One training of a comparison.

    Args:
        method: name of the method.
        modules: number of local modules.
        seed: random seed.
    """

    method: str
    modules: int
    seed: int

    @property
    def setting(self) -> str:
        """Method and number of modules, the same for all seeds."""
        return f'{self.method}_k{self.modules}'

    @property
    def name(self) -> str:
        """Its folder."""
        return f'{self.setting}_seed{self.seed}'

    @classmethod
    def named(cls, name: str) -> Run | None:
        """The run that a folder is named after; None if the name is not one of a run."""
        parts = re.fullmatch(r'(.+)_k(\d+)_seed(\d+)', name)
        run = parts and cls(parts[1], int(parts[2]), int(parts[3]))
        return run if run and run.name == name else None


def find_suite(name: str, folder: Path) -> Path:
    """The file of a suite, by its name in a folder of suites or by its own path.

    Raises:
        ConfigError: no suite has that name or path.
    """
    named = folder / f'{name}.py'
    if named.is_file():
        return named
    if not Path(name).is_file():
        stems = sorted(path.stem for path in folder.glob('*.py'))
        names = ', '.join(stem for stem in stems if not stem.startswith('methods'))
        raise ConfigError(f'--suite {name}: no such suite or file; choose from {names}, or give a path')
    return Path(name)


def select_runs(
    suite: Config,
    methods: Sequence[str] | None = None,
    modules: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
) -> list[Run]:
    """The requested runs of a suite, ordered by seed: all methods of a seed before the next seed.

    Args:
        suite: config of the suite.
        methods: names of methods; None for those in the suite's `comparison.runs`.
        modules: numbers of local modules; None for the suite's. Methods without local heads have one module.
        seeds: seeds; None for the suite's.

    Raises:
        ConfigError: a method is unknown, a number of modules or a seed is too small, or a method with local
            heads gets 1 module only.
    """
    for count in modules or ():
        if count < 1:
            raise ConfigError(f'--modules {count}: a network has 1 module or more')
    for seed in seeds or ():
        if seed < 0:
            raise ConfigError(f'--seeds {seed}: a seed is a whole number, 0 or more')
    for method in methods or ():
        if method not in suite.methods:
            raise ConfigError(f'unknown method {method!r}; choose from {", ".join(suite.methods)}')
    return [
        Run(method, count, seed)
        for seed in (suite.comparison.seeds if seeds is None else dict.fromkeys(seeds))
        for method in (suite.comparison.runs if methods is None else dict.fromkeys(methods))
        for count in _module_counts(suite, method, modules)
    ]


def _module_counts(suite: Config, method: str, modules: Sequence[int] | None) -> Sequence[int]:
    """The numbers of local modules to train a method with."""
    if 'local_head' not in suite.methods[method]:
        return (1,)
    if modules is not None:
        several = sorted({count for count in modules if count > 1})
        if not several:
            raise ConfigError(
                f'--modules 1: {method} has local heads, so it trains 2 modules or more; methods without '
                'local heads, like e2e, have 1'
            )
        return several
    others = {count for counts in suite.comparison.runs.values() for count in counts if count > 1}
    counts: Sequence[int] = suite.comparison.runs.get(method, sorted(others))
    return counts


def run_config(suite: Config, run: Run) -> Config:
    """The config of one training.

    Args:
        suite: config of the suite.
        run: the training.

    Raises:
        ConfigError: the suite has no cuts for this number of local modules, or the file of the local head
            cannot be read.
    """
    cfg = copy.deepcopy(suite)
    for key in ('methods', 'comparison'):
        cfg.pop(key)
    options = dict(suite.methods[run.method])
    head_file, changes = options.pop('local_head', None), options.pop('config', {})
    if options.pop('asynchronous', False):
        cfg.stages = [{} for _ in range(run.modules)]
    backbone = cfg.model.backbone
    backbone.update(options)
    if run.modules > 1:
        if head_file is None:
            raise ConfigError(
                f'the method {run.method!r} has no local_head to train {run.modules} local modules; run it '
                'with one'
            )
        head = load_config(head_file).local_head
        backbone.local_head = resized(head.to_dict(), suite.comparison.to_dict().get('local_head') or {})
        backbone.update(_cuts(suite, run.modules))
    cfg.merge_from_dict(changes)
    cfg.randomness = {'seed': run.seed}
    return cfg


def _cuts(suite: Config, modules: int) -> dict[str, Any]:
    """The cuts of a suite for a number of local modules, as options of the backbone."""
    cuts = suite.comparison.cuts
    if cuts == 'balanced':
        return {'num_modules': modules}
    if cuts == 'even':
        return {'cuts': even_cuts(suite.model.backbone.encoder, modules)}
    for names in cuts:
        if len(names) == modules - 1:
            return {'cuts': tuple(names)}
    known = ', '.join(str(len(names) + 1) for names in cuts)
    raise ConfigError(
        f'the suite lists no cuts for {modules} local modules, only for {known}; add them to its '
        "comparison.cuts, or write cuts='even' there"
    )


def resized(config: Any, sizes: Any) -> Any:
    """A copy of a config with new values for existing keys, at any nesting; no keys are added.

    A dict with a `type` replaces a whole dict.
    """
    if not isinstance(config, dict) or not isinstance(sizes, dict) or 'type' in sizes:
        return sizes
    return {key: resized(value, sizes[key]) if key in sizes else value for key, value in config.items()}


def even_cuts(encoder: dict[str, Any], modules: int) -> tuple[str, ...]:
    """The cuts that give all local modules the same number of blocks, give or take one.

    Raises:
        ConfigError: the encoder has fewer blocks than modules.
    """
    names = [block.name for block in iter_blocks(build_encoder(encoder))]
    if modules > len(names):
        raise ConfigError(
            f'{modules} local modules, but the encoder has {len(names)} blocks: {", ".join(names)}'
        )
    return tuple(names[step * len(names) // modules - 1] for step in range(1, modules))
