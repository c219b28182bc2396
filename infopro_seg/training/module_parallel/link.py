"""Messages between the processes of two local modules."""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from infopro_seg.errors import RankError
from infopro_seg.memory.search.process_split import OUTSTANDING
from infopro_seg.training.interruptions.ranks import Ranks
from infopro_seg.training.module_parallel.messages import Layout, Packed, pack
from infopro_seg.training.module_parallel.placement import Placement

Sending = list[tuple[Any, Tensor]]  # pending sends, and tensors that must not be freed before they end


class Link:
    """Sends to the process of the next module, and receives from the process of the previous one.

    Messages use gloo, also from GPUs: then a sender does not wait, and processes may share a GPU. Sent
    tensors are copied to main memory, and received ones stay there. All processes create their links
    together.

    Args:
        placement: the placement of this process.
    """

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self.everybody: Any = dist.new_group(backend='gloo')
        self._on_group, self._to_first_group = dist.new_group(backend='gloo'), dist.new_group(backend='gloo')
        first = [placement.rank_of(0, replica) for replica in range(placement.replicas)]
        self._first_group = dist.new_group(first, backend='gloo')
        self._sent: deque[Sending] = deque()
        self._parts: Sending = []
        self.ranks: Ranks | None = None  # where a process of the training says why it ends

    def send_on(self, content: Any) -> None:
        """Starts to send an object to the next module; waits while two earlier ones are not yet received.

        Raises:
            RankError: the other process is gone.
        """
        peer = self.placement.rank_of(self.placement.module + 1)
        while len(self._sent) >= OUTSTANDING:
            self._finish(self._sent.popleft(), peer)
        self._sent.append(self._start(content, peer, self._on_group))

    def receive(self) -> Any:
        """The next object from the previous module; waits for it.

        Raises:
            RankError: the other process is gone.
        """
        return self._receive(self.placement.rank_of(self.placement.module - 1), self._on_group)

    def send_part(self, content: Any) -> None:
        """Starts to send a copy of an object to the first rank, for a file that it writes.

        Raises:
            RankError: that process is gone.
        """
        self._finish(self._parts, 0)
        packed = pack(content)
        copied = Packed(packed.content, [tensor.cpu().clone() for tensor in packed.tensors])
        self._parts = self._start(copied, 0, self._to_first_group)

    def receive_part(self, module: int) -> Any:
        """The object that another module has sent to the first rank.

        Raises:
            RankError: the other process is gone.
        """
        return self._receive(self.placement.rank_of(module, 0), self._to_first_group)

    def finish(self) -> None:
        """Waits until everything sent is received.

        Raises:
            RankError: the other process is gone.
        """
        self._finish(self._parts, 0)
        while self._sent:
            self._finish(self._sent.popleft(), self.placement.rank_of(self.placement.module + 1))

    def any_first(self, flag: bool) -> bool:
        """Whether a flag is set in any process of the first module; these processes wait here for each other.

        Raises:
            RankError: another of them is gone.
        """
        if self.placement.replicas == 1:
            return flag
        flags = torch.tensor(int(flag))
        try:
            dist.all_reduce(flags, dist.ReduceOp.MAX, self._first_group)
        except RuntimeError as error:
            explained = self.ranks.explain(error) if self.ranks is not None else error
            raise explained from error
        return bool(flags.item())

    def _start(self, content: Any, peer: int, group: Any) -> Sending:
        packed = content if isinstance(content, Packed) else pack(content)
        travelling = [Layout.of(tensor) for tensor in packed.tensors]
        header = pack(([layout for layout, _ in travelling], packed.content)).content
        first = torch.frombuffer(bytearray(struct.pack('q', len(header))), dtype=torch.uint8)
        second = torch.frombuffer(bytearray(header), dtype=torch.uint8)
        tensors = [first, second, *(sent for _, sent in travelling if sent.numel())]
        try:
            return [(dist.isend(tensor, peer, group), tensor) for tensor in tensors]
        except RuntimeError as error:
            raise self._lost(peer, error) from error

    def _receive(self, peer: int, group: Any) -> Any:
        try:
            size = torch.empty(8, dtype=torch.uint8)
            dist.recv(size, peer, group)
            header = torch.empty(struct.unpack('q', size.numpy().tobytes())[0], dtype=torch.uint8)
            dist.recv(header, peer, group)
            layouts, content = Packed(header.numpy().tobytes(), []).unpack()
            tensors = []
            for layout in layouts:
                room = layout.empty()
                if room.numel():
                    dist.recv(room, peer, group)
                tensors.append(layout.restore(room))
        except RuntimeError as error:
            raise self._lost(peer, error) from error
        return Packed(content, tensors).unpack()

    def _finish(self, sending: Sending, peer: int) -> None:
        try:
            for work, _ in sending:
                work.wait()
        except RuntimeError as error:
            raise self._lost(peer, error) from error
        sending.clear()

    def _lost(self, peer: int, error: RuntimeError) -> RankError:
        """Names the process that is gone: the peer, or another one because of which the peer ended."""
        module = self.placement.modules - 1 - peer // self.placement.replicas
        reason = str(error).splitlines()[0].partition('. This is typically')[0]
        text = (
            f'rank {peer}, which trains local module {module}, has ended without a message: killed by a '
            f'user, or by the system for lack of memory; or its connection was lost ({reason})'
        )
        return RankError(text) if self.ranks is None else self.ranks.gone(text)
