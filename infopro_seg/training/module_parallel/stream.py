"""What the processes hand on for predictions, which all of a replica make together."""

from __future__ import annotations

from typing import Any

from infopro_seg.errors import RankError
from infopro_seg.training.module_parallel.link import Link


class CutShortError(RankError):
    """The process before has ended its part of the predictions early."""


class Stream:
    """What the process of a module hands on to that of the next, up to an end that each passes on.

    A process that ends early passes on the end too, and takes what the one before still sends: so no
    process waits forever, whichever one fails.

    Args:
        link: to the neighbours.
    """

    def __init__(self, link: Link) -> None:
        self._link, self._place = link, link.placement
        self._incoming = self._outgoing = False

    @property
    def is_open(self) -> bool:
        """Whether a neighbour waits for this process."""
        return self._incoming or self._outgoing

    def open(self) -> None:
        """Begins; all processes of a replica do so, in turn with what else they hand on."""
        self._incoming, self._outgoing = not self._place.is_first, not self._place.is_last

    def send_on(self, content: Any) -> None:
        """Starts to send an object, which is not None, to the next module.

        Raises:
            RankError: the other process is gone.
        """
        self._link.send_on(content)

    def receive(self) -> Any:
        """The next object from the module before.

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
        """Ends; what the process before has still sent is lost.

        Raises:
            RankError: the other process is gone.
        """
        if self._outgoing:
            self._outgoing = False
            self._link.send_on(None)
        while self._incoming:
            self._incoming = self._link.receive() is not None
