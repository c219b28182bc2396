"""Gives the results of each image a unique name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

Naming = Callable[[str, str], str]


def output_names(images: Sequence[tuple[str, str]]) -> dict[str, Path]:
    """The path of each image's results in the output folder: its path below the folder of its data set.

    If two images would share a path (from folders that are joined in one data set), all paths start below the
    folder that contains all images. Images that still share one (`1.jpg` and `1.tif`) keep their suffix.

    Args:
        images: folder and path of each image, as the data sets list them; an image may be listed twice.

    Returns:
        Names that end in `.png`, by the path of the image.
    """
    paths = {image: (os.path.abspath(root), os.path.abspath(image)) for root, image in images}  # noqa: PTH100
    folders = [os.path.dirname(path) for _, path in paths.values()]  # noqa: PTH120
    common = os.path.commonpath(folders) if folders else ''

    def below(folder: str, path: str) -> str:
        inside = path.startswith(os.path.join(folder, ''))  # noqa: PTH118
        return os.path.relpath(path, folder if inside else common)

    def short(folder: str, path: str) -> str:
        return os.path.splitext(below(folder, path))[0]  # noqa: PTH122

    sharing = Counter(short(common, path) for path in {path for _, path in paths.values()})
    rules: tuple[Naming, ...] = (
        short,
        lambda root, path: short(common, path),
        lambda root, path: (below if sharing[short(common, path)] > 1 else short)(common, path),
        lambda root, path: below(common, path),
    )
    for rule in rules:
        names = {image: rule(*where) for image, where in paths.items()}
        if len(set(names.values())) == len({path for _, path in paths.values()}):
            break
    return {image: Path(f'{name}.png') for image, name in names.items()}
