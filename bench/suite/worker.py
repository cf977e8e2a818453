"""One contestant on one case, in a process of its own: commands come as lines of JSON, answers go back so.

``python -m bench.suite.worker '{"contestant": ..., "case": {...}, "threads": 1}'``. Commands: {"do": "check"}: loss
and gradient at the initial weights; {"do": "steps", "count": n}: seconds; {"do": "memory"}: MiB beyond what was
resident, at the peak of a few steps; {"do": "about"}: versions, and the work of a step where the contestant knows it.
Importing a library or building a contestant may fail: that is an answer, too.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .case import Case
from .contestant import ENTRIES, Clocked, Contestant, Entry, KnowsWork, NotServed, Prepares

STATUS, FORGET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _kibibytes(field: str) -> int:
    (line,) = (line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(field + ":"))
    return int(line.split()[1])


class Memory:
    """MiB of resident memory at the peak of all steps, beyond what was resident when the contestant was ready."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._resident: int | None = None
        try:
            ctypes.CDLL(None).malloc_trim(0)  # what trials freed goes back to the system, so that steps take it anew
            FORGET_PEAK.write_text("5", encoding="utf-8")
            self._resident = _kibibytes("VmRSS")
        except (OSError, AttributeError):
            pass  # a system that cannot forget an earlier peak, or another C library

    def mebibytes(self) -> float | None:
        return None if self._resident is None else max(_kibibytes("VmHWM") - self._resident, 0) / 1024


def limit_threads(threads: int) -> None:
    """XLA's pool has NPROC threads, torch's and BLAS's are OpenMP's; read once, when they are imported."""
    os.environ.update(
        OMP_NUM_THREADS=str(threads),
        NPROC=str(threads),
        MKL_NUM_THREADS=str(threads),
        OPENBLAS_NUM_THREADS=str(threads),
    )


def answer(contestant: Contestant, memory: Memory, library: str, command: dict[str, Any]) -> dict[str, Any]:
    what = command["do"]
    if what == "check":
        loss, gradient = contestant.loss_and_gradient()
        return {"loss": loss, "gradient": gradient.tolist()}
    if what == "steps":
        if isinstance(contestant, Prepares) and contestant.prepare(command["count"]):
            memory.start()
        started = time.perf_counter()
        contestant.steps(command["count"])
        taken = time.perf_counter() - started
        return {"seconds": contestant.seconds if isinstance(contestant, Clocked) else taken}
    if what == "memory":
        return {"mebibytes": memory.mebibytes()}
    work = contestant.work() if isinstance(contestant, KnowsWork) else {}
    return {"versions": versions(library), **work}


def versions(library: str) -> dict[str, str]:
    known = {name: found for name in sorted({"torch", "numpy", "jax", library}) if (found := _version(name))}
    return {"python": platform.python_version(), **known}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def serve(entry: Entry, case: Case, commands: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Answers; the first one says whether the contestant is ready. After a failure there are no more."""
    try:
        contestant = entry.build(case)
        memory = Memory()
        yield {"ready": True}
        for line in commands:
            yield answer(contestant, memory, entry.package, json.loads(line))
    except ModuleNotFoundError as error:
        missing = "" if entry.is_own else f"{entry.package} is not installed: "
        yield {"absent": f"{missing}no module {error.name!r}"}
    except NotServed as error:
        yield {"absent": str(error)}
    except Exception as error:  # a library may raise anything, and is a row
        traceback.print_exc()
        yield {"failure": reason(error)}


def main() -> None:
    request = json.loads(sys.argv[1])
    limit_threads(request["threads"])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to stderr
    for found in serve(ENTRIES[request["contestant"]], Case.from_json(request["case"]), sys.stdin):
        print(json.dumps(found), file=answers, flush=True)


def reason(error: Exception) -> str:
    """Type and first line: compilers' messages go on for pages."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


if __name__ == "__main__":
    main()
