"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infopro_seg.comparison.results import MIOU
from infopro_seg.markdown import markdown_table

MIB = 2**20
OF_TURNS = (
    'Trained in stages: the peak is that of the largest stage; FLOPs and seconds are those of one iteration '
    'of each stage.'
)


def comparison_table(rows: Sequence[Mapping[str, Any]], metric: str = MIOU) -> str:
    """A table of method, K, the metric in percent, memory and time; traced and measured peaks are separate.

    If the suite names the size of the real use, traced memory and FLOPs are those at that size.
    """
    reference = next((traced(row)['flops'] for row in rows if row['method'] == 'e2e'), None)
    measured = any(row['measured_bytes'] for row in rows)
    compared = any(row['against_e2e'] is not None for row in rows if row['method'] != 'e2e')
    header = ['method', 'K', f'{metric} % (mean ± sd)', *['against E2E, same seeds'] * compared, 'seeds']
    header += ['peak MiB, traced' + (f' at {size}' if (size := real_use(rows)) else '')]
    header += ['peak MiB, measured on GPU'] * measured
    header += ['FLOPs of E2E, traced'] * (reference is not None) + ['s per iteration']
    lines = []
    for row in rows:
        line = [row['method'], str(row['modules']), percent(row[metric], row[f'{metric}_sd'])]
        if compared:
            line.append('' if row['method'] == 'e2e' else difference(row))
        line += [str(len(row['seeds'])), f'{traced(row)["peak_bytes"] / MIB:.1f}']
        if measured:
            line.append('' if row['measured_bytes'] is None else f'{row["measured_bytes"] / MIB:.1f}')
        if reference is not None:
            line.append(f'{traced(row)["flops"] / reference:.3f}')
        seconds = row['seconds_per_iteration']
        lines.append([*line, '' if seconds is None else f'{seconds:.3f}'])
    table = markdown_table(header, lines)
    return f'{table}\n{OF_TURNS}\n' if any(row['stages'] > 1 for row in rows) else table


def traced(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Peak and FLOPs of a method at the size of the real use, or at that of its training."""
    found: Mapping[str, Any] = row['traced'].get('real_use', row['traced'])
    return found


def real_use(rows: Sequence[Mapping[str, Any]]) -> str:
    """The size of the real use, empty if the suite names none."""
    found = next((row['traced']['real_use'] for row in rows if 'real_use' in row['traced']), None)
    return '' if found is None else f'batch {found["batch"]}, {found["crop"][0]}x{found["crop"][1]}'


def class_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of the mean IoU of every class in percent; one column for each method and K."""
    classes = list(rows[0]['IoU']) if rows else []
    header = ['class', *(f'{row["method"]} K={row["modules"]}' for row in rows)]
    cells = [[name, *(_share(row['IoU'].get(name)) for row in rows)] for name in classes]
    return markdown_table(header, cells)


def percent(value: float | None, spread: float | None, sign: str = '') -> str:
    """A share and its standard deviation, if any, in percent; empty if unknown."""
    if value is None:
        return ''
    return f'{100 * value:{sign}.2f}' + ('' if spread is None else f' ± {100 * spread:.2f}')


def difference(row: Mapping[str, Any]) -> str:
    """The mean difference of the mIoU from end-to-end training, in percent points."""
    if row['against_e2e'] is None:
        return ''
    shown = percent(row['against_e2e'], row['against_e2e_sd'], '+')
    paired, seeds = row['against_e2e_seeds'], len(row['seeds'])
    return shown if paired == seeds else f'{shown} ({paired} of {seeds} seeds)'


def _share(value: float | None) -> str:
    return '' if value is None else f'{100 * value:.1f}'
