"""The inputs of a prediction, and the files of its results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infopro_seg.datasets.image_headers import count_pages
from infopro_seg.errors import UserError
from infopro_seg.evaluation.names import output_names
from infopro_seg.files import LONGEST
from infopro_seg.predict_images import Found, find_images, is_earlier_result
from infopro_seg.prediction.raster_files import is_raster

VIDEO_SUFFIXES = frozenset({'.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.ts'})
ENDS = {
    'image': {'labels': '_labels.png', 'overlay': '_overlay.png'},
    'raster': {
        'labels': '_labels.tif',
        'overlay': '_overlay.png',
        'kept': '_labels_incomplete.tif',
    },
    'video': {'overlay': '_overlay.mp4'},
}
"""The suffixes of the results of each kind of input."""


@dataclass(frozen=True)
class Input:
    """Something to predict.

    Args:
        path: a file, or a folder of frames.
        name: name of its results, relative to the folder of results.
        kind: `image`, `raster` or `video`.
    """

    path: Path
    name: Path
    kind: str

    def results(self, out: Path) -> dict[str, Path]:
        """The files of its results in the folder of results, by their contents."""
        place = out / self.name
        return {key: place.with_name(f'{place.name}{end}') for key, end in ENDS[self.kind].items()}


def find_inputs(paths: Sequence[str | Path], video: bool = False) -> tuple[list[Input], Found]:
    """Finds the inputs to predict; the second value lists results of earlier predictions.

    Args:
        paths: image and video files, and folders that are searched for images.
        video: whether each of the paths is a video: a file, or a folder of frames.

    Raises:
        UserError: a path does not exist, there is no image, or a package is missing for a raster.
    """
    if video:
        videos = _videos([*map(Path, paths)])
        inside = (path for one in videos if one.path.is_dir() for path in sorted(one.path.iterdir()))
        return videos, Found(earlier=[path for path in inside if is_earlier_result(path)])
    found = find_images(paths)
    return [Input(path, name, _kind(path)) for path, name in found.images], found


def left_out(inputs: Sequence[Input], found: Found) -> list[str]:
    """What the user gave that is not predicted: one line for each kind, with an example."""
    lines = []
    if found.earlier:
        lines.append(
            f'{len(found.earlier)} results of earlier predictions are left out, e.g. {found.earlier[0]}'
        )
    if found.others:
        what = f'images of formats that are not read: {len(found.others)}, e.g. {found.others[0]}'
        lines.append(f'{what}; convert them to PNG')
    paged = [one.path for one in inputs if one.kind != 'video' and _pages(one.path) > 1]
    if paged:
        lines.append(
            f'images of several pages or frames: {len(paged)}, e.g. {paged[0]}; only the first is predicted'
        )
    return lines


def require_apart(inputs: Sequence[Input], out: Path) -> None:
    """Checks that no result would replace an input, or have a name that is too long.

    Raises:
        UserError: a result would replace an input, or its name would have more than 255 bytes.
    """
    given = {os.path.realpath(one.path) for one in inputs}
    for one in inputs:
        if len(os.fsencode(one.results(out)['overlay'].name)) > LONGEST:
            raise UserError(
                f'the name of {one.path} is too long: those of its results would have more than {LONGEST} '
                'bytes; shorten it'
            )
        for result in one.results(out).values():
            if os.path.realpath(result) in given:
                raise UserError(
                    f'the results of {one.path} would replace {result}, which is also an input; name '
                    'another folder (--out), or leave out that file if it is an earlier result'
                )


def _videos(paths: Sequence[Path]) -> list[Input]:
    for path in paths:
        if not path.exists():
            raise UserError(f'no such video or folder of frames: {path}')
    places = {path: path.resolve() for path in paths}
    names = output_names([(str(place.parent), str(place)) for place in places.values()])
    unique = {place: path for path, place in places.items()}
    return [Input(path, names[str(place)].with_suffix(''), 'video') for place, path in unique.items()]


def _pages(path: Path) -> int:
    try:
        with open(path, 'rb') as file:
            return count_pages(file)
    except OSError:
        return 0  # the image loader will report the problem


def _kind(path: Path) -> str:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return 'video'
    return 'raster' if is_raster(path) else 'image'
