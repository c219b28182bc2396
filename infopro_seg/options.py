"""The command-line option that overrides parts of a config."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from ast import literal_eval
from typing import Any


def add_cfg_options(parser: ArgumentParser) -> None:
    """Adds `--cfg-options KEY=VALUE ...`; its value is `{'a.b': value}`, or None."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='values to change in the config, e.g. train_cfg.max_iters=20000',
    )


class CfgOptions(Action):
    """mmengine's `--cfg-options KEY=VALUE ...`, with clear errors.

    A text with commas is a list for mmengine, with quotes and without. Here it is a text if it is in quotes.
    """

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Reads the overrides."""
        from mmengine.config import DictAction  # exported networks are predicted without it

        action = DictAction(self.option_strings, self.dest, nargs=self.nargs)
        for value in values:
            key, equals, _ = value.partition('=')
            if not equals or not key.strip('.') or key != key.strip():
                parser.error(
                    f'{option_string} {value!r}: write KEY=VALUE, without spaces around =, e.g. '
                    'train_cfg.max_iters=20000'
                )
            text = _quoted(value.partition('=')[2])
            if text is not None:
                setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), key: text})
                continue
            try:
                action(parser, namespace, [value], option_string)
            except (AssertionError, ValueError, IndexError) as error:
                parser.error(f'{option_string} {value!r}: {error}; put all of it in quotes')


def _quoted(value: str) -> str | None:
    """The text between quotes that has commas; None for other values, which mmengine reads."""
    try:
        found = literal_eval(value) if value[:1] in ('"', "'") else None
    except (SyntaxError, ValueError):
        return None
    is_text = isinstance(found, str) and ',' in found and found[0] not in '(['
    return found if is_text else None
