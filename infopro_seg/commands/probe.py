"""Look inside trained networks: what each block still knows about the image and the classes.

A decoder and two classifiers are trained on the frozen output of every block.

Examples:
  python tools/probe.py configs/infopro_demo.py work_dirs/demo/iter_700.pth --out work_dirs/probes
  python tools/probe.py CONFIG e2e.pth greedy.pth infopro.pth --labels E2E 'greedy SL' InfoPro --out DIR
"""

from __future__ import annotations

from pathlib import Path

from infopro_seg.options import add_cfg_options, new_parser


def main() -> None:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file: data and encoder; cuts are read from the checkpoints')
    parser.add_argument(
        'checkpoints', nargs='+', metavar='CKPT', help='checkpoints of networks with the same encoder'
    )
    parser.add_argument(
        '--out', required=True, metavar='DIR', help='folder for depth.png, reconstructions.png, table.md, ...'
    )
    parser.add_argument(
        '--labels', nargs='+', metavar='NAME', help='a name for each checkpoint; default: its folder'
    )
    parser.add_argument(
        '--blocks',
        nargs='+',
        default=[],
        metavar='NAME',
        help='the blocks to probe: their names, or every:2 for every second block; default: all',
    )
    parser.add_argument(
        '--iterations', type=int, default=1000, help='training iterations of the probes; default: %(default)s'
    )
    parser.add_argument('--batch', type=int, metavar='N', help="images per iteration; default: the config's")
    parser.add_argument('--seed', type=int, default=0, help='random seed; default: %(default)s')
    parser.add_argument('--device', help='cpu, cuda, ...; default: the GPU if there is one')
    add_cfg_options(parser)
    args = parser.parse_args()

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.probing.command import ProbeRequest, probe
    from infopro_seg.training.checks.config_check import require_options_of

    require_options_of(args.config, args.cfg_options)
    probe(
        ProbeRequest(
            config=Path(args.config),
            checkpoints=[Path(path) for path in args.checkpoints],
            out=Path(args.out),
            labels=args.labels,
            blocks=args.blocks,
            iterations=args.iterations,
            batch=args.batch,
            seed=args.seed,
            device=args.device,
            options=args.cfg_options,
        )
    )
