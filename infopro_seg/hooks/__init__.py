"""Hooks: results at the end of a run, reconstructions in TensorBoard, guarded checkpoint loading."""

from infopro_seg.hooks.checkpoint_guard import CheckpointGuardHook
from infopro_seg.hooks.reconstructions import ReconstructionHook
from infopro_seg.hooks.results import ResultsHook

__all__ = ['CheckpointGuardHook', 'ReconstructionHook', 'ResultsHook']
