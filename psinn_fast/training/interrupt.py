"""Signals as polite requests: finish the current steps, save, stop."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from types import FrameType, MethodType, TracebackType
from typing import Any

# What a user, an init system, a terminal that goes sends. Windows has no SIGHUP.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """Work ended on request. ``signal``: by which one; by all but Ctrl-C little time is left."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.signal = int(number)


class InterruptFlag:
    """``with InterruptFlag() as flag``: SIGINT, SIGTERM and SIGHUP set ``flag.raised``, and ``flag.signal`` to which.

    After that, SIGINT interrupts at once (KeyboardInterrupt) and SIGTERM ends the process at once; one more SIGHUP,
    which terminals and shells both send, changes nothing. Signals that are ignored, as SIGHUP is under nohup, stay so.
    One that begins within another that is raised is raised, too. Outside the main thread Python allows no signal
    handlers. There the flag is raised, as by SIGTERM, when the interpreter exits: a daemon thread that still computed
    then would abort the process.

    Args:
        raised: start as after that signal, to finish what is left to do.
    """

    def __init__(self, raised: int | None = None) -> None:
        self.signal = raised
        self._previous: dict[int, Any] = {}

    @property
    def raised(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> InterruptFlag:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # None: a handler that Python did not install, and could not put back.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._handle)
            outer = [own.__self__ for own in self._previous.values() if isinstance(own, MethodType)]
            asked = [own.signal for own in outer if isinstance(own, InterruptFlag) and own.raised]
            self.signal = asked[0] if asked and not self.raised else self.signal
        elif threading.current_thread().daemon:  # for others the interpreter waits
            ELSEWHERE[self] = threading.current_thread()
            if _is_leaving:
                self.signal = signal.SIGTERM
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ELSEWHERE.pop(self, None)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.raised and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.raised and number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if not self.raised:
            self.signal = number


# Flags of daemon threads. At exit these have so many seconds, which few need: a block of linear algebra takes a second.
ELSEWHERE: dict[InterruptFlag, threading.Thread] = {}
_PATIENCE = 30.0
_is_leaving = False


@atexit.register
def _leave() -> None:
    global _is_leaving
    _is_leaving = True
    until = time.monotonic() + _PATIENCE
    flags = list(ELSEWHERE.items())
    for flag, _ in flags:  # all before any is waited for: one thread may have several
        if flag.signal is None:
            flag.signal = signal.SIGTERM
    for _, thread in flags:
        if thread is not threading.current_thread():
            thread.join(max(0.0, until - time.monotonic()))
