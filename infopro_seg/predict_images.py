"""Finds the images to predict, and names their results."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infopro_seg.errors import UserError
from infopro_seg.evaluation.label_files import is_written_here
from infopro_seg.evaluation.names import output_names
from infopro_seg.files import is_special

READ = 'png jpg jpeg jpe jfif jp2 bmp tif tiff webp gif avif ppm pgm pnm'
NOT_READ = 'heic heif tga dib psd exr dng cr2 cr3 nef arw'  # a folder's are counted, and the user is told
IMAGE_SUFFIXES, OTHER_SUFFIXES = (
    frozenset(f'.{name}' for name in names.split()) for names in (READ, NOT_READ)
)
ENDS = ('_labels.png', '_overlay.png', '_labels.tif', '_labels_incomplete.tif')  # of results


@dataclass
class Found:
    """The images that were found.

    Args:
        images: each image once, with the name of its results: its path below the folder it was found in,
            without suffix. If two would share a name, see :func:`output_names`.
        earlier: results of earlier predictions, which are skipped.
        others: images in folders whose format is not read, which are skipped.
    """

    images: list[tuple[Path, Path]] = field(default_factory=list)
    earlier: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def find_images(paths: Sequence[str | Path]) -> Found:
    """Looks for images in files and folders; skips hidden files and results of earlier predictions.

    Raises:
        UserError: a path does not exist, or there is no image.
    """
    found = Found()
    listed: dict[str, tuple[str, str]] = {}
    for file, folder in _images_below(paths, found.others):
        if is_earlier_result(file):
            found.earlier.append(file)
        else:
            listed.setdefault(os.path.abspath(file), (str(folder), str(file)))  # noqa: PTH100
    if not listed:
        raise UserError(
            f'all {len(found.earlier)} images are results of earlier predictions, e.g. {found.earlier[0]}; '
            'give the images themselves'
        )
    names = output_names([*listed.values()])
    found.images = [(Path(file), names[file].with_suffix('')) for _, file in listed.values()]
    return found


def is_earlier_result(path: Path) -> bool:
    """Whether an image is a result of an earlier prediction, by its name and its contents."""
    return path.name.endswith(ENDS) and is_written_here(path)


def _images_below(paths: Sequence[str | Path], others: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Each image, and the folder that it was found in; notes the images of other formats."""
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(_images_in(path, set(), others))
            if not files:
                raise UserError(f'no images in {path}; looked for {", ".join(sorted(IMAGE_SUFFIXES))}')
            yield from ((file, path) for file in files)
        elif path.exists():
            yield path, path.parent
        else:
            raise UserError(f'no such image or folder: {path}')


def _images_in(folder: Path, seen: set[str], others: list[Path]) -> Iterator[Path]:
    """The images in a folder and its subfolders, including linked folders, each folder once."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    for path in folder.iterdir():
        if path.name.startswith('.'):
            continue  # files of other systems: ._street.png, .thumbnails
        if path.is_dir():
            yield from _images_in(path, seen, others)
        elif path.suffix.lower() in IMAGE_SUFFIXES and not is_special(path):
            yield path
        elif path.suffix.lower() in OTHER_SUFFIXES:
            others.append(path)
