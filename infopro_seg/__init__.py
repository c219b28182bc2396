"""infopro_seg: train segmentation networks module by module, in a fraction of the memory.

How to use a trained network::

    import infopro_seg
    network = infopro_seg.load('work_dirs/demo', 'work_dirs/demo/iter_700.pth')
    labels = network.predict('street.png')  # (H, W) uint8, indices into network.classes

In docstrings, "the paper" is Wang et al., *Revisiting Locally Supervised Learning: an Alternative to
End-to-end Training*, ICLR 2021, which introduces InfoPro.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infopro_seg.inference import Predictor

__version__ = '0.1.0'

# mmcv's, whenever it is imported: the pure-Python build that is used here has no such operator
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


def load(config: str | Path, checkpoint: str | Path, device: str | None = None) -> Predictor:
    """Loads a trained network; its `predict(image)` gives the class of each pixel, (H, W) uint8.

    Args:
        config: the config of the training, or a folder that contains it, e.g. the work dir.
        checkpoint: a checkpoint of the training, with or without local heads, or an exported one.
        device: `cpu`, `cuda`, ...; by default the GPU if there is one.

    Returns:
        The network, with `predict`, `classes` (names), `label_ids` (the data set's own ids) and `palette`.

    Raises:
        UserError: the config or the checkpoint is missing or invalid.
    """
    import infopro_seg.register  # noqa: F401  imports torch and mmseg, which takes seconds
    from infopro_seg import inference

    return inference.load(config, checkpoint, device)
