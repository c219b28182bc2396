"""Predicts the memory of a training step without a GPU, and chooses cuts and recipes by it.

From the bottom up: `tracing` runs a step on fake tensors, `costs` measures its pieces, `search` uses these
costs to choose cuts and recomputation, and `planning` recommends a recipe. `inference` predicts the memory of
prediction, and `measuring` trains for real.
"""

from infopro_seg.memory.search.cuts import resolve_cuts
from infopro_seg.memory.tracing.step import ModuleTrace, StepTrace, trace_step

__all__ = ['ModuleTrace', 'StepTrace', 'resolve_cuts', 'trace_step']
