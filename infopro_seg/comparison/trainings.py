"""Runs the trainings of a comparison, each in its own process, so that a failed one can be resumed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed
from mmseg.registry import MODELS

from infopro_seg.cli import INTERRUPTED
from infopro_seg.comparison.suite import Run, run_config
from infopro_seg.config_edits import encoder_of
from infopro_seg.consoles import quiet_console
from infopro_seg.errors import CheckpointError, ConfigError
from infopro_seg.files import whole_file, write_text
from infopro_seg.hooks.results import METRICS
from infopro_seg.models.pretrained import pretrained_in

TRAIN = (sys.executable, '-m', 'infopro_seg', 'train')


def folder_of(out: Path, run: Run) -> Path:
    """The work dir of a run."""
    return out / 'runs' / run.name


def parts_of(out: Path, run: Run) -> list[Path]:
    """The work dirs of the trainings of a run: its own, or one for each turn."""
    folder = folder_of(out, run)
    turns = [folder / f'stage_{index}' for index in range(run.modules)]
    return turns if turns[0].is_dir() else [folder]


def initial_of(out: Path, run: Run) -> Path:
    """The checkpoint from which all methods start with the run's seed."""
    return out / f'initial_seed{run.seed}.pth'


def config_of(out: Path, run: Run) -> Path:
    """The config of a run."""
    return out / 'configs' / f'{run.name}.py'


def is_finished(out: Path, run: Run) -> bool:
    """Whether a run is finished."""
    return all((part / METRICS).is_file() for part in parts_of(out, run))


def finished_runs(suite: Config, out: Path) -> list[Run]:
    """All finished runs in the folder, in the order of the suite's methods."""
    named = (Run.named(path.name) for path in (out / 'runs').glob('*'))
    methods = list(suite.methods)
    found = [run for run in named if run and run.method in methods and is_finished(out, run)]
    return sorted(found, key=lambda run: (methods.index(run.method), run.modules, run.seed))


def checked_config(suite: Config, run: Run, out: Path) -> Config:
    """The config of a run, checked against the one in the folder.

    Raises:
        ConfigError: the folder contains this run with another setting.
    """
    cfg = run_config(suite, run)
    path = config_of(out, run)
    if path.is_file() and Config.fromfile(path).to_dict() != cfg.to_dict():
        raise ConfigError(
            f'{path} has another setting than the suite now, so its results would not be '
            'comparable; give another --out'
        )
    return cfg


def write_configs(suite: Config, runs: Sequence[Run], out: Path) -> dict[Run, Path]:
    """Writes the config of each run, and the initial weights of each seed.

    Raises:
        ConfigError: the folder contains runs with another setting.
    """
    (out / 'configs').mkdir(parents=True, exist_ok=True)
    paths: dict[Run, Path] = {}
    for run in runs:
        cfg = checked_config(suite, run, out)
        path = config_of(out, run)
        if not path.is_file():
            write_text(path, cfg.pretty_text)
        if not initial_of(out, run).is_file():
            save_initial(suite, run.seed, initial_of(out, run))
        paths[run] = path
    return paths


def require_weights(suite: Config) -> None:
    """Checks that the pretrained weights of a suite's encoder exist, where they are a file.

    Raises:
        CheckpointError: there is no such file; the suite's `comparison.weights_howto` says how to get it.
    """
    encoder, _ = encoder_of(suite)
    name = pretrained_in(encoder.get('init_cfg'))
    if name is None or '://' in name or Path(name).expanduser().is_file():
        return
    howto = suite.comparison.get('weights_howto')
    remedy = f'to get it: {howto}' if howto else 'correct init_cfg of its encoder'
    raise CheckpointError(
        f'the pretrained weights of the suite are missing: no file {Path(name).expanduser()}; {remedy}'
    )


def save_initial(suite: Config, seed: int, path: Path) -> None:
    """Saves the initial end-to-end network of a seed, from which every method starts."""
    with torch.random.fork_rng(), DefaultScope.overwrite_default_scope('mmseg'):
        set_random_seed(seed)
        quiet_console(MMLogger.get_current_instance())
        model = MODELS.build(suite.model)
        model.init_weights()
    with whole_file(path) as partial:
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, partial)


def train_all(
    paths: dict[Run, Path],
    out: Path,
    jobs: int,
    report: Callable[[str], None],
) -> list[Run]:
    """Trains the unfinished runs, several at once, and returns those that failed.

    Args:
        paths: the config of each run.
        out: folder of the comparison.
        jobs: number of trainings at once; they share the cores.
        report: gets a line about each run.
    """
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {'OMP_NUM_THREADS': threads, **os.environ}
    todo = [run for run in paths if not is_finished(out, run)]
    if len(todo) < len(paths):
        report(f'{len(paths) - len(todo)} of {len(paths)} runs are finished already')

    def train(run: Run) -> Run | None:
        folder = folder_of(out, run)
        folder.mkdir(parents=True, exist_ok=True)
        command = [*TRAIN, str(paths[run])]
        command += ['--work-dir', str(folder), '--resume']
        command += ['--cfg-options', f'load_from={str(initial_of(out, run))!r}']
        report(f'{run.name}: training, progress in {folder / "train.log"}')
        start = time.monotonic()
        with open(folder / 'train.log', 'a') as log:
            status = subprocess.run(command, stdout=log, stderr=log, env=environment).returncode
        if status == 0 and is_finished(out, run):
            report(f'{run.name}: finished in {time.monotonic() - start:.0f} s')
            return None
        report(f'{run.name}: stopped with exit status {status}; see {folder / "train.log"}')
        if status == INTERRUPTED:
            raise KeyboardInterrupt  # stopping one run stops all
        return run

    pool = ThreadPoolExecutor(jobs)
    try:
        return [run for run in pool.map(train, todo) if run is not None]
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C: no further run begins
