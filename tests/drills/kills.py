"""Kills trainings at random moments (-9), resumes them, and compares them with one that nobody disturbed.

    python -m tests.drills.kills --kinds plain ema --keep 1 2 --kills 30

It is no part of the test suite: 30 kills of a kind take minutes. Each training is killed up to three times,
then resumed to its end. The final weights, the optimizer, the best checkpoint and the files in the work dir
must equal those of the undisturbed run. Of the kind `modules`, one process of three is killed, and the others
have to end by themselves within a minute; while they start and do not know each other yet, the drill ends
them, as torchrun does. Runs are forked from this process, which has imported everything.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from infopro_seg.streets.data_set import make_synthetic_streets
from infopro_seg.training.launch import train
from infopro_seg.yapf_import import import_yapf
from tests.drills.meeting import met
from tests.runs import DEMO, SIZE, TRAIN, VAL, hooks, load, tiny_options

ITERS, INTERVAL, FAILED = 8, 2, 3
STAGES = [{'train_cfg': {'max_iters': 4}}, {'train_cfg': {'max_iters': 4}}, {}]
EMA = [*hooks({'type': 'EMAHook', 'momentum': 0.1}), {'type': 'ResultsHook'}]
KINDS: dict[str, dict[str, Any]] = {
    'plain': {},
    'accumulation': {'optim_wrapper.accumulative_counts': 3},
    'ema': {'custom_hooks': EMA},
    'amp': {},
    'stages': {'stages': STAGES},
    'ranks': {'optim_wrapper.accumulative_counts': 3},
    'modules': {
        'custom_hooks': hooks({'type': 'EMAHook', 'momentum': 0.1}, {'type': 'NoteMeeting'}),
        'optim_wrapper.clip_grad': {'max_norm': 1.0, 'per_module': True},
    },
}
RANKS = {'ranks': 2, 'modules': 3}
IN_TIME = 60.0  # seconds in which the others have to end


def options_of(kind: str, keep: int, streets: Path) -> dict[str, Any]:
    saving = {
        'train_cfg.max_iters': ITERS,
        'train_cfg.val_interval': INTERVAL,
        'default_hooks.checkpoint.interval': INTERVAL,
        'default_hooks.checkpoint.max_keep_ckpts': keep,
    }
    return {**tiny_options(streets, results=True, log_level='WARNING'), **saving, **KINDS[kind]}


def start(kind: str, keep: int, streets: Path, work_dir: Path) -> list[int]:
    """Forks the ranks of a run; returns their process ids."""
    ranks = RANKS.get(kind, 1)
    met(work_dir).unlink(missing_ok=True)
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    return [_fork(kind, keep, streets, work_dir, rank, ranks, port) for rank in range(ranks)]


def _fork(kind: str, keep: int, streets: Path, work_dir: Path, rank: int, ranks: int, port: int) -> int:
    process = os.fork()
    if process:
        return process
    status = FAILED
    try:
        log = os.open(f'{work_dir}.{rank}.log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if ranks > 1:
            place = {'RANK': rank, 'LOCAL_RANK': rank, 'WORLD_SIZE': ranks, 'MASTER_PORT': port}
            os.environ.update({key: str(value) for key, value in place.items()}, MASTER_ADDR='127.0.0.1')
        torch.set_num_threads(1)
        train(
            DEMO,
            work_dir=str(work_dir),
            resume=True,
            amp=kind == 'amp',
            seed=0,
            options=options_of(kind, keep, streets),
            launcher='pytorch' if ranks > 1 else 'none',
            module_parallel=kind == 'modules',
        )
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def finish(
    processes: list[int], limit: float | None = None, victim: int | None = None, meeting: Path | None = None
) -> bool:
    """Waits for a run; after `limit` seconds kills it, or only the `victim`. Returns whether it has ended.

    The others then end by themselves; before their `meeting` they are told to.
    """
    until = time.monotonic() + limit if limit is not None else None
    left = list(processes)
    while left:
        for process in list(left):
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                left.remove(process)
                if os.waitstatus_to_exitcode(status) != 0:
                    _kill(left)
                    raise RuntimeError(f'a run ended with status {os.waitstatus_to_exitcode(status)}')
        if left and until is not None and time.monotonic() > until:
            if victim is not None and processes[victim] in left:
                left.remove(processes[victim])
                _kill([processes[victim]])
                if meeting is not None and not meeting.exists():
                    for process in left:
                        os.kill(process, signal.SIGTERM)
                _await(left)
            else:
                _kill(left)
            return False
        time.sleep(0.002 if until is not None else 0.05)
    return True


def _await(processes: list[int]) -> None:
    """Waits for processes whose peer is gone."""
    left, until = list(processes), time.monotonic() + IN_TIME
    while left:
        left = [process for process in left if os.waitpid(process, os.WNOHANG)[0] == 0]
        if time.monotonic() > until:
            _kill(left)
            raise RuntimeError(f'{len(left)} processes did not end within {IN_TIME} s of the kill of another')
        time.sleep(0.05)


def _kill(processes: list[int]) -> None:
    for process in processes:
        os.kill(process, signal.SIGKILL)
    for process in processes:
        os.waitpid(process, 0)


def differences(run: Path, reference: Path) -> list[str]:
    """What is not as in the undisturbed run."""
    names = [sorted(str(p.relative_to(folder)) for p in folder.rglob('*.pth')) for folder in (run, reference)]
    found = [f'files {names[0]} in place of {names[1]}'] if names[0] != names[1] else []
    found += [f'left over: {path.name}' for path in run.rglob('*.partial')]
    for name in set(names[0]) & set(names[1]):
        one, other = load(run / name), load(reference / name)
        for part in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'gradients'):
            if not _same(one.get(part), other.get(part)):
                found.append(f'{part} of {name}')
        if one['meta']['iter'] != other['meta']['iter']:
            found.append(f'iteration of {name}')
    return found


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def drill(kind: str, keep: int, kills: int, streets: Path, folder: Path, moments: random.Random) -> int:
    """Drills one kind of run; returns how many runs were not as the undisturbed one."""
    begin = time.monotonic()
    reference = folder / 'reference'
    finish(start(kind, keep, streets, reference))
    duration = time.monotonic() - begin
    done, wrong, runs, early = 0, 0, 0, 0
    while done < kills:
        runs += 1
        run = folder / f'run_{runs}'
        times = [moments.uniform(0, duration) for _ in range(3)]
        try:
            for limit in times:
                victim = moments.randrange(RANKS[kind]) if kind == 'modules' else None
                if done == kills or finish(start(kind, keep, streets, run), limit, victim, met(run)):
                    break
                done += 1
                early += not met(run).exists()
            finish(start(kind, keep, streets, run))
            found = differences(run, reference)
        except RuntimeError as error:
            found = [f'{error}: {Path(f"{run}.0.log").read_text()[-600:]}']
        if found:
            wrong += 1
            print(f'  {run.name}, killed after {[round(t, 2) for t in times]} s: {"; ".join(found)}')
        else:
            shutil.rmtree(run)
    of_start = f' ({early} while the processes started)' if kind == 'modules' else ''
    print(
        f'{kind}, keep {keep}: {done} kills{of_start} in {runs} runs of {duration:.1f} s, {wrong} wrong',
        flush=True,
    )
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description='Kills trainings at random moments and resumes them.')
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS))
    parser.add_argument('--keep', nargs='+', type=int, default=[1, 2], help='max_keep_ckpts')
    parser.add_argument('--kills', type=int, default=30, help='of each kind and each number to keep')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--out', type=Path, help='folder for the runs that differ (default: a temporary one)')
    args = parser.parse_args()
    # laying out a config's text takes half a second, and a run does it nine times
    import_yapf()
    sys.modules['yapf.yapflib.yapf_api'].FormatCode = lambda text, **kwargs: (text, True)
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        streets = folder / 'streets'
        make_synthetic_streets(streets, TRAIN, VAL, SIZE, seed=5, workers=1)
        wrong = 0
        for kind in args.kinds:
            for keep in args.keep:
                place = folder / f'{kind}_{keep}'
                place.mkdir(parents=True)
                wrong += drill(kind, keep, args.kills, streets, place, moments)
    return int(wrong > 0)


if __name__ == '__main__':
    sys.exit(main())
