"""A report on a data set as tables, JSON and a list of problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infopro_seg.datasets.checks.warnings import rounded, warnings_of
from infopro_seg.datasets.checks.whole_split import SplitReport
from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.datasets.problems import problem_lines
from infopro_seg.strict_json import to_json

SHOWN = 20  # problems on the console
KINDS = 4  # sizes and modes in the table


def print_report(report: SplitReport, console: Console, problems_file: Path) -> None:
    """Prints tables, warnings and the first problems; the file contains all problems."""
    console.print(summary_table(report))
    if report.labels:
        console.print(class_table(report))
    for text in warnings_of(report):
        console.print(f'[yellow]warning:[/yellow] {escape(text)}', highlight=False, soft_wrap=True)
    for line in problem_lines(report.problems, SHOWN):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(report.problems) > SHOWN:
        rest = len(report.problems) - SHOWN
        console.print(f'... and {rest} more: {escape(str(problems_file))}', highlight=False, soft_wrap=True)


def summary_table(report: SplitReport) -> Table:
    """A table of the numbers, sizes and modes of the images."""
    table = Table(title=f'The {report.split.name} split', show_header=False)
    pairs = report.split.pairs
    labelled = sum(pair.label is not None for pair in pairs)
    rows = [
        ('images', f'{len(pairs)}, of which {sum(report.sizes.values())} can be read'),
        ('label images', f'{labelled}, of which {report.labels} can be read' if labelled else 'none'),
        ('sizes', _most_common({f'{w}x{h}': count for (w, h), count in report.sizes.items()})),
        ('image modes', _most_common(report.image_modes)),
        ('label modes', _most_common(report.label_modes)),
        ('ignored pixels', f'{report.ignored_share:.2%}' if report.labels else ''),
    ]
    if report.mean is not None and report.std is not None:
        rows.append((f'mean, std ({report.channels})', f'{rounded(report.mean)}, {rounded(report.std)}'))
    if report.expected is not None:
        rows.append(('the config assumes', ', '.join(str(rounded(values)) for values in report.expected)))
    rows.append(('problems', str(len(report.problems))))
    for name, value in rows:
        if value:
            table.add_row(name, value)
    return table


def class_table(report: SplitReport) -> Table:
    """A table of pixels and images of each class; shares refer to pixels that are not ignored."""
    table = Table(title='Classes')
    for name in ('id', 'class', 'pixels', 'share', 'images', 'share of images'):
        table.add_column(name, justify='left' if name == 'class' else 'right')
    for row in class_rows(report):
        table.add_row(
            str(row['id']),
            escape(row['name']),
            f'{row["pixels"]:,}',
            f'{row["share"]:.3%}',
            f'{row["images"]:,}',
            f'{row["images"] / report.labels:.1%}' if report.labels else '',
            style=None if row['images'] else 'red',
        )
    return table


def class_rows(report: SplitReport) -> list[dict[str, Any]]:
    """Pixels, share of the pixels that are not ignored, and images of each class."""
    total = max(int(report.pixels.sum() - report.pixels[IGNORED]), 1)
    return [
        {
            'id': index,
            'name': name,
            'pixels': int(report.pixels[index]),
            'share': int(report.pixels[index]) / total,
            'images': int(report.images[index]),
        }
        for index, name in enumerate(report.split.classes)
    ]


def report_json(report: SplitReport) -> str:
    """The whole report as JSON, with every problem."""
    outside = slice(len(report.split.classes), IGNORED)

    def numbers(values: np.ndarray | None) -> list[float] | None:
        return None if values is None else [float(value) for value in values]

    expected = report.expected or (None, None)
    content = {
        'split': report.split.name,
        'images': len(report.split.pairs),
        'images_read': sum(report.sizes.values()),
        'labels_read': report.labels,
        'sizes': [{'width': w, 'height': h, 'images': n} for (w, h), n in report.sizes.most_common()],
        'image_modes': dict(report.image_modes.most_common()),
        'label_modes': dict(report.label_modes.most_common()),
        'turned_by_exif': len(report.turned),
        'labels_turned_with_them': len(report.labels_turned),
        'classes': class_rows(report),
        'ignored_pixels': int(report.pixels[IGNORED]),
        'ignored_share': report.ignored_share,
        'pixels_outside_the_classes': int(report.pixels[outside].sum()),
        'channels': report.channels,
        'mean': numbers(report.mean),
        'std': numbers(report.std),
        'config_mean': numbers(expected[0]),
        'config_std': numbers(expected[1]),
        'warnings': warnings_of(report),
        'problems': [
            {'path': str(item.path), 'what': item.what, 'remedy': item.remedy} for item in report.problems
        ],
    }
    return to_json(content)


def _most_common(counts: Counter[str] | dict[str, int]) -> str:
    ordered: Iterable[tuple[str, int]] = Counter(counts).most_common(KINDS)
    rest = len(counts) - KINDS
    return ', '.join(f'{count} {name}' for name, count in ordered) + (
        f', and {rest} others' if rest > 0 else ''
    )
