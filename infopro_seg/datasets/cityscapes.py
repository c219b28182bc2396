"""Checks a Cityscapes folder, and writes the label images that training reads."""

import json
import logging
from pathlib import Path

from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.helpers.labels import name2label
from cityscapesscripts.preparation.json2labelImg import createLabelImage
from rich.progress import Progress

from infopro_seg.datasets.problems import Problem
from infopro_seg.parallel import map_processes
from infopro_seg.streets.writing import save_image

IMAGES = 'leftImg8bit'
LABELS = 'gtFine'
COUNTS = {'train': 2975, 'val': 500}
"""Number of finely annotated images of each split."""

ARCHIVES = {IMAGES: 'leftImg8bit_trainvaltest.zip', LABELS: 'gtFine_trainvaltest.zip'}

logger = logging.getLogger(__name__)


def prepare_cityscapes(
    root: Path,
    workers: int | None = None,
    *,
    counts: dict[str, int] | None = None,
    progress: Progress | None = None,
) -> list[Problem]:
    """Checks a Cityscapes folder and writes the missing `_labelTrainIds.png` files.

    Args:
        root: folder that contains `leftImg8bit` and `gtFine`.
        workers: number of processes; one per core by default.
        counts: number of images that each split must have; Cityscapes' own by default.
        progress: the progress bar.

    Returns:
        The remaining problems; empty if the folder can be trained on.
    """
    root = Path(root)
    expected = COUNTS if counts is None else counts
    if not root.is_dir():
        return [Problem(root, 'no such folder', f'make it, then {download_command(root)}')]
    problems, todo = [], []
    for kind in (IMAGES, LABELS):
        if not (root / kind).is_dir():
            problems.append(Problem(root / kind, 'missing', download_command(root, kind)))
    if not problems:
        for split, count in expected.items():
            found, polygons = _check_split(root, split, count)
            problems += found
            todo += [path for path in polygons if not train_ids_path(path).is_file()]
    if todo:
        problems += _convert(todo, workers, progress)
    done = len(todo)
    logger.info('%s: %s', root, f'converted {done} label images' if done else 'no label image to convert')
    return problems


def download_command(root: Path, kind: str | None = None) -> str:
    """The command that gets the archives of Cityscapes into `root`, or only those of one kind."""
    names = [ARCHIVES[kind]] if kind else list(ARCHIVES.values())
    unzip = ' && '.join(f'unzip -n {name}' for name in names)
    return (
        'register at https://www.cityscapes-dataset.com, then run: '
        f'cd {root} && csDownload {" ".join(names)} && {unzip}'
    )


def train_ids_path(polygons: Path) -> Path:
    """The path of the train-id label image for a `_polygons.json` file."""
    return polygons.with_name(polygons.name.replace('_polygons.json', '_labelTrainIds.png'))


def _check_split(root: Path, split: str, count: int) -> tuple[list[Problem], list[Path]]:
    """Compares the images of a split with its polygons; returns problems and usable polygons."""
    images = _stems(root / IMAGES / split, '_leftImg8bit.png')
    polygons = _stems(root / LABELS / split, '_gtFine_polygons.json')
    problems = []
    for kind, stems in ((IMAGES, images), (LABELS, polygons)):
        if len(stems) != count:
            what = f'holds {len(stems)} of {count} {"images" if kind == IMAGES else "annotations"}'
            remedy = download_command(root, kind)
            if len(stems) > count:
                remedy = 'remove what is not from Cityscapes'
            problems.append(Problem(root / kind / split, what, remedy))
    for stem in sorted(images.keys() - polygons.keys()):
        problems.append(Problem(images[stem], 'has no annotation', download_command(root, LABELS)))
    for stem in sorted(polygons.keys() - images.keys()):
        problems.append(Problem(polygons[stem], 'has no image', download_command(root, IMAGES)))
    return problems, sorted(polygons.values())


def _stems(folder: Path, suffix: str) -> dict[str, Path]:
    found = (path for path in folder.glob(f'*/*{suffix}') if not path.name.startswith('.'))  # of macOS
    return {path.name.removesuffix(suffix): path for path in found}


def _convert(todo: list[Path], workers: int | None, progress: Progress | None) -> list[Problem]:
    task = progress.add_task('converting labels', total=len(todo)) if progress else None
    problems = []
    for problem in map_processes(convert_polygons, todo, workers):
        if problem is not None:
            problems.append(problem)
        if progress is not None and task is not None:
            progress.advance(task)
    return sorted(problems, key=lambda problem: problem.path)


def convert_polygons(polygons: Path) -> Problem | None:
    """Writes the train-id label image of a `_polygons.json` file as cityscapesScripts does.

    Returns:
        The problem of the file, if it cannot be converted.
    """
    try:
        annotation = Annotation()
        annotation.fromJsonText(polygons.read_text())
        for item in annotation.objects:
            if item.label.removesuffix('group') not in name2label and item.label not in name2label:
                raise ValueError(f'unknown label {item.label!r}')
        picture = createLabelImage(annotation, 'trainIds')
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        what = f'cannot be converted ({type(error).__name__}: {error})'
        return Problem(polygons, what, 'delete it and unzip gtFine_trainvaltest.zip again')
    save_image(picture, train_ids_path(polygons))
    return None
