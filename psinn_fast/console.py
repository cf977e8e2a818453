"""The standard streams of a command: they may be closed, full, or unable to say µ, and none of that is a traceback."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from typing import Any, TextIO, cast

from .kernels.errors import OutputWarning


class Forgiving:
    """A stream for what may be lost, such as progress: once it cannot be written to, it says nothing more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._works = stream, True

    def write(self, text: str) -> int:
        if self._works:
            try:
                return self._stream.write(text)
            except (OSError, ValueError):  # ValueError: it is closed, or it has no such character
                self._works = False
        return len(text)

    def flush(self) -> None:
        if self._works:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._works = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Closed(io.TextIOBase):
    """What takes the place of a standard output that the process was started without."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")


def open_streams() -> None:
    """No file that is opened later becomes a standard stream; characters that one of those lacks are escaped."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = cast(TextIO, _Closed())
    if sys.stderr is None:
        sys.stderr = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """A result, on stdout. Where it cannot be written, an `OutputWarning` says so, once, and the work goes on.

    Raises:
        BrokenPipeError: its reader has gone.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        _abandon("stdout")
        warnings.warn(f"standard output: {error.strerror or error}", OutputWarning, stacklevel=2)


def complain(message: str) -> None:
    """A message on stderr, if that can be written to."""
    try:
        print(message, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _abandon("stderr")


def leave_pipe() -> None:
    """After a `BrokenPipeError`: nothing more is written, also not by Python at its end."""
    _abandon("stdout")


def _abandon(name: str) -> None:
    stream = getattr(sys, name)
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
    except (OSError, ValueError):  # ValueError: it is closed, or no file
        setattr(sys, name, _nowhere())


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")
