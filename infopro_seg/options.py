"""The command-line option that overrides parts of a config."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from typing import Any


def add_cfg_options(parser: ArgumentParser) -> None:
    """Adds `--cfg-options KEY=VALUE ...`; its value is `{'a.b': value}`, or None."""
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='overrides of the config'
    )


class CfgOptions(Action):
    """mmengine's `--cfg-options KEY=VALUE ...`, with clear errors."""

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
            try:
                action(parser, namespace, [value], option_string)
            except (AssertionError, ValueError, IndexError) as error:
                parser.error(f'{option_string} {value!r}: {error}; put all of it in quotes')
