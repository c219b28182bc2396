"""Predict what training takes, without a GPU, and choose a recipe that fits.

See `python tools/plan.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.plan import main

if __name__ == '__main__':
    run(main)
