"""Measures one piece of the chain alone, in a forward and a backward pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from infopro_seg.memory.costs.chain import PLAIN, BlockCost, PieceCost
from infopro_seg.memory.costs.neighbours import fresh, sink, trains
from infopro_seg.memory.tracing.autocast import autocast
from infopro_seg.memory.tracing.flops import RecomputedFlops
from infopro_seg.memory.tracing.storages import StorageTracker, storage_bytes
from infopro_seg.models.blocks import Block
from infopro_seg.models.image import to_rgb
from infopro_seg.models.local_heads.readers import Reader

Policies: TypeAlias = Mapping[str, Callable[[Block], Callable[[Any], Any]]]


class PieceMeter:
    """Measures the pieces of an uncut model on fake tensors.

    Args:
        model: an `InfoProEncoderDecoder`.
        blocks: the blocks of its encoder.
        tracker: follows the storages.
        amp: precision of the forward passes.
    """

    def __init__(
        self, model: Any, blocks: Sequence[Block], tracker: StorageTracker, amp: str | None = None
    ) -> None:
        self.model = model
        self.blocks = blocks
        self.tracker = tracker
        self.amp = amp
        read = model.outputs_read()
        returned = [(index, output) for index, block in enumerate(blocks) for output in block.outputs]
        self._returned = [
            (index, output if read is None or number in read else None)
            for number, (index, output) in enumerate(returned)
        ]
        self.outputs = list(dict.fromkeys(index for index, output in self._returned if output is not None))
        self._found: dict[Any, Any] = {}

    def start(self, batch: dict[str, Any]) -> None:
        """Preprocesses a batch, which stays alive from then on."""
        before = self.tracker.live
        data = self.model.data_preprocessor(batch, True)
        self.inputs, self.samples = data['inputs'], data['data_samples']
        self.inputs_bytes = self.tracker.rounded(self.inputs)
        self.labels_bytes = self.tracker.live - before - self.inputs_bytes
        self.image = to_rgb(self.inputs, self.model.data_preprocessor)
        self.image_bytes = self.tracker.live - before - self.inputs_bytes - self.labels_bytes

    def states(self) -> list[Any]:
        """The state before each block, and the last one; they do not count, as only their sizes are used."""
        states = [self.inputs]
        with torch.no_grad(), autocast(self.amp), self.tracker.paused():
            for block in self.blocks:
                state = states[-1]
                states.append(self._once('state', block_key(block, state), partial(block.forward, state)))
        return states

    def block(self, index: int, states: Sequence[Any], policies: Policies, owned: int) -> BlockCost:
        """Measures a block under every policy; see :class:`infopro_seg.memory.costs.chain.BlockCost`."""
        block, state = self.blocks[index], states[index]
        key = block_key(block, state)

        def measured(attached: bool) -> dict[str, PieceCost]:
            return {
                name: self._once(
                    (name, attached), key, partial(self._run, policy(block), state, attached, block.owned)
                )
                for name, policy in policies.items()
            }

        first = measured(attached=False)
        buffers = [buffer for module in block.modules for buffer in module.buffers()]
        return BlockCost(
            name=block.name,
            state=_bytes(states[index + 1]),
            owned=owned,
            first=first,
            inner=measured(attached=True) if self.trains_before(index) else first,
            recomputed=self._once('recomputed', key, partial(self._recomputed, block, state, policies)),
            lent=storage_bytes(buffer for buffer in buffers if buffer.is_floating_point()),
        )

    def trains_before(self, index: int) -> bool:
        """Whether an earlier block trains, so that gradients flow back to it; frozen blocks do not train."""
        return any(p.requires_grad for b in self.blocks[:index] for m in b.modules for p in m.parameters())

    def _recomputed(self, block: Block, state: Any, policies: Policies) -> dict[str, int]:
        """The FLOPs that a block recomputes under each policy."""
        names = [name for name in policies if name != PLAIN]
        with RecomputedFlops(names) as counted, autocast(self.amp), self.tracker.paused():
            block.forward(state)
        flops: dict[str, int] = counted.flops
        return flops

    def width(self, reader: Reader, state: Any) -> int:
        """The channels that a local head reads from the state at its cut; reading it here does not count."""
        with torch.no_grad(), autocast(self.amp), self.tracker.paused():
            return int(reader.read(state).shape[1])

    def head(self, state: Any, head: Any, reader: Reader, attached: bool) -> PieceCost:
        """Measures a local head and the blocks of the next module that it runs, without recomputation.

        Args:
            state: the state at the cut.
            head: the local head.
            reader: its reader.
            attached: whether an earlier block trains.
        """

        def run(state: Any) -> Tensor:
            losses = head.loss(reader.read(state), self.image, self.samples)
            total: Tensor = self.model.parse_losses(losses)[0]
            return total

        owned = [p for module in (head, *reader.owned) for p in module.parameters()]
        sizes = [(x.shape, x.dtype) if isinstance(x, Tensor) else x for x in tree_leaves(state)]
        key = (id(head), reader.block.feature, attached, *sizes) if type(reader) is Reader else None
        cost: PieceCost = self._once('head', key, partial(self._run, run, state, attached, owned))
        for parameter in (p for block in reader.shared for p in block.owned):
            parameter.grad = None  # counted with the module that owns the blocks
        return cost

    def tails(self, states: Sequence[Any]) -> Iterator[tuple[PieceCost, PieceCost]]:
        """Measures neck and heads with the last n of the outputs they read attached, for n = 0, 1, 2, ...

        Each is measured in two cases: the last detached output is freed as soon as the heads have read it, or
        it stays alive, because it is the state at the start of the module.
        """
        of_blocks = {id(p) for block in self.blocks for p in block.owned}
        owned = [p for p in self.model.parameters() if id(p) not in of_blocks]
        read = {output: states[output + 1] for output in self.outputs}
        for first in range(len(self.outputs), -1, -1):
            attached = set(self.outputs[first:])
            begun = attached | set(self.outputs[:first][-1:])
            cost = self._run(self._finish, read, attached, owned, attached)
            yield cost, self._run(self._finish, read, attached, owned, begun) if first else cost

    def _finish(self, states: dict[int, Any]) -> Tensor:
        """What the segmentor does after the encoder."""
        outputs = [None if output is None else output(states[index]) for index, output in self._returned]

        def given(*args: Any) -> Generator[None, None, list[Any]]:
            yield  # by now the segmentor has made its image, which does not count again
            return outputs

        self.model.backbone.local_losses = given
        try:
            with self.tracker.paused():
                steps = self.model.local_losses(self.inputs, self.samples)
                next(steps)
            losses = next(steps)
        finally:
            del self.model.backbone.local_losses
        total: Tensor = self.model.parse_losses(losses)[0]
        return total

    def _once(self, kind: Any, key: Any, find: Callable[[], Any]) -> Any:
        """The result of `find`, or its earlier result for the same key; without a key, `find` always runs."""
        if key is None:
            return find()
        if (kind, key) not in self._found:
            self._found[kind, key] = find()
        return self._found[kind, key]

    def _run(
        self,
        run: Callable[[Any], Any],
        state: Any,
        attached: Any,
        owned: Sequence[nn.Parameter],
        held: Collection[int] = (),
    ) -> PieceCost:
        """Measures a piece; `held` are the parts of its state that other pieces keep for their backward."""
        tracker = self.tracker
        state = fresh(state, attached)
        before = tracker.live
        forward = tracker.begin('forward')
        with autocast(self.amp):
            out = run(state)
            inside = tracker.live
        kept = tracker.live - before
        cached = inside - tracker.live
        training = [leaf for leaf in tree_leaves(out) if trains(leaf)]
        root: Any = sink(training) if training else None  # None for a frozen block
        del out, training
        released = before + kept - tracker.live
        others = [state[key] for key in held]
        del state
        unread = before + kept - released - tracker.live
        backward = tracker.begin('backward')
        if root is not None:
            root.backward()
        del others
        parameters = [p for p in owned if p.grad is not None]
        gradients = storage_bytes(p.grad for p in parameters)
        for parameter in parameters:
            parameter.grad = None
        return PieceCost(
            forward_rise=forward.peak - before,
            kept=kept,
            backward_rise=backward.peak - before + unread,
            released=released,
            unread=unread,
            cached=cached,
            gradients=gradients,
            forward_flops=forward.flops,
            backward_flops=backward.flops,
        )


def block_key(block: Block, state: Any) -> Any:
    """A key that blocks of equal cost share; None for a block that may differ in ways that do not show.

    Encoders repeat their blocks: ResNet-101 has ten kinds among its 34.
    """
    if not isinstance(state, Tensor) or not isinstance(block.forward, nn.Module):
        return None
    flags = tuple(p.requires_grad for p in block.forward.parameters())
    modes = tuple(module.training for module in block.forward.modules())
    return str(block.forward), flags, modes, tuple(state.shape), state.dtype


def _bytes(state: Any) -> int:
    return storage_bytes(leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor))
