"""Ctrl-C as a polite request: finish the current steps, save, stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class InterruptFlag:
    """``with InterruptFlag() as flag``: SIGINT and SIGTERM set ``flag.raised``; a second SIGINT interrupts at once.

    Outside the main thread Python allows no signal handlers, so there the flag is never raised.
    """

    def __init__(self) -> None:
        self.raised = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> InterruptFlag:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.raised:
            raise KeyboardInterrupt
        self.raised = True
