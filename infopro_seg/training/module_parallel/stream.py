"""Messages for predictions, which all processes of a replica make together."""

from __future__ import annotations

from typing import Any

from infopro_seg.errors import RankError
from infopro_seg.training.module_parallel.link import Link


class CutShortError(RankError):
    """The previous process has ended its part of the predictions early."""


class Stream:
    """Messages from the process of a module to that of the next, up to an end that each process passes on.

    A process that ends early also passes on the end, and receives what the previous process still sends. So
    no process waits forever, whichever one fails.

    Args:
        link: the link to the neighbours.
    """

    def __init__(self, link: Link) -> None:
        self._link, self._place = link, link.placement
        self._incoming = self._outgoing = False

    @property
    def is_open(self) -> bool:
        """Whether a neighbour waits for this process."""
        return self._incoming or self._outgoing

    def open(self) -> None:
        """Begins the stream; all processes of a replica do so at the same place among their messages."""
        self._incoming, self._outgoing = not self._place.is_first, not self._place.is_last

    def send_on(self, content: Any) -> None:
        """Starts to send an object, which is not None, to the next module.

        Raises:
            RankError: the other process is gone.
        """
        self._link.send_on(content)

    def receive(self) -> Any:
        """The next object from the previous module.

        Raises:
            CutShortError: no more will arrive.
            RankError: the other process is gone.
        """
        content = self._link.receive()
        if content is None:
            self._incoming = False
            raise CutShortError(
                f'the process of local module {self._place.module - 1} has ended its part of the predictions'
            )
        return content

    def close(self) -> None:
        """Ends the stream; messages that the previous process has still sent are lost.

        Raises:
            RankError: the other process is gone.
        """
        if self._outgoing:
            self._outgoing = False
            self._link.send_on(None)
        while self._incoming:
            self._incoming = self._link.receive() is not None
