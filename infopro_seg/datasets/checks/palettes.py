"""Compares the palettes of label images: programs that make files smaller number the colours of each anew."""

from __future__ import annotations

from pathlib import Path

from infopro_seg.datasets.checks.inspection import Inspection, Pair
from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.datasets.problems import Problem


class Palettes:
    """The colours that the label images of each data set use, with the id of each."""

    def __init__(self) -> None:
        # by data set, which has a loading of its own, and colour: id, palette and file
        self._first: dict[tuple[int, bytes], tuple[int, bytes, Path]] = {}
        self._found: Problem | None = None

    def add(self, pair: Pair, found: Inspection) -> None:
        """Adds a label image.

        Args:
            pair: the image and its label image.
            found: their contents.
        """
        if pair.label is None or pair.loading.changed or self._found is not None:
            return
        for index in found.stored:
            colour = _colour(found.palette, index)
            if not colour or index == IGNORED:  # void is black in one palette, and class 0 in another
                continue
            key = id(pair.loading), colour
            other, palette, path = self._first.setdefault(key, (index, found.palette, pair.label))
            # one palette may hold a colour several times, and then each id is meant
            if index != other and colour not in (_colour(palette, index), _colour(found.palette, other)):
                what = (
                    f'the label images have palettes that contradict each other: the colour {tuple(colour)} '
                    f'is id {other} in {path.name}, but id {index} in {pair.label.name}'
                )
                remedy = (
                    'labels are read as ids, and a program may have numbered the colours of each file anew: '
                    'save all with one palette, or as gray PNGs of class indices'
                )
                self._found = Problem(pair.label.parent, what, remedy)
                return

    def problems(self) -> list[Problem]:
        """The problem of ids that mean another colour in another file, if there is one."""
        return [] if self._found is None else [self._found]


def _colour(palette: bytes, index: int) -> bytes:
    return palette[3 * index : 3 * index + 3]
