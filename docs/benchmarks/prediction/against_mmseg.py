"""Measures memory and time of prediction here and in stock mmsegmentation, on one image of noise, on a CPU.

Each measurement is a process of its own. The peak of live bytes is followed by torch's MemTracker in a second
process, as following them takes time.

Example:
  python docs/benchmarks/prediction/against_mmseg.py --classes 150 --size 4096 4096 --mode slide --out FILE
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import infopro_seg.register  # noqa: F401

WINDOW, STRIDE = 512, 341
BOTH = ('mmseg', 'infopro_seg')


def network(who: str, classes: int, mode: str) -> Any:
    """A small network, untrained: ours, or the same of stock mmseg."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build(config(who, classes, mode)).eval()


def config(who: str, classes: int, mode: str) -> Any:
    """Of the network."""
    from mmengine.config import ConfigDict

    encoder = {'type': 'ResNetV1c', 'depth': 18, 'base_channels': 16, 'stem_channels': 16}
    norm = {'type': 'BN', 'requires_grad': True}
    ours = who == 'infopro_seg'
    head = {
        'type': 'FCNHead',
        'in_channels': 128,
        'in_index': 3,
        'channels': 32,
        'num_convs': 1,
        'concat_input': False,
        'norm_cfg': norm,
    }
    loss = {'type': 'CrossEntropyLoss', 'use_sigmoid': False}
    slide = {'mode': 'slide', 'crop_size': (WINDOW, WINDOW), 'stride': (STRIDE, STRIDE)}
    return ConfigDict(
        type='InfoProEncoderDecoder' if ours else 'EncoderDecoder',
        data_preprocessor={
            'type': 'SegDataPreProcessor',
            'mean': [127.5] * 3,
            'std': [127.5] * 3,
            'bgr_to_rgb': True,
        },
        backbone={'type': 'InfoProBackbone', 'encoder': encoder} if ours else encoder,
        decode_head=dict(head, num_classes=classes, align_corners=False, loss_decode=loss),
        train_cfg={},
        test_cfg=slide if mode == 'slide' else {'mode': 'whole'},
    )


def traced(who: str, classes: int, size: tuple[int, int], mode: str) -> float:
    """The peak that `tools/plan.py --inference` predicts, in MiB; nothing of that size is computed.

    It runs under -O: mmseg asserts that windows leave no gap, which needs values that a trace lacks.
    """
    command = [sys.executable, '-O', __file__, '--traced', who, '--classes', str(classes), '--mode', mode]
    done = subprocess.run([*command, '--size', *map(str, size)], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def trace(who: str, classes: int, size: tuple[int, int], mode: str) -> None:
    """Traces and prints the peak in MiB."""
    from mmengine.config import Config

    from infopro_seg.memory.inference.prediction import trace_prediction

    peak = trace_prediction(Config({'model': config(who, classes, mode)}), size).peak
    print(round(peak / 2**20, 1))


def child(who: str, classes: int, size: tuple[int, int], mode: str, follow: bool, labels: Path) -> None:
    """Predicts once, saves the labels and prints what it took."""
    from mmseg.structures import SegDataSample
    from torch.distributed._tools.mem_tracker import MemTracker

    torch.set_num_threads(1)
    model = network(who, classes, mode)
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    sample = SegDataSample(metainfo={'img_shape': size, 'ori_shape': size, 'pad_shape': size})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found: dict[str, Any] = {}
    with torch.no_grad():
        data = {'inputs': [image], 'data_samples': [sample]}
        if follow:
            tracker = MemTracker()
            tracker.track_external(model)  # not the image, which a GPU would not hold before
            with tracker:
                [result] = model.test_step(data)
            peaks = tracker.get_tracker_snapshot('peak')
            found['live_mib'] = round(sum(peak['Total'] for peak in peaks.values()) / 2**20, 1)
        else:
            start = time.process_time()
            [result] = model.test_step(data)
            found['cpu_seconds'] = round(time.process_time() - start, 1)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            found['resident_mib'] = round((after - before) / 1024, 1)
    np.save(labels, result.pred_sem_seg.data.to(torch.int16).numpy())
    print(json.dumps(found))


def measure(
    classes: int, size: tuple[int, int], mode: str, repeats: int, folder: Path, measured: Sequence[str]
) -> list[dict[str, Any]]:
    """One row for each of both, their repeats interleaved; of seconds and resident memory the smallest.

    Args:
        classes: number of classes.
        size: height and width of the image.
        mode: `whole` or `slide`.
        repeats: of the timed processes.
        folder: for the labels.
        measured: which of both are measured; both are traced.
    """
    rows: dict[str, dict[str, Any]] = {}
    for who in BOTH:
        setting = {'who': who, 'classes': classes, 'size': list(size), 'mode': mode}
        rows[who] = {**setting, 'traced_mib': traced(who, classes, size, mode)}
    found_labels = {who: folder / f'{who}.npy' for who in measured}
    for turn in range(repeats + 1):
        for who in measured:
            command = [sys.executable, __file__, '--child', who, '--classes', str(classes), '--mode', mode]
            command += [
                '--size',
                *map(str, size),
                '--labels',
                str(found_labels[who]),
                *['--follow'] * (turn == 0),
            ]
            environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
            done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            row = rows[who]
            for key, value in found.items():
                row[key] = min(value, row.get(key, value))
    if len(measured) == 1:
        return list(rows.values())
    one, other = (np.load(path) for path in found_labels.values())
    return [{**row, 'labels_that_differ': int((one != other).sum())} for row in rows.values()]


def processor() -> str:
    """The name of the processor."""
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    return next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), '')


def main() -> None:
    """Runs the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--classes', type=int, required=True)
    parser.add_argument('--size', nargs=2, type=int, required=True, metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--mode', choices=('whole', 'slide'), required=True)
    parser.add_argument('--repeats', type=int, default=2, help='of the timed processes; default: %(default)s')
    parser.add_argument(
        '--measure',
        nargs='+',
        choices=BOTH,
        default=BOTH,
        help='what is measured: mmseg may take more memory than there is; both are traced',
    )
    parser.add_argument('--out', type=Path, help='a .json; rows are added to those it has')
    parser.add_argument('--child', help=argparse.SUPPRESS)
    parser.add_argument('--traced', help=argparse.SUPPRESS)
    parser.add_argument('--labels', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--follow', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.traced:
        trace(args.traced, args.classes, tuple(args.size), args.mode)
        return
    if args.child:
        child(args.child, args.classes, tuple(args.size), args.mode, args.follow, args.labels)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(args.classes, tuple(args.size), args.mode, args.repeats, Path(folder), args.measure)
    for row in rows:
        print(row, flush=True)
    if args.out:
        setting = {
            'date': date.today().isoformat(),
            'torch': torch.__version__,
            'machine': platform.machine(),
            'processor': processor(),
            'cores': os.cpu_count(),
            'threads': 1,
            'python': platform.python_version(),
            'mmsegmentation': version('onedl-mmsegmentation'),
        }
        earlier = json.loads(args.out.read_text())['rows'] if args.out.is_file() else []
        args.out.write_text(json.dumps({'setting': setting, 'rows': earlier + rows}, indent=1) + '\n')


if __name__ == '__main__':
    main()
