"""Splits objects that contain tensors into bytes and tensors, so that the tensors need no copy."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only


@dataclass(frozen=True)
class Packed:
    """An object without its tensors, and the tensors.

    Args:
        content: the pickled object, with numbers in place of tensors.
        tensors: each tensor once, detached.
    """

    content: bytes
    tensors: list[Tensor]

    def unpack(self) -> Any:
        """The object; it shares the tensors."""
        return _Unpickler(io.BytesIO(self.content), self.tensors).load()


def pack(content: Any) -> Packed:
    """Splits an object; later changes to it have no effect, except changes to its tensors."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(content)
    return Packed(file.getvalue(), [tensor.detach() for tensor in pickler.numbers_of])


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.numbers_of: dict[Tensor, int] = {}  # tensors hash by identity

    def persistent_id(self, obj: Any) -> int | None:
        """The number of a tensor; None for everything else, which is pickled."""
        return self.numbers_of.setdefault(obj, len(self.numbers_of)) if isinstance(obj, Tensor) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, tensors: list[Tensor]) -> None:
        super().__init__(file)
        self.tensors = tensors

    def persistent_load(self, number: int) -> Tensor:
        """The tensor with a number."""
        return self.tensors[number]


def on_device(content: Any, device: torch.device) -> Any:
    """Copies tuples, lists and dictionaries of tensors to a device; messages arrive in main memory."""
    return tree_map_only(Tensor, lambda tensor: tensor.to(device), content)


@dataclass(frozen=True)
class Layout:
    """The memory layout of a tensor, and how it is sent.

    The received tensor has the same strides, because they decide in which order a convolution adds.

    Args:
        shape: the shape.
        stride: the strides, if the tensor fills its memory without holes; else those of its copy.
        dtype: the type.
        sent_as: the type in which it is sent; labels need only a byte.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    sent_as: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> tuple[Layout, Tensor]:
        """The layout of a tensor, and the tensor to send: flat, on the CPU."""
        if not _fills_its_memory(tensor):
            tensor = tensor.contiguous()
        sent = tensor.cpu()
        if (
            sent.dtype == torch.int64 and sent.numel() and sent.min() >= 0 and sent.max() < 256
        ) or sent.dtype == torch.bool:
            sent = sent.to(torch.uint8)
        layout = cls(tuple(tensor.shape), tensor.stride(), tensor.dtype, sent.dtype)
        return layout, sent.as_strided((sent.numel(),), (1,))

    def empty(self) -> Tensor:
        """An empty tensor to receive into."""
        return torch.empty(torch.Size(self.shape).numel(), dtype=self.sent_as)

    def restore(self, received: Tensor) -> Tensor:
        """The original tensor, from the received one."""
        return received.as_strided(self.shape, self.stride).to(self.dtype)


def _fills_its_memory(tensor: Tensor) -> bool:
    """Whether a tensor's elements are contiguous in memory, in any order of its dimensions."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True
