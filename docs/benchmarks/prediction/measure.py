"""Measures the resident memory and the time of predicting a large TIFF.

Makes a raster of noise, band by band, and an untrained network; predicts in a process of its own.

Example:
  python docs/benchmarks/prediction/measure.py --size 6000 20000 --size 1024 1024 --out results.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from rasterio.windows import Window

import infopro_seg.register  # noqa: F401
from infopro_seg.config_files import load_config
from infopro_seg.predict import predict

WINDOW, STRIDE, TILE = 512, 341, 512
OPTIONS = {
    'model.test_cfg': {'mode': 'slide', 'crop_size': (WINDOW, WINDOW), 'stride': (STRIDE, STRIDE)},
    'model.backbone.encoder.base_channels': 8,
    'model.backbone.encoder.stem_channels': 8,
    'model.decode_head.channels': 16,
}


def write_raster(path: Path, height: int, width: int) -> None:
    """A tiled, deflate-compressed GeoTIFF of coarse patches with some noise."""
    random = np.random.default_rng(0)
    place = {'crs': 'EPSG:32632', 'transform': from_origin(5e5, 5.3e6, 0.1, 0.1)}
    layout = {'tiled': True, 'blockxsize': TILE, 'blockysize': TILE, 'compress': 'deflate', 'zlevel': 1}
    size = {'height': height, 'width': width, 'count': 3, 'dtype': 'uint8'}
    with rasterio.open(path, 'w', driver='GTiff', **size, **place, **layout, BIGTIFF='IF_SAFER') as dataset:
        for start in range(0, height, TILE):
            rows = min(TILE, height - start)
            coarse = random.integers(0, 240, (3, -(-rows // 64), -(-width // 64)), dtype=np.uint8)
            band = coarse.repeat(64, 1).repeat(64, 2)[:, :rows, :width]
            band += random.integers(0, 16, band.shape, dtype=np.uint8)
            dataset.write(band, window=Window(0, start, width, rows))


def child(folder: Path) -> None:
    """Predicts the raster and leaves what the process took."""
    from infopro_seg.inference import Predictor

    loaded = Predictor(load_config('infopro_demo', OPTIONS), folder / 'net.pth', 'cpu')
    own = _resident()
    del loaded
    start, used = time.perf_counter(), time.process_time()
    skipped = predict(
        'infopro_demo', folder / 'net.pth', [folder / 'raster.tif'], folder / 'out', 'cpu', OPTIONS
    )
    found = {
        'seconds': round(time.perf_counter() - start, 1),
        'cpu_seconds': round(time.process_time() - used, 1),
        'resident_mib': _resident(),
        'loaded_mib': own,
    }
    (folder / 'found.json').write_text(json.dumps({**found, 'predicted': not skipped}))


def measure(height: int, width: int) -> dict[str, object]:
    """A raster, a network and a process to predict with."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_raster(folder / 'raster.tif', height, width)
        model = _network()
        torch.save({'state_dict': model.state_dict()}, folder / 'net.pth')
        before = os.getloadavg()[0]
        environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
        command = [sys.executable, __file__, '--child', name]
        subprocess.run(command, check=True, env=environment)
        found = json.loads((folder / 'found.json').read_text())
        sizes = {
            'raster_mib': round((folder / 'raster.tif').stat().st_size / 2**20),
            'labels_mib': round((folder / 'out/raster_labels.tif').stat().st_size / 2**20, 1),
        }
        return {
            'size': [height, width],
            **found,
            **sizes,
            'load_before': before,
            'load_after': os.getloadavg()[0],
        }


def _network() -> torch.nn.Module:
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build(load_config('infopro_demo', OPTIONS).model)


def _resident() -> int:
    """The largest resident memory of this process so far (VmHWM), in MiB."""
    [line] = [one for one in Path('/proc/self/status').read_text().splitlines() if one.startswith('VmHWM')]
    return int(line.split()[1]) // 1024


def _processor() -> str:
    """The name of the processor."""
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    return next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), '')


def main() -> None:
    """Runs the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--size', nargs=2, type=int, action='append', metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--out', type=Path, help='a .json to write')
    parser.add_argument('--child', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    results = {
        'network': 'configs/infopro_demo.py with base_channels=8, untrained, 19 classes',
        'window': WINDOW,
        'stride': STRIDE,
        'threads': 1,
        'cores': os.cpu_count(),
        'machine': platform.machine(),
        'processor': _processor(),
        'date': date.today().isoformat(),
        'command': ' '.join(['python', *sys.argv]),
        'python': platform.python_version(),
        'torch': torch.__version__,
        'rasterio': rasterio.__version__,
        'runs': [],
    }
    for height, width in args.size:
        results['runs'].append(measure(height, width))
        text = json.dumps(results, indent=2) + '\n'
        sys.stdout.write(text)
        if args.out:
            args.out.write_text(text)


if __name__ == '__main__':
    main()
