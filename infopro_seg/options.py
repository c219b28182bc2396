"""The command-line option that overrides parts of a config."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from mmengine.config import DictAction


class CfgOptions(DictAction):
    """mmengine's `--cfg-options KEY=VALUE ...`, with an error for what it cannot read."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: str | None = None
    ) -> None:
        """Reads the overrides."""
        for value in values:
            key, equals, _ = value.partition('=')
            if not equals or not key.strip('.') or key != key.strip():
                parser.error(
                    f'{option_string} {value!r}: write KEY=VALUE, without spaces around =, e.g. '
                    'train_cfg.max_iters=20000'
                )
            try:
                super().__call__(parser, namespace, [value], option_string)
            except (AssertionError, ValueError, IndexError) as error:
                parser.error(f'{option_string} {value!r}: {error}; put the whole of it into quotes')
