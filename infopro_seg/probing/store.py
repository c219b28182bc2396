"""Stores results, so that a command that is repeated continues where the last one ended."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from infopro_seg.errors import UserError
from infopro_seg.probing.run import Findings
from infopro_seg.strict_json import write_json

INPUT = 'image'


class KeptResults:
    """The stored results of one checkpoint, in a folder of its own.

    `probes.json` contains the settings and the scores of each block, `<block>.png` the reconstructions side
    by side, and `image.png` the images themselves. Probes of different blocks are independent, so further
    blocks can be added later.

    Args:
        folder: the folder.
        settings: all that decides the results, except the choice of blocks; `images` lists the positions of
            the images shown. Stored results with other settings are ignored.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder, self.settings = folder, settings
        self.path = folder / 'probes.json'
        self.blocks: dict[str, dict[str, Any]] = {}
        self.ignorance: dict[str, float | None] = {}
        content = self._read()
        if content.get('settings') == settings:
            names = [*content['blocks'], INPUT]
            if all(self._picture(name).is_file() for name in names):
                self.blocks, self.ignorance = content['blocks'], content['ignorance']

    def add(self, findings: Findings) -> None:
        """Adds findings to the stored ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.blocks:
            self.path.unlink(missing_ok=True)  # it has other settings; the pictures are overwritten
        for name, pictures in {INPUT: findings.images, **findings.reconstructions}.items():
            _write(self._picture(name), pictures)
        self.blocks = {**self.blocks, **findings.blocks}
        self.ignorance = findings.ignorance
        content = {'settings': self.settings, 'ignorance': self.ignorance, 'blocks': self.blocks}
        write_json(self.path, content)

    def pictures(self, name: str) -> list[np.ndarray]:
        """The images, or their reconstructions from a block, (H, W, 3) RGB uint8.

        Raises:
            UserError: the picture cannot be read.
        """
        picture = cv2.imread(str(self._picture(name)))
        if picture is None:
            raise UserError(f'cannot read {self._picture(name)}; delete {self.folder} to recreate it')
        return np.split(picture[..., ::-1], len(self.settings['images']), axis=1)

    def _picture(self, name: str) -> Path:
        return self.folder / f'{name}.png'

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {}
        try:
            content: dict[str, Any] = json.loads(self.path.read_text())
        except ValueError as error:
            raise UserError(f'{self.path} is damaged ({error}); delete it to recreate it') from error
        return content


def folder_name(label: str) -> str:
    """The name of a label's folder."""
    return re.sub(r'\W+', '_', label).strip('_') or 'checkpoint'


def _write(path: Path, pictures: list[np.ndarray]) -> None:
    """Writes pictures (H, W, 3) RGB uint8 side by side; smaller ones have black on the right and below."""
    height, width = (max(picture.shape[side] for picture in pictures) for side in (0, 1))
    row = np.zeros((height, width * len(pictures), 3), np.uint8)
    for index, picture in enumerate(pictures):
        row[: picture.shape[0], index * width : index * width + picture.shape[1]] = picture[..., ::-1]
    if not cv2.imwrite(str(path), row):
        raise UserError(f'cannot write {path}; is the disk full, or the folder read-only?')
