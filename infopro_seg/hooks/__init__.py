"""Hooks: results of a run, reconstructions in TensorBoard, guarded checkpoints and losses."""

from infopro_seg.hooks.checkpoint_guard import CheckpointGuardHook
from infopro_seg.hooks.early_stop import EarlyStopHook
from infopro_seg.hooks.finite_losses import FiniteLossHook
from infopro_seg.hooks.pending_gradients import PendingGradientsHook
from infopro_seg.hooks.reconstructions import ReconstructionHook
from infopro_seg.hooks.results import ResultsHook

__all__ = [
    'CheckpointGuardHook',
    'EarlyStopHook',
    'FiniteLossHook',
    'PendingGradientsHook',
    'ReconstructionHook',
    'ResultsHook',
]
