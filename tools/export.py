"""Export a checkpoint for use without this package: for stock mmseg, as ONNX, or as a torch.export program.

See `python tools/export.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.export import main

if __name__ == '__main__':
    run(main)
