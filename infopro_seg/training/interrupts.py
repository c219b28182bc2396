"""Ctrl-C and SIGTERM: requests to stop, which a training answers where nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
from types import TracebackType
from typing import Any, Self

from mmengine.dist import is_distributed
from mmengine.logging import MMLogger


class Stopped(KeyboardInterrupt):
    """Ends a training as it was asked to."""


class Interrupts:
    """Receives SIGINT and SIGTERM while a training runs; outside the main thread, where none arrive, idle.

    The first signal sets `asked`; while `at_once` is set, it also raises `Stopped`. In a single process the
    second signal ends the training at once. With several processes it changes nothing: each of them
    receives every signal twice, from the terminal and from the launcher.
    """

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False
        self._previous: dict[int, Any] = {}
        self._process = os.getpid()

    def __enter__(self) -> Self:
        self._process = os.getpid()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _receive(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:  # a data-loading worker, which inherits the handler
            if number == signal.SIGTERM:
                os._exit(128 + number)
            return
        self.asked = True
        if not is_distributed():
            signal.signal(number, signal.default_int_handler)
        if self.at_once:
            self.at_once = False
            raise Stopped
        MMLogger.get_current_instance().warning('stopping after this iteration')
