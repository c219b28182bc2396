"""Importing this module registers everything that configs name; configs list it in `custom_imports`.

Commands and `infopro_seg.load` import it; the modules that they use do not. It also silences warnings of the
libraries that mean nothing to a user.
"""

from __future__ import annotations

import warnings

import mmseg.engine
import mmseg.evaluation
import mmseg.models
import mmseg.visualization  # noqa: F401

import infopro_seg.datasets.camvid
import infopro_seg.datasets.loading
import infopro_seg.datasets.seeding
import infopro_seg.evaluation.iou
import infopro_seg.hooks
import infopro_seg.models
import infopro_seg.models.ddp
import infopro_seg.stock_datasets
import infopro_seg.training.loop
import infopro_seg.training.module_parallel.loop
import infopro_seg.training.optimizers.cpu_amp
import infopro_seg.training.optimizers.layer_decay
import infopro_seg.training.resuming.saving  # noqa: F401
from infopro_seg.datasets.lost_batches import report_lost_batches
from infopro_seg.datasets.pinning import register_pinning

# a warning per resize: stock heads of the paper upsample with align_corners to sizes that are not n * x + 1
warnings.filterwarnings('ignore', message='When align_corners=True')
# torch counts the optimizer's calls, of which accumulated gradients and skipped steps need fewer
warnings.filterwarnings('ignore', message='Detected call of `scheduler.step')
warnings.filterwarnings(
    'ignore', message='The shape of value will convert from'
)  # of each prediction with --tta
warnings.filterwarnings(
    'ignore', message='`broadcast_buffers` is deprecated'
)  # torch 2.11 knows no other name
warnings.filterwarnings('ignore', message="'pin_memory' argument is set as true")  # by configs, on a CPU

register_pinning()
report_lost_batches()
