"""Which iterations a measurement of memory leaves out, the same in a training and in a benchmark."""

from __future__ import annotations

import torch

WARMUP = 3  # iterations: cuDNN searches its algorithms with workspaces that no later one needs


def warm_up_iterations(accumulation: int = 1) -> int:
    """The number of iterations before the measured ones: until time and memory settle.

    Args:
        accumulation: iterations per step of the optimizer; after the first its state is there.
    """
    return max(WARMUP if torch.cuda.is_available() else 1, accumulation)
