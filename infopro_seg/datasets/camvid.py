"""CamVid as a data set of mmseg."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from infopro_seg.datasets.camvid_folder import CLASSES, IGNORED, SUFFIXES, VOID, image_suffix
from infopro_seg.stock_datasets import BaseSegDataset


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid (Brostow et al., 2009), with the split and the eleven classes of SegNet.

    The id 11 of the label images is void: it becomes 255, which losses and metrics ignore.

    Args:
        img_suffix: the suffix of the images; None for that of the files in the folder, `.png` or `.jpg`.
        kwargs: the other arguments of mmseg's `BaseSegDataset`.
    """

    METAINFO = {
        'classes': tuple(CLASSES),
        'palette': [list(color) for color in CLASSES.values()],
    }

    def __init__(self, img_suffix: str | None = None, **kwargs: Any) -> None:
        self._given_suffix = img_suffix
        super().__init__(img_suffix=img_suffix or SUFFIXES[0], **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int]:
        """The class index for each stored id, if it differs."""
        return {**(super().get_label_map(new_classes) or {}), VOID: IGNORED}

    def load_data_list(self) -> list[dict[str, Any]]:
        """The images of the split, with their label images."""
        if self._given_suffix is None:
            self.img_suffix = image_suffix(Path(self.data_prefix['img_path']))
        data_list: list[dict[str, Any]] = super().load_data_list()
        return data_list
