"""How much memory a training step takes, found without a GPU; cuts and recipes chosen by it."""

from infopro_seg.memory.cuts import resolve_cuts
from infopro_seg.memory.trace import ModuleTrace, StepTrace, trace_step

__all__ = ['ModuleTrace', 'StepTrace', 'resolve_cuts', 'trace_step']
