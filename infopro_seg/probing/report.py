"""The findings about several checkpoints as JSON and as tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infopro_seg.strict_json import write_json as to_file

MEASURES: tuple[tuple[str, Callable[[dict[str, Any]], float], str], ...] = (
    ('Reconstruction error: mean squared error of pixels in [0, 1]', lambda row: row['mse'], '.4f'),
    ('Reconstruction: PSNR, dB', lambda row: row['psnr'], '.2f'),
    ('Reconstruction: binary cross-entropy, nats', lambda row: row['bce'], '.4f'),
    ('mIoU of the linear classifier', lambda row: row['linear']['mIoU'], '.3f'),
    ('mIoU of the classifier with one hidden layer', lambda row: row['mlp']['mIoU'], '.3f'),
    ('Pixel accuracy of the linear classifier', lambda row: row['linear']['accuracy'], '.3f'),
    ('Pixel accuracy of the classifier with one hidden layer', lambda row: row['mlp']['accuracy'], '.3f'),
)


@dataclass(frozen=True)
class Subject:
    """One checkpoint and what its probes have found.

    Args:
        label: how tables and pictures call it.
        checkpoint: its file.
        cuts: the blocks after which gradients stopped in its training.
        blocks: the scores of each chosen block, in the order of the network.
        reconstructions: what each block's decoder made of the images shown, (H, W, 3) RGB uint8.
    """

    label: str
    checkpoint: str
    cuts: tuple[str, ...]
    blocks: dict[str, dict[str, Any]]
    reconstructions: dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class ProbeReport:
    """Checkpoints side by side.

    Args:
        names: all blocks of the encoder, in order.
        subjects: the checkpoints.
        ignorance: the scores of a guess that knows nothing of the image.
        images: the images shown, (H, W, 3) RGB uint8.
        settings: what all results have in common.
    """

    names: list[str]
    subjects: list[Subject]
    ignorance: dict[str, float | None]
    images: list[np.ndarray]
    settings: dict[str, Any]

    @property
    def chosen(self) -> list[str]:
        """The blocks that were looked into."""
        return list(self.subjects[0].blocks)


def write_json(report: ProbeReport, path: Path) -> None:
    """Writes all figures; `depth` counts the blocks of the encoder from 1."""
    content = {
        'settings': report.settings,
        'ignorance': report.ignorance,
        'checkpoints': [
            {
                'label': subject.label,
                'checkpoint': subject.checkpoint,
                'cuts': list(subject.cuts),
                'blocks': [
                    {'block': name, 'depth': report.names.index(name) + 1, **scores}
                    for name, scores in subject.blocks.items()
                ],
            }
            for subject in report.subjects
        ],
    }
    to_file(path, content)


def markdown(report: ProbeReport) -> str:
    """One table per measure: a row for each block, a column for each checkpoint; bold ends a local module."""
    shared = ', '.join(f'{key}: {value}' for key, value in report.settings.items())
    lines = [shared, '', 'Bold: the last block of a local module, after which gradients stopped.']
    for title, read, digits in MEASURES:
        lines += ['', f'### {title}', '']
        lines.append('| block | ' + ' | '.join(subject.label for subject in report.subjects) + ' |')
        lines.append('|---' + '|---:' * len(report.subjects) + '|')
        for name in report.chosen:
            cells = [_cell(subject, name, read, digits) for subject in report.subjects]
            lines.append(f'| `{name}` | ' + ' | '.join(cells) + ' |')
        known = {**report.ignorance, 'linear': report.ignorance, 'mlp': report.ignorance}
        lines.append(
            '| knowing nothing | ' + ' | '.join([_number(read(known), digits)] * len(report.subjects)) + ' |'
        )
    return '\n'.join(lines) + '\n'


def _cell(subject: Subject, name: str, read: Callable[[dict[str, Any]], float], digits: str) -> str:
    text = _number(read(subject.blocks[name]), digits)
    return f'**{text}**' if name in subject.cuts else text


def _number(value: float | None, digits: str) -> str:
    """A figure; the PSNR of a perfect reconstruction is no number, and JSON has none for it."""
    return '∞' if value is None else f'{value:{digits}}'
