"""Measures on a GPU what `prepare.py` wrote: peak memory and seconds per iteration of each recipe.

All recipes of a folder train in one process, which frees its memory between two of them, so that cuDNN tries
its algorithms only once. Two such processes may run at once: one builds its model while the other measures.

Example:
  python docs/benchmarks/gpu/measure.py work_dirs/gpu/fp32 --out fp32.jsonl --seconds 180 --first 00 01 15
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import infopro_seg.register  # noqa: F401
from infopro_seg.memory.measuring.measure import Trial
from infopro_seg.memory.tracing.training_setup import TrainingSetup

ITERATIONS = 8


@contextmanager
def turn() -> Iterator[None]:
    """Lets one process at a time use the GPU."""
    with open(Path(tempfile.gettempdir()) / 'measure.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def measured(request: Path, setup: TrainingSetup) -> dict[str, Any]:
    """Trains a recipe for some iterations and returns its peaks and seconds."""
    before = torch.cuda.memory_allocated()
    trial = Trial(Config.fromfile(request.with_suffix('.py')), setup)
    with turn():
        trial.warm_up()
        torch.cuda.reset_peak_memory_stats()
        times = trial.seconds(ITERATIONS)
        torch.cuda.synchronize()
    return {
        'allocated_bytes': torch.cuda.max_memory_allocated(),
        'reserved_bytes': torch.cuda.max_memory_reserved(),
        'before_bytes': before,
        'seconds': statistics.median(times),
        'seconds_min': min(times),
        'seconds_max': max(times),
        'times': times,
        'images_per_second': setup.batch / statistics.median(times),
        'iterations': ITERATIONS,
        'device': torch.cuda.get_device_name(),
        'torch': torch.__version__,
        'cudnn': torch.backends.cudnn.version(),
        'cudnn_benchmark': torch.backends.cudnn.benchmark,
        'tf32': torch.backends.cudnn.allow_tf32,
    }


def main() -> None:
    """Measures the requests of a folder until its time is up; writes a line of JSON for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='a line is added for each')
    parser.add_argument('--first', nargs='*', default=[], metavar='NAME', help='requests to begin with')
    parser.add_argument('--seconds', type=float, default=600, help='begin no request after so long')
    args = parser.parse_args()

    end = time.monotonic() + args.seconds
    rest = [path.stem for path in sorted(args.folder.glob('*.json')) if path.stem not in args.first]
    for name in [*args.first, *rest]:
        if time.monotonic() > end:
            break
        request = args.folder / f'{name}.json'
        asked = json.loads(request.read_text())
        setup = TrainingSetup(**{**asked['setup'], 'crop': tuple(asked['setup']['crop'])})
        row = {'precision': args.folder.name, 'name': name, **asked['predicted']}
        try:
            row['measured'] = measured(request, setup)
        except RuntimeError as error:
            row['measured'] = {'error': str(error)[:600]}
        with open(args.out, 'a') as lines:
            lines.write(json.dumps(row) + '\n')
        print(f'{row["precision"]} {row["recipe"]}: {row["measured"]}', flush=True)
        gc.collect()
        torch.cuda.empty_cache()
        torch._C._cuda_clearCublasWorkspaces()


if __name__ == '__main__':
    main()
