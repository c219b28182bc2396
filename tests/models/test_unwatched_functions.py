"""Functions that selective recomputation runs unwatched: they hold nothing that a policy keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from infopro_seg.models.recomputation import recompute as policies


class Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: set[Any] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations.add(func)
        return func(*args, **(kwargs or {}))


ARGUMENTS: dict[Any, Any] = {
    F.batch_norm: lambda x: (x, torch.zeros(4), torch.ones(4), None, None, True),
    F.layer_norm: lambda x: (x, (6,)),
    F.group_norm: lambda x: (x, 2),
    F.interpolate: lambda x: (x, (3, 3)),
    F.adaptive_avg_pool2d: lambda x: (x, 1),
    torch.cat: lambda x: ([x, x],),
}
BINARY = {
    torch.add,
    torch.mul,
    torch.Tensor.add,
    torch.Tensor.mul,
    torch.Tensor.__add__,
    torch.Tensor.__mul__,
    torch.Tensor.add_,
    torch.Tensor.mul_,
    torch.Tensor.__iadd__,
    torch.Tensor.__imul__,
}


@pytest.mark.parametrize('function', sorted({*policies._READING, *policies._WRITING}, key=str))
def test_functions_that_run_unwatched_hold_no_costly_operation(function):
    x, other = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    arguments = ARGUMENTS.get(function, (lambda x: (x, other)) if function in BINARY else lambda x: (x,))
    versions = x._version, other._version
    with Recorder() as recorder:
        function(*arguments(x))
    assert recorder.operations.isdisjoint(policies._COSTLY)
    assert other._version == versions[1]
    assert function in policies._WRITING or x._version == versions[0]
