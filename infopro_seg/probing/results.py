"""The results of several checkpoints, as JSON and as tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from infopro_seg.markdown import markdown_table
from infopro_seg.probing.tasks import PixelTask, ProbeTask
from infopro_seg.strict_json import write_json as to_file


@dataclass(frozen=True)
class Subject:
    """One checkpoint and the results of its probes.

    Args:
        label: its name in tables and pictures.
        checkpoint: path of its file.
        cuts: the blocks after which gradients stopped in its training.
        blocks: the scores of each chosen block, in the order of the network.
        reconstructions: the reconstructions of the images shown from each block, (H, W, 3) RGB uint8.
    """

    label: str
    checkpoint: str
    cuts: tuple[str, ...]
    blocks: dict[str, dict[str, Any]]
    reconstructions: dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class ProbeResults:
    """Checkpoints side by side.

    Args:
        names: all blocks of the encoder, in order.
        subjects: the checkpoints.
        ignorance: the scores of the best guess that does not depend on the image.
        images: the images shown, (H, W, 3) RGB uint8.
        settings: the settings that all results share.
        task: the task of the classifiers.
    """

    names: list[str]
    subjects: list[Subject]
    ignorance: dict[str, float | None]
    images: list[np.ndarray]
    settings: dict[str, Any]
    task: ProbeTask = field(default_factory=PixelTask)

    @property
    def chosen(self) -> list[str]:
        """The blocks that were probed."""
        return list(self.subjects[0].blocks)

    @property
    def ignorance_row(self) -> dict[str, Any]:
        """The scores of that guess, arranged as those of a block."""
        return {**self.ignorance, **dict.fromkeys(self.task.classifiers, self.ignorance)}


def write_json(results: ProbeResults, path: Path) -> None:
    """Writes all scores; `depth` counts the blocks of the encoder from 1."""
    content = {
        'settings': results.settings,
        'ignorance': results.ignorance,
        'checkpoints': [
            {
                'label': subject.label,
                'checkpoint': subject.checkpoint,
                'cuts': list(subject.cuts),
                'blocks': [
                    {'block': name, 'depth': results.names.index(name) + 1, **scores}
                    for name, scores in subject.blocks.items()
                ],
            }
            for subject in results.subjects
        ],
    }
    to_file(path, content)


def markdown(results: ProbeResults) -> str:
    """One table per measure, with a row per block and a column per checkpoint; bold ends a local module."""
    shared = ', '.join(f'{key}: {value}' for key, value in results.settings.items())
    lines = [shared, '', 'Bold: the last block of a local module, after which gradients stopped.']
    for title, read, digits in results.task.measures:
        lines += ['', f'### {title}', '']
        header = ['block', *(subject.label for subject in results.subjects)]
        rows = [
            [f'`{name}`', *(_cell(subject, name, read, digits) for subject in results.subjects)]
            for name in results.chosen
        ]
        ignorance = _number(read(results.ignorance_row), digits)
        rows.append(['knowing nothing', *[ignorance] * len(results.subjects)])
        lines.append(markdown_table(header, rows).rstrip('\n'))
    return '\n'.join(lines) + '\n'


def _cell(subject: Subject, name: str, read: Callable[[dict[str, Any]], float], digits: str) -> str:
    text = _number(read(subject.blocks[name]), digits)
    return f'**{text}**' if name in subject.cuts else text


def _number(value: float | None, digits: str) -> str:
    """A score as text; None is the infinite PSNR of a perfect reconstruction, which JSON cannot hold."""
    return '∞' if value is None else f'{value:{digits}}'
