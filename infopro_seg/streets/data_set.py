"""Makes the data set Synthetic Streets: drawn street scenes in the layout of Cityscapes."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import Progress

from infopro_seg import files
from infopro_seg.errors import DataError
from infopro_seg.parallel import map_processes
from infopro_seg.streets import VERSION
from infopro_seg.streets.writing import CITIES, Shot, write_shot

MANIFEST = 'synthetic_streets.json'
PARTIAL = 'synthetic_streets.partial.json'
SMALLEST = (48, 64)  # height and width in pixels; classes cannot be told apart in smaller images

logger = logging.getLogger(__name__)


def make_synthetic_streets(
    out: Path,
    train: int,
    val: int,
    size: tuple[int, int],
    seed: int,
    workers: int | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> None:
    """Writes drawn street scenes with the folders, file names and labels of Cityscapes.

    A frame depends only on its split and number, `size` and `seed`, not on the number of workers or frames. A
    finished set is left as it is, and an interrupted one is completed.

    Args:
        out: folder to write to; it is created if needed.
        train: number of training images.
        val: number of validation images.
        size: height and width of the images in pixels.
        seed: seed of the set.
        workers: number of processes; None for one per core.
        force: whether to replace another synthetic set in `out`.
        progress: shows how many frames have been drawn; None to show nothing.

    Raises:
        DataError: an argument is invalid, or `out` contains other files, or another set without `force`.
    """
    out = Path(out)
    _check_arguments(train, val, size, seed, workers)
    wanted = {
        'generator': 'synthetic_streets',
        'version': VERSION,
        'train': train,
        'val': val,
        'size': list(size),
        'seed': seed,
    }
    _prepare(out, wanted, force)
    shots = list(_shots(out, wanted))
    missing = [shot for shot in shots if not shot.complete]
    if not missing and (out / MANIFEST).is_file():
        logger.info('%s already contains these %d frames: nothing to do', out, len(shots))
        return
    if len(missing) < len(shots):
        logger.info('%s: %d of %d frames are missing', out, len(missing), len(shots))
    text = json.dumps(wanted, indent=2) + '\n'
    if not (out / MANIFEST).is_file():
        files.write_text(out / PARTIAL, text)
    task = progress.add_task('drawing streets', total=len(missing)) if progress else None
    for _ in map_processes(write_shot, missing, workers, chunksize=2):
        if progress is not None and task is not None:
            progress.advance(task)
    for path in _drawn(out):
        if path.name.startswith('.') and path.suffix == files.PARTIAL:
            path.unlink()  # left by a process that was killed
    files.write_text(out / MANIFEST, text)
    (out / PARTIAL).unlink(missing_ok=True)
    logger.info('%s: wrote %d frames, %d train and %d val', out, len(missing), train, val)


def _check_arguments(train: int, val: int, size: tuple[int, int], seed: int, workers: int | None) -> None:
    for name, count in (('train', train), ('val', val)):
        if count < 0:
            raise DataError(f'cannot draw {count} {name} images; give 0 or more')
    if train + val == 0:
        raise DataError('0 train and 0 val images; give at least one')
    height, width = size
    if height < SMALLEST[0] or width < SMALLEST[1]:
        raise DataError(
            f'size {height}x{width} is too small to show a street; '
            f'the smallest is {SMALLEST[0]}x{SMALLEST[1]} (height x width)'
        )
    if not 1 <= width / height <= 4:
        raise DataError(
            f'size {height}x{width} has an aspect of {width / height:.2f}; '
            'choose a width of 1 to 4 times the height, such as 512x1024 (height x width)'
        )
    if seed < 0:
        raise DataError(f'seed {seed} is negative; give 0 or more')
    if workers is not None and workers < 1:
        raise DataError(f'{workers} workers cannot draw; give 1 or more')


def _prepare(out: Path, wanted: dict[str, Any], force: bool) -> None:
    """Refuses a folder with foreign files; deletes another synthetic set if `force` allows it."""
    if out.exists() and not out.is_dir():
        raise DataError(f'{out} is a file; name a folder for the data set')
    out.mkdir(parents=True, exist_ok=True)
    found = _manifest(out)
    if found is None:
        entries = sorted(path.name for path in out.iterdir() if not path.name.startswith('.'))
        if entries:
            raise DataError(
                f'{out} contains {", ".join(entries[:4])}{", ..." if len(entries) > 4 else ""} and '
                f'no {MANIFEST}: this is not a synthetic set, so nothing was changed; '
                'choose an empty or a new folder'
            )
        return
    foreign = _foreign_file(out)
    if foreign is not None:
        raise DataError(
            f'{foreign} was not drawn by the generator; nothing was changed: '
            'move it away or choose another folder'
        )
    if found == wanted:
        return
    if not force:
        state = 'a set' if (out / MANIFEST).is_file() else 'an unfinished set'
        raise DataError(
            f'{out} contains {state} with {_differences(found, wanted)}; '
            'choose another folder, or replace the set with --force'
        )
    logger.info('%s: replacing the set with %s', out, _differences(found, wanted))
    for name in (MANIFEST, PARTIAL):
        (out / name).unlink(missing_ok=True)
    files.write_text(out / PARTIAL, json.dumps(wanted, indent=2) + '\n')
    for path in _drawn(out):
        path.unlink()


def _manifest(out: Path) -> dict[str, Any] | None:
    for name in (MANIFEST, PARTIAL):
        path = out / name
        if not path.is_file():
            continue
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise DataError(
                f'{path} is not valid JSON ({error}); if {out} is a synthetic set, delete the folder'
            ) from error
        if isinstance(found, dict):
            return found
    return None


def _drawn(out: Path) -> Iterator[Path]:
    for kind in ('leftImg8bit', 'gtFine'):
        for path in sorted((out / kind).rglob('*')):
            if path.is_file():
                yield path


def _foreign_file(out: Path) -> Path | None:
    """A file in the data folders that does not belong to an invented city; None if there is none."""
    for path in _drawn(out):
        folders = path.relative_to(out).parts[1:-1]
        ours = len(folders) == 2 and folders[1] in CITIES.get(folders[0], ())
        if not path.name.startswith('.') and not (ours and path.name.startswith(f'{folders[1]}_')):
            return path
    return None


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    parts = [
        f'{key} {found.get(key, "unknown")} instead of {value}'
        for key, value in wanted.items()
        if found.get(key) != value
    ]
    return ', '.join(parts)


def _shots(out: Path, wanted: dict[str, Any]) -> Iterator[Shot]:
    height, width = wanted['size']
    for split in CITIES:
        for index in range(wanted[split]):
            yield Shot(out, split, index, (height, width), wanted['seed'])
