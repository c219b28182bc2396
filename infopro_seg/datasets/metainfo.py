"""Checks names and colours of classes that mmseg would accept and then measure or draw wrongly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from mmseg.registry import DATASETS

from infopro_seg.errors import ConfigError
from infopro_seg.stock_datasets import BaseSegDataset

MOST_CLASSES = 255  # label images have 8 bits, of which 255 is ignored
EXAMPLE = "metainfo=dict(classes=('background', 'thing'), palette=[(0, 0, 0), (255, 0, 0)])"


def require_metainfo(built: Any, kind: Any, split: str) -> None:
    """Checks the classes and colours of a data set.

    Args:
        built: the data set.
        kind: type of the data set, for messages.
        split: train, val or test.

    Raises:
        ConfigError: the data set has fewer than two classes or too many, a name is no text or
            occurs twice, or a colour is invalid.
    """
    where = f'the {split} data set {kind}'
    classes = built.metainfo.get('classes')
    if not classes:
        raise ConfigError(f'{where} names no classes; give it {EXAMPLE}')
    _require_names(classes, where)
    names = [name for name in classes if not isinstance(name, str)]
    if names:
        raise ConfigError(
            f'{where} has the class name {names[0]!r}, a {type(names[0]).__name__}; write it in quotes (YAML '
            'reads 1, yes and no as no texts)'
        )
    require_two_classes(classes, where)
    require_classes_once(classes, where)
    shifted = bool(getattr(built, 'reduce_zero_label', False))
    most = MOST_CLASSES - shifted
    if len(classes) > most:
        raise ConfigError(
            f'{where} has {len(classes)} classes, but label images hold {most} at most'
            f'{" with reduce_zero_label=True" * shifted} (and 255 for ignored pixels); join some of them'
        )
    palette = built.metainfo.get('palette')
    for name, colour in zip(classes, palette if palette is not None else (), strict=False):
        if not _is_colour(colour):
            raise ConfigError(
                f'the colour of class {name!r} in the palette of {where} is {colour!r}; give each class '
                f'three whole numbers from 0 to 255, red, green and blue{_as_numbers(colour)}'
            )


def require_two_classes(classes: Sequence[str], where: str) -> None:
    """Checks that there is more than one class.

    Raises:
        ConfigError: there is a single class.
    """
    if len(classes) == 1:
        raise ConfigError(
            f'{where} has one class, {classes[0]!r}: a softmax over it is always 1, its loss 0 and mIoU 100; '
            f"name two, such as classes=('background', {classes[0]!r}) with masks of 0 and 1, also for "
            'a head with one output channel and a sigmoid'
        )


def require_classes_once(classes: Sequence[str], where: str) -> None:
    """Checks that class names are unique.

    Raises:
        ConfigError: a name occurs twice; IoU is stored by name, so one of them would be lost.
    """
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise ConfigError(
            f'classes of {where} names {", ".join(map(repr, twice))} more than once; give each class a name '
            'of its own'
        )


def require_palette_length(dataset: dict[str, Any], split: str) -> None:
    """Checks that a config's palette has a colour for each of its classes.

    Raises:
        ConfigError: the palette has more or fewer colours than there are classes.
    """
    kind = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else dataset['type']
    if getattr(kind, '_update_palette', None) is not BaseSegDataset._update_palette:
        return
    metainfo = dict(dataset.get('metainfo') or {})
    classes, palette = metainfo.get('classes'), metainfo.get('palette')
    if not (isinstance(classes, str) and ('://' in classes or Path(classes).is_file())):
        _require_names(classes, f'the {split} data set {dataset.get("type")}')
    own = kind.METAINFO.get('classes')
    if own is not None and isinstance(palette, (list, tuple)) and len(palette) == len(own):
        return  # of which mmseg takes the colours of the chosen classes
    if 'palette' in metainfo and palette is None:
        raise ConfigError(
            f'palette=None in metainfo of the {split} data set {dataset.get("type")}; leave palette out, or '
            'write palette=[], for colours at random'
        )
    if isinstance(classes, (list, tuple)) and palette is not None and 0 < len(palette) != len(classes):
        raise ConfigError(
            f'the palette of the {split} data set {dataset.get("type")} has {len(palette)} colours for '
            f'{len(classes)} classes; give one for each, or none at all for colours at random'
        )


def _require_names(classes: Any, where: str) -> None:
    if isinstance(classes, str):
        raise ConfigError(
            f'classes of {where} is the string {classes!r}, neither names nor a file of them; a single '
            f'name is written with a comma: ({classes!r},)'
        )


def _is_colour(colour: Any) -> bool:
    if isinstance(colour, str) or not isinstance(colour, (Sequence, np.ndarray)) or len(colour) != 3:
        return False
    whole = all(isinstance(part, Real) and not isinstance(part, bool) and part % 1 == 0 for part in colour)
    return whole and all(0 <= part <= 255 for part in colour)


def _as_numbers(colour: Any) -> str:
    """The end of a message: a hexadecimal colour as it should be written."""
    digits = colour.removeprefix('#') if isinstance(colour, str) else ''
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        return ''
    return f', here ({red}, {green}, {blue})'
