"""Measures one recipe in its own process for `tools/benchmark.py`, so that none inherits another's memory."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mmengine.config import Config

import infopro_seg.register  # noqa: F401  a process of its own, as a command is
from infopro_seg.memory.measuring.measure import largest_crop, measure, out_of_memory
from infopro_seg.memory.tracing.training_setup import TrainingSetup


def main(request: Path) -> None:
    """Reads a request (config file, setup, what to measure) and writes the answer beside it."""
    asked = json.loads(request.read_text())
    cfg = Config.fromfile(asked['config'])
    setup = TrainingSetup(**{**asked['setup'], 'crop': tuple(asked['setup']['crop'])})
    try:
        if asked['budget'] is None:
            answer = measure(cfg, setup, asked['iterations'])
        else:
            answer = {'max_crop': largest_crop(cfg, setup, asked['budget'])}
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        answer = {'error': 'out of memory'}
    request.with_suffix('.answer.json').write_text(json.dumps(answer))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
