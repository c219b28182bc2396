"""The command-line options that several commands share."""

from __future__ import annotations

import re
from argparse import SUPPRESS, Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from ast import literal_eval
from typing import Any

SPACED = re.compile(r'[^\s,([{:]\s+[^\s,)\]}]')  # a space inside an item of a list


def new_parser(description: str | None, **options: Any) -> ArgumentParser:
    """The parser of a command.

    Its help lists `--traceback`, which :func:`infopro_seg.cli.run` takes from the command line before.

    Args:
        description: what the command does, as its help shows it.
        options: the other arguments of `ArgumentParser`.
    """
    parser = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter, **options)
    parser.add_argument(
        '--traceback', action='store_true', default=SUPPRESS, help='show the full traceback of an error'
    )
    return parser


def add_cfg_options(parser: ArgumentParser) -> None:
    """Adds `--cfg-options KEY=VALUE ...`; its value is `{'a.b': value}`, or None."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='values to change in the config, e.g. train_cfg.max_iters=20000',
    )


def add_sizes(parser: ArgumentParser) -> None:
    """Adds `--batch N` and `--crop H W` of a training; their values are None unless given."""
    parser.add_argument('--batch', type=int, metavar='N', help="images per GPU; default: the config's")
    parser.add_argument(
        '--crop',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help="height and width of crops in pixels; default: the config's",
    )


def add_precision(parser: ArgumentParser) -> None:
    """Adds `--amp [fp16|bf16]`; its value is None unless given."""
    parser.add_argument(
        '--amp',
        nargs='?',
        const='fp16',
        choices=('fp16', 'bf16'),
        help="mixed precision, fp16 if no kind is given; default: the config's",
    )


def add_launcher(parser: ArgumentParser, script: str) -> None:
    """Adds `--launcher`, and torchrun's hidden `--local-rank`.

    Args:
        parser: the parser of the command.
        script: the script in `tools/` that starts the command in several processes.
    """
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm'],
        default='none',
        help=f'what started the processes; tools/{script} gives pytorch',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=SUPPRESS)


class CfgOptions(Action):
    """mmengine's `--cfg-options KEY=VALUE ...`, with clear errors.

    A text with commas is a list for mmengine, with quotes and without. Here it is a text if it is in quotes.
    mmengine removes all spaces. Here those inside texts stay, in lists if each text is in quotes.
    """

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Reads the overrides."""
        from mmengine.config import DictAction  # exported networks are predicted without it

        action = DictAction(self.option_strings, self.dest, nargs=self.nargs)
        for value in values:
            key, equals, given = value.partition('=')
            if not equals or not key.strip('.') or key != key.strip():
                parser.error(
                    f'{option_string} {value!r}: write KEY=VALUE, without spaces around =, e.g. '
                    'train_cfg.max_iters=20000'
                )
            kept = _kept(given.strip())
            if kept is not None:
                setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), key: kept})
                continue
            if SPACED.search(given):
                parser.error(
                    f'{option_string} {value!r}: the spaces in the texts of a list would be lost; put each '
                    "in quotes, and all in others: \"a.b=['traffic light', 'car']\""
                )
            try:
                action(parser, namespace, [value], option_string)
            except (AssertionError, ValueError, IndexError) as error:
                parser.error(f'{option_string} {value!r}: {error}; put all of it in quotes')


def _literal(value: str) -> Any:
    """A text in quotes, or a list or tuple, as Python reads it; None for other values."""
    try:
        return literal_eval(value) if value[:1] in ('"', "'", '(', '[') else None
    except (SyntaxError, ValueError):
        return None


def _kept(value: str) -> Any:
    """A text, or a list of texts, that mmengine would split or take spaces from; None for other values."""
    found = _literal(value)
    if isinstance(found, str) and found[:1] in ('(', '['):
        found = _literal(found)
    if isinstance(found, (list, tuple)):
        return found if any(map(_has_spaces, found)) else None
    if found is None and not set(value) & set(',([{'):
        found = value  # without quotes
    return found if isinstance(found, str) and (',' in found or _has_spaces(found)) else None


def _has_spaces(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_has_spaces, value))
    return isinstance(value, str) and ' ' in value.strip()
