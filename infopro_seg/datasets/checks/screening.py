"""Checks a pair of files by their headers, within a fraction of a millisecond."""

from __future__ import annotations

from pathlib import Path

from infopro_seg.datasets.checks.inspection import Pair, is_image_itself, is_turned_alone
from infopro_seg.datasets.image_files import not_readable
from infopro_seg.datasets.image_headers import Header, read_header
from infopro_seg.datasets.orientation import MisfitError, labels_are_turned, turned_by

GRAY = ('gray', 'palette')  # kinds of label images with one id per pixel


def looks_right(pair: Pair) -> tuple[bool, tuple[int, int] | None]:
    """Whether the headers of both files look right, and width and height of the loaded image.

    If something looks wrong, :func:`inspect` says what.
    """
    image = _header(pair.image)
    if image is None or image.size is None or not image.whole or not_readable(image, pair.loading.color_type):
        return False, None
    turned = turned_by(image, pair.loading.color_type)
    size = image.stored_size if turned == 1 else image.size
    if pair.label is None:
        return True, size
    labels = _header(pair.label)
    if labels is None or not labels.whole or labels.lossy or labels.kind not in GRAY or labels.bits > 8:
        return False, size  # more than 8 bits: ids may exceed 255
    if pair.loading.stock_labels and (labels.bits < 8 or labels.scaled):
        return False, size
    if is_image_itself(pair) or is_turned_alone(labels, image.orientation, size):
        return False, size
    stored = labels.size if labels.tiff else labels.stored_size
    try:
        labels_turned = labels_are_turned(
            stored or (0, 0), size or (0, 0), turned, pair.image, pair.loading.drawn_on
        )
    except MisfitError:
        return False, size
    return not (labels_turned and pair.loading.stock_labels), size


def _header(path: Path) -> Header | None:
    try:
        with path.open('rb') as file:
            return read_header(file)
    except OSError:
        return None
