"""Checks a split's files within seconds: the header of each, and every pixel of some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from infopro_seg.datasets.checks.inspection import Inspection, Pair, inspect
from infopro_seg.datasets.checks.palettes import Palettes
from infopro_seg.datasets.checks.screening import looks_right
from infopro_seg.datasets.image_files import UnreadableError, decode_labels, read_bytes
from infopro_seg.datasets.label_ids import IGNORED, stored_ids
from infopro_seg.datasets.problems import Problem

THREADS = 8  # decoders release Python's lock, and slow disks serve several files at once
PIXELS = 50_000_000  # total of the images that are read completely: a few seconds
MOST_READ = 200  # images that are read completely
CHUNK = 64
LEVELS = 16  # what the upper 8 bits hold of values of 12 bits


def look_through(
    pairs: Sequence[Pair], split: str, classes: Sequence[str]
) -> tuple[list[Problem], list[tuple[int, int] | None]]:
    """Reads the header of every file, and completely reads suspicious files and a sample of the rest.

    If the sample contains only one class, it reads more label images until it finds a second.

    Args:
        pairs: the pairs of the split.
        split: train, val or test.
        classes: names of the classes.

    Returns:
        The problems, and width and height of each loaded image if known.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        looks = list(pool.map(looks_right, pairs))
        sizes = [size for _, size in looks]
        suspects = [index for index, (right, _) in enumerate(looks) if not right]
        if not pairs[0].loading.stock_labels:
            suspects = suspects[:MOST_READ]  # LoadLabels reports the others in training
        chosen = list(dict.fromkeys([*suspects, *_sample(sizes)]))
        found = list(pool.map(inspect, [pairs[index] for index in chosen]))
        problems = [problem for one in found for problem in one.problems]
        problems += too_dark(pairs, [one.highest for one in found], split)
        palettes = Palettes()
        for index, one in zip(chosen, found, strict=True):
            palettes.add(pairs[index], one)
        problems += palettes.problems()
        if problems or all(pair.label is None for pair in pairs):
            return problems, sizes
        seen = _classes_in(found)
        for start in range(0, len(pairs), CHUNK):
            if len(seen - {IGNORED}) > 1:
                break
            seen |= set().union(*pool.map(_classes_of, pairs[start : start + CHUNK]))
    return too_few_classes(pairs, seen, split, classes), sizes


def too_dark(pairs: Sequence[Pair], highest: Collection[int | None], split: str) -> list[Problem]:
    """The problem of 16-bit images that use the lower 12 bits only: of the upper 8, which are read, 4 remain.

    Args:
        pairs: the pairs of the split.
        highest: the highest value of each image, as it is read; None for images of other depths.
        split: train, val or test; only in train are images reported, as others may be taken at night.
    """
    values = [value for value in highest if value is not None]
    if split != 'train' or not values or max(values) >= LEVELS:
        return []
    what = (
        f'the values of the 16-bit images are below {LEVELS * 256}, and the upper 8 bits are read, so that '
        f'at most {LEVELS} levels remain'
    )
    return [Problem(pairs[0].image.parent, what, 'scale them to 0 to 65535, or save the images with 8 bits')]


def too_few_classes(
    pairs: Sequence[Pair], seen: Collection[int], split: str, classes: Sequence[str]
) -> list[Problem]:
    """The problem of label images with a single class: nothing is learnt, and mIoU is 100.

    Args:
        pairs: the pairs of the split, at least one with a label image.
        seen: the class indices that they contain, and 255 for ignored pixels.
        split: train, val or test; in val and test, only masks of 0 and 255 are reported, and labels that are
            ignored everywhere.
        classes: names of the classes.
    """
    held = sorted(set(seen) - {IGNORED})
    if len(held) > 1 or any(pair.loading.changed for pair in pairs):
        return []
    if split != 'train' and held and (IGNORED not in seen or held != [0]):
        return []  # some images to evaluate may show one class only
    folder = next(pair.label for pair in pairs if pair.label is not None).parent
    if not held:
        what = f'the label images of the {split} split hold ignored pixels only'
    else:
        name = classes[held[0]] if held[0] < len(classes) else held[0]
        what = f'the label images of the {split} split hold a single class, {held[0]} ({name})'
    if IGNORED in seen:
        remedy = f'{IGNORED} is the ignored id: masks of 0 and {IGNORED} must be 0 and 1'
    else:
        remedy = 'a network learns nothing from one class: add images of others'
    return [Problem(folder, what, remedy)]


def _sample(sizes: Sequence[tuple[int, int] | None]) -> list[int]:
    """Evenly spread indices of as many images as there is time to read."""
    pixels = [width * height for width, height in filter(None, sizes)]
    if not pixels:
        return []
    count = int(np.clip(PIXELS * len(pixels) // sum(pixels), 1, min(MOST_READ, len(sizes))))
    spread: list[int] = np.linspace(0, len(sizes) - 1, count).round().astype(int).tolist()
    return spread


def _classes_in(found: Iterable[Inspection]) -> set[int]:
    return {int(index) for one in found if one.counts is not None for index in np.flatnonzero(one.counts)}


def _classes_of(pair: Pair) -> set[int]:
    """The class indices of a label image; none if it cannot be read, which training will report."""
    if pair.label is None:
        return set()
    try:
        labels, _ = decode_labels(read_bytes(pair.label), pair.loading.label_backend)
    except UnreadableError:
        return set()
    stored = stored_ids(labels) if labels.ndim == 2 else None
    return {int(pair.loading.classes[label]) for label in stored or () if 0 <= label < 256}
