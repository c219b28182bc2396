"""How much memory a training step takes, found without a GPU; cuts and recipes chosen by it.

From the bottom up: `tracing` runs a step on fake tensors, `costs` measures its pieces, `search` chooses
cuts and recomputation by them, `planning` recommends a recipe. `inference` is about prediction, and
`measuring` really trains.
"""

from infopro_seg.memory.search.cuts import resolve_cuts
from infopro_seg.memory.tracing.step import ModuleTrace, StepTrace, trace_step

__all__ = ['ModuleTrace', 'StepTrace', 'resolve_cuts', 'trace_step']
