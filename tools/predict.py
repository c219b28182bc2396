"""Predict images: coloured overlays and label images.

See `python tools/predict.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.predict import main

if __name__ == '__main__':
    run(main)
