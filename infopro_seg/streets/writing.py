"""Writes the files of a frame, with the names that Cityscapes uses."""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.preparation.json2labelImg import createLabelImage
from PIL import Image

from infopro_seg.files import whole_file, write_bytes, write_text
from infopro_seg.streets.scene import draw_frame

# invented cities of each split
CITIES = {
    'train': ('ahornau', 'birkenfeld', 'eichtal', 'lindenbach'),
    'val': ('tannheim', 'weidenau'),
}

# the label images, and the names of their encodings in `createLabelImage`
ENCODINGS = {'labelIds': 'ids', 'labelTrainIds': 'trainIds', 'color': 'color'}


@dataclass(frozen=True)
class Shot:
    """One frame of a split: all that is needed to draw and name it.

    Args:
        out: folder of the data set.
        split: `'train'` or `'val'`.
        index: number of the frame in its split, from 0.
        size: height and width in pixels.
        seed: seed of the data set.
    """

    out: Path
    split: str
    index: int
    size: tuple[int, int]
    seed: int

    @property
    def stem(self) -> str:
        """City, sequence and frame number, which do not depend on the number of frames."""
        cities = CITIES[self.split]
        sequence, city = divmod(self.index, len(cities))
        return f'{cities[city]}_{sequence:06d}_000019'

    @property
    def image(self) -> Path:
        """Path of the image, which is written last."""
        city = self.stem.split('_')[0]
        return self.out / 'leftImg8bit' / self.split / city / f'{self.stem}_leftImg8bit.png'

    def label(self, kind: str) -> Path:
        """Path of an annotation, such as `labelIds.png`."""
        city = self.stem.split('_')[0]
        return self.out / 'gtFine' / self.split / city / f'{self.stem}_gtFine_{kind}'

    @property
    def files(self) -> list[Path]:
        """All files of the frame, the image last."""
        labels = [self.label('polygons.json'), *(self.label(f'{kind}.png') for kind in ENCODINGS)]
        return [*labels, self.image]

    @property
    def complete(self) -> bool:
        """Whether all files exist."""
        return all(path.is_file() for path in self.files)


def write_shot(shot: Shot) -> None:
    """Draws a frame and writes its files, each whole or not at all."""
    rng = np.random.default_rng([shot.seed, list(CITIES).index(shot.split), shot.index])
    frame = draw_frame(rng, shot.size)
    text = json.dumps(frame.annotation)
    annotation = Annotation()
    annotation.fromJsonText(text)
    for path in (shot.image, shot.label('polygons.json')):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(shot.label('polygons.json'), text)
    for kind, encoding in ENCODINGS.items():
        picture = createLabelImage(annotation, encoding)
        save_image(picture, shot.label(f'{kind}.png'))
    bgr = np.ascontiguousarray(frame.image[..., ::-1])
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    _, data = cv2.imencode('.png', bgr, fast)
    write_bytes(shot.image, data.tobytes())


def save_image(picture: Image.Image, path: Path) -> None:
    """Writes a PNG file, whole or not at all."""
    with whole_file(path) as partial:
        picture.save(partial, format='PNG', compress_level=1)
