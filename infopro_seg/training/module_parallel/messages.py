"""Any object that holds tensors, as bytes and the tensors, so that these need not be copied."""

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
    """An object without its tensors, and these.

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
    """Takes an object apart; what is done to it afterwards does not count, unless to tensors."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(content)
    return Packed(file.getvalue(), [tensor.detach() for tensor in pickler.numbers_of])


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.numbers_of: dict[Tensor, int] = {}  # tensors hash by identity

    def persistent_id(self, obj: Any) -> int | None:
        """The number of a tensor; None for all else, which is pickled."""
        return self.numbers_of.setdefault(obj, len(self.numbers_of)) if isinstance(obj, Tensor) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, tensors: list[Tensor]) -> None:
        super().__init__(file)
        self.tensors = tensors

    def persistent_load(self, number: int) -> Tensor:
        """The tensor with a number."""
        return self.tensors[number]


def on_device(content: Any, device: torch.device) -> Any:
    """Tuples, lists and dictionaries of tensors with these on a device; messages come in main memory."""
    return tree_map_only(Tensor, lambda tensor: tensor.to(device), content)


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in memory, and how it travels.

    The strides of the copy are the same, as they decide in which order a convolution adds.

    Args:
        shape: its shape.
        stride: its strides, where it fills its memory without holes; else those of its copy.
        dtype: its type.
        sent_as: the type in which it travels: labels need only a byte.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    sent_as: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> tuple[Layout, Tensor]:
        """The layout of a tensor, and what of it travels: flat, on the CPU."""
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
        """Room for what travels."""
        return torch.empty(torch.Size(self.shape).numel(), dtype=self.sent_as)

    def restore(self, received: Tensor) -> Tensor:
        """The tensor, from what has travelled."""
        return received.as_strided(self.shape, self.stride).to(self.dtype)


def _fills_its_memory(tensor: Tensor) -> bool:
    """Whether a tensor's elements lie side by side, in whatever order of its dimensions."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True
