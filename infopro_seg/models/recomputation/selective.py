"""Selective recomputation: the outputs of chosen operations are kept, all others are computed again.

torch's `create_selective_checkpoint_contexts` does the same, but rejects networks that change a kept output
in place. Squeeze-and-excitation does this: an in-place activation follows a convolution without a norm. Here
such an output is copied before it changes. The original is freed in the forward pass, so no extra memory is
kept. Watching an operation takes the host longer than starting it, so only functions that may contain a
chosen operation are watched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

Chooses: TypeAlias = Callable[[Any, Sequence[Any]], bool]


def selective_contexts(
    keeps: Chooses, reading: Collection[Any] = (), writing: Collection[Any] = ()
) -> tuple[TorchFunctionMode, TorchFunctionMode]:
    """The contexts of a forward pass and of its recomputation.

    Args:
        keeps: says, given an operation and its positional arguments, whether its output is kept.
        reading: functions without such an operation that change none of their arguments; they run unwatched.
        writing: functions without such an operation that may change their first argument in place; they run
            unwatched unless it is a kept output.
    """
    kept: deque[_Kept] = deque()
    keeping = _Keeping(keeps, kept)
    return (
        _Watching(keeping, reading, writing, keeping.storages),
        _Watching(_Reusing(keeps, kept), {*reading, *writing}, (), set()),
    )


def is_watched() -> bool:
    """Whether single operations are watched here, which compiled code would hide."""
    return bool(torch._C._len_torch_dispatch_stack()) or any(
        isinstance(mode, _Watching)
        for mode in _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    )


class _Watching(TorchFunctionMode):
    """Runs functions under a dispatch mode, except those that do not need it."""

    def __init__(
        self,
        mode: TorchDispatchMode,
        reading: Collection[Any],
        writing: Collection[Any],
        storages: set[int],
    ) -> None:
        super().__init__()
        self.mode = mode
        self.reading = reading
        self.writing = writing
        self.storages = storages  # of kept outputs

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        spared = func in self.reading or (func in self.writing and self._spares_kept(args))
        if spared and 'out' not in kwargs:
            return func(*args, **kwargs)
        with self.mode:
            return func(*args, **kwargs)

    def _spares_kept(self, args: Sequence[Any]) -> bool:
        """Whether the first argument is a tensor that lies in no kept storage."""
        first = args[0] if args else None
        return isinstance(first, Tensor) and first.untyped_storage()._cdata not in self.storages


class _Kept(NamedTuple):
    operation: Any
    output: Any
    versions: list[int]


class _Keeping(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, keeps: Chooses, kept: deque[_Kept]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keeps = keeps
        self.kept = kept
        self.storages: set[int] = set()  # of kept outputs, except copies, which nobody else holds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        written = _written(func)
        if written and self.storages:
            changed = _storages([args[i] if i < len(args) else kwargs.get(name) for i, name in written])
            if not changed.isdisjoint(self.storages):
                self._copy(changed)
        output = func(*args, **kwargs)
        if self.keeps(func, args):
            item = _keep(func, tree_map_only(Tensor, _detach, output))
            self.storages |= _storages(item.output)
            self.kept.append(item)
        return output

    def _copy(self, changed: set[int]) -> None:
        """Copies the kept outputs that lie in some storages."""
        for index, item in enumerate(self.kept):
            if not changed.isdisjoint(_storages(item.output)):
                self.kept[index] = _keep(item.operation, tree_map_only(Tensor, torch.clone, item.output))
        self.storages -= changed


class _Reusing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, keeps: Chooses, kept: deque[_Kept]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keeps = keeps
        self.kept = kept

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.keeps(func, args):
            return func(*args, **(kwargs or {}))
        if not self.kept:
            raise RuntimeError(
                f'{func} is computed again, but its output is gone: a graph with selective checkpointing '
                'allows a single backward pass (retain_graph=True does not help)'
            )
        operation, output, versions = self.kept.popleft()
        if operation is not func:
            raise RuntimeError(
                f'the recomputation runs {func} where the forward pass ran {operation}; a checkpointed part '
                'must not depend on anything that changes between the two'
            )
        if versions != [tensor._version for tensor in _tensors(output)]:
            raise RuntimeError(
                f'the output of {func} was changed in place by a scripted function, or after the '
                'checkpointed part had returned it; change a copy instead, or recompute whole blocks there'
            )
        return output


def _keep(operation: Any, output: Any) -> _Kept:
    return _Kept(operation, output, [tensor._version for tensor in _tensors(output)])


def _detach(tensor: Tensor) -> Tensor:
    """The tensor without its graph, which would form a reference cycle; it still counts in-place changes."""
    with torch._C._SetExcludeDispatchKeyGuard(torch._C.DispatchKey.ADInplaceOrView, False):
        return tensor.detach()


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _storages(tree: Any) -> set[int]:
    return {tensor.untyped_storage()._cdata for tensor in _tensors(tree)}


@cache
def _written(func: Any) -> tuple[tuple[int, str], ...]:
    """Position and name of the arguments that an operation writes into."""
    arguments = enumerate(func._schema.arguments)
    return tuple((index, argument.name) for index, argument in arguments if _is_written(argument))


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and bool(argument.alias_info.is_write)
