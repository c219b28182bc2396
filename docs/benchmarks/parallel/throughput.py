"""Seconds per iteration of one process per local module, and of one process for all modules.

One thread each, in turns. As many independent trainings at once, each of all modules, show how fast the
machine's cores are beside each other.

python docs/benchmarks/parallel/throughput.py configs/infopro_demo.py --cuts layer4.0
"""

from __future__ import annotations

import argparse
import copy
import datetime
import json
import os
import tempfile
import time
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.multiprocessing as mp
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import distributed as dist

from infopro_seg.config_files import load_config
from infopro_seg.training.module_parallel.local_module import HandedBatch
from infopro_seg.training.module_parallel.wrapper import ModuleParallel

WARM_UP = 2


def make_batch(count: int, size: tuple[int, int], classes: int) -> dict[str, Any]:
    """Random images and labels."""
    inputs = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for _ in range(count)]
    samples = []
    for _ in range(count):
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, classes, (1, *size))))
        sample.set_metainfo({'img_shape': size, 'ori_shape': size, 'pad_shape': size})
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


def build(cfg: Any) -> Any:
    """The network, with initial weights."""
    MMLogger.get_current_instance().setLevel('ERROR')
    init_default_scope('mmseg')
    model = MODELS.build(copy.deepcopy(cfg.model))
    model.init_weights()
    return model.train()


def seconds(model: Any, optim_wrapper: OptimWrapper, batches: Any, iterations: int) -> float:
    """Seconds per iteration, after a warm-up."""
    start = 0.0
    for iteration in range(WARM_UP + iterations):
        if iteration == WARM_UP:
            start = time.perf_counter()
        model.train_step(next(batches), optim_wrapper)
    return (time.perf_counter() - start) / iterations


def sgd(model: Any) -> OptimWrapper:
    """The optimizer of all trainings here."""
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9))


def on_rank(rank: int, folder: str, args: argparse.Namespace, cfg: Any, modules: int) -> None:
    """What one process does; the one of the last module, which others wait for, notes its time."""
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=modules)
    model = ModuleParallel(build(cfg))
    optim_wrapper = sgd(model)
    model.settle(optim_wrapper)

    def batches() -> Any:
        while True:
            if model.placement.is_first:
                yield HandedBatch.loaded(make_batch(args.batch, tuple(args.crop), args.classes))
            else:
                yield HandedBatch.of(model.link.receive())

    found = seconds(model, optim_wrapper, batches(), args.iterations)
    model.link.finish()
    dist.barrier()
    if rank == 0:
        (Path(folder) / 'seconds0').write_text(str(found))


def alone(rank: int, folder: str, args: argparse.Namespace, cfg: Any) -> None:
    """One process that trains all modules."""
    torch.set_num_threads(1)
    model = build(cfg)

    def batches() -> Any:
        while True:
            yield make_batch(args.batch, tuple(args.crop), args.classes)

    (Path(folder) / f'seconds{rank}').write_text(str(seconds(model, sgd(model), batches(), args.iterations)))


def processor() -> str:
    """The processor's name, where Linux says it."""
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    return next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), '')


def main() -> None:
    """Measures in turns, and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('--cuts', nargs='+', required=True)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--crop', type=int, nargs=2, default=(96, 192))
    parser.add_argument('--classes', type=int, default=19)
    parser.add_argument('--iterations', type=int, default=20)
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    cfg = load_config(args.config)
    cfg.model.backbone.cuts = tuple(args.cuts)
    modules = len(args.cuts) + 1
    load = os.getloadavg()[0]
    arms: dict[str, tuple[Any, tuple[Any, ...], int]] = {
        'one_process': (alone, (), 1),
        'module_parallel': (on_rank, (modules,), modules),
        'independent': (alone, (), modules),
    }
    found: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(args.rounds):
        for name, (run, more, processes) in arms.items():
            with tempfile.TemporaryDirectory() as folder:
                mp.spawn(run, (folder, args, cfg, *more), nprocs=processes)
                taken = [float(path.read_text()) for path in Path(folder).glob('seconds*')]
            found[name].append(max(taken))
    one, together, independent = found.values()
    result = {
        'config': args.config,
        'cuts': args.cuts,
        'batch': args.batch,
        'crop': args.crop,
        'iterations': args.iterations,
        'seconds_per_iteration': found,
        'speedup': median(map(truediv, one, together)),
        'speedup_of_independent': modules * median(map(truediv, one, independent)),
        'load_average': load,
        'machine': {'processor': processor(), 'cores': os.cpu_count(), 'torch': torch.__version__},
        'date': datetime.date.today().isoformat(),
    }
    print(json.dumps(result, indent=2))


if __name__ == '__main__':
    main()
