"""The command `tools/check_dataset.py`: checks a split and shows its contents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infopro_seg.config_files import load_config, work_dir_of
from infopro_seg.consoles import counting, message_console, table_console
from infopro_seg.datasets.checks.class_plot import plot_classes
from infopro_seg.datasets.checks.samples import draw_samples
from infopro_seg.datasets.checks.tables import print_report, report_json
from infopro_seg.datasets.checks.whole_split import SplitReport, check_split
from infopro_seg.drawing.attempt import drawing
from infopro_seg.files import whole_file
from infopro_seg.outputs import require_folder, require_json
from infopro_seg.tasks import refuse_classifier


def check_dataset(
    config: str | Path,
    split: str = 'train',
    out: str | Path | None = None,
    workers: int | None = None,
    json_file: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> int:
    """Checks a split, prints a report, and draws pictures.

    Args:
        config: path of the config.
        split: train, val or test.
        out: folder of the pictures; by default `work_dirs/<config>/dataset`.
        workers: number of processes; one per core by default.
        json_file: where to write the report.
        options: overrides of the config, `{'a.b': value}`.

    Returns:
        The exit status: 1 if a file has a problem, else 0.

    Raises:
        UserError: the config or an argument is wrong, or there is no data to check.
    """
    cfg = load_config(config, options)
    refuse_classifier(cfg, 'tools/check_dataset.py', 'tools/train.py checks that its images are there')
    folder = Path(out) if out is not None else Path(work_dir_of(cfg, None)) / 'dataset'
    require_folder(folder)
    if json_file is not None:
        require_json(json_file)
    with counting(transient=True) as progress:
        report = check_split(cfg, split, workers, progress)
    written = _write(report, folder, json_file)
    console = table_console()
    print_report(report, console, folder / f'{split}_problems.txt')
    console.print(f'wrote {", ".join(map(str, written))}', markup=False, highlight=False, soft_wrap=True)
    return 1 if report.problems else 0


def _write(report: SplitReport, folder: Path, json_file: str | Path | None) -> list[Path]:
    """Writes JSON, problems and then pictures; returns the written files."""
    split = report.split.name
    written = []
    if json_file is not None:
        written.append(Path(json_file))
        with whole_file(written[-1]) as partial:
            partial.write_text(report_json(report), encoding='utf-8')
    problems = folder / f'{split}_problems.txt'
    problems.unlink(missing_ok=True)  # of an earlier check
    if report.problems:
        text = ''.join(f'{problem}\n' for problem in report.problems)
        problems.write_bytes(text.encode(errors='surrogateescape'))  # names as they are on the disk
        written.append(problems)
    classes, samples = folder / f'{split}_classes.png', folder / f'{split}_samples.png'
    samples.unlink(missing_ok=True)
    console = message_console()
    if report.labels:
        with drawing(classes, console.print):
            plot_classes(report, classes)
            written.append(classes)
    with drawing(samples, console.print):
        if draw_samples(report, samples):
            written.append(samples)
    return written
