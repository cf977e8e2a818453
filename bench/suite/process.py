"""The driver's end of `worker`: starts it under an interpreter that has its library, asks it, gives it up in time."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from .case import Case
from .contestant import ENTRIES

TOP = Path(__file__).parents[2]
# Beside the interpreter of this process; `make bench-env` makes them.
OTHERS = (".venv-bench", ".venv-bench-jet")
SECONDS = 180.0
# Until the pipes of a process that was killed are at their end, which a child of its own may hold open.
CLOSING = 2.0

Answer = dict[str, Any]


class Failed(Exception):
    """A contestant cannot go on; ``row``: what its row says, under "failure" or "absent"."""

    def __init__(self, row: Answer) -> None:
        super().__init__(str(row))
        self.row = row


@cache
def interpreter(library: str) -> str:
    """The first that has the library installed; this one if none does."""
    others = [TOP / folder / "bin" / "python" for folder in OTHERS]
    for python in (sys.executable, *(str(path) for path in others if path.exists())):
        code = f"import importlib.metadata as m; m.version({library!r})"
        if subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0:
            return python
    return sys.executable


def run_whole(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """A process from here, to its end.

    Raises:
        subprocess.TimeoutExpired: that takes longer; it is ended.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=TOP, env=_variables()
    )
    try:
        out, errors = process.communicate(timeout=seconds)
    except BaseException:
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=CLOSING)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def _variables() -> dict[str, str]:
    """The sources are found from here."""
    path = os.pathsep.join(filter(None, [str(TOP), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


class Process:
    """One contestant on one case. Where it fails, raises or takes too long, `Failed`, and the process is ended."""

    def __init__(self, contestant: str, case: Case, threads: int) -> None:
        self.contestant = contestant
        request = json.dumps({"contestant": contestant, "case": case.to_json(), "threads": threads})
        python = interpreter(ENTRIES[contestant].package)
        self._environment = Path(python).parents[1].name
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-m", "bench.suite.worker", request],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=TOP,
            env=_variables(),
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._errors: list[str] = []
        streams = ((self._process.stdout, self._lines.put), (self._process.stderr, self._errors.append))
        self._readers = [threading.Thread(target=_read, args=pair, daemon=True) for pair in streams]
        for reader in self._readers:
            reader.start()
        self._answer(SECONDS)

    def ask(self, what: str, seconds: float = SECONDS, **more: Any) -> Answer:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **more}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: what it said last tells why
        return self._answer(seconds)

    def _answer(self, seconds: float) -> Answer:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.close()
            raise Failed({"failure": f"no answer within {seconds:g} s"}) from None
        if not line:
            code = self._process.wait()
            self.close()
            last = next((text.strip() for text in reversed(self._errors) if text.strip()), "")
            how = (
                f"killed by signal {-code}, 9 being that of a machine out of memory"
                if code < 0
                else f"exit status {code}"
            )
            last = last or f"without a word; does the Python of {self._environment} run?"
            raise Failed({"failure": f"the process ended ({how}) {last}"[:300]})
        found: Answer = json.loads(line)
        if "failure" in found or "absent" in found:
            self.close()
            raise Failed(found)
        return found

    def close(self) -> None:
        self._process.kill()
        for reader in self._readers:
            reader.join(CLOSING)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()


def _read(stream: IO[str], keep: Callable[[str], object]) -> None:
    with stream:
        for line in stream:
            keep(line)
    keep("")
