"""List the blocks of a config's encoder: each but the last may be a cut.

Example:
  python tools/list_blocks.py configs/deeplabv3_infopro_cityscapes.py --crop 512 1024 --batch 4
"""

from __future__ import annotations

from pathlib import Path

from infopro_seg.options import add_cfg_options, add_sizes, new_parser


def main() -> None:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    add_sizes(parser)
    add_cfg_options(parser)
    args = parser.parse_args()

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.memory.tracing.list_blocks import list_blocks
    from infopro_seg.training.checks.config_check import require_options_of

    require_options_of(args.config, args.cfg_options)
    crop = tuple(args.crop) if args.crop else None
    list_blocks(Path(args.config), args.batch, crop, args.cfg_options)
