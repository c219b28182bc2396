"""Measure recipes side by side, each in its own process, with the prediction beside the measurement.

See `python tools/benchmark.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.benchmark import main

if __name__ == '__main__':
    run(main)
