"""Sections' tasks one after another in one process: ``python -m bench.gpu.worker``, started by suite.py."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest
import torch

from bench.section import attempt

from .jobs import NO_TIME, RESTART
from .lines import Lines, Row
from .settings import Settings, Task, weights


def tasks_of(section: str, settings: Settings) -> list[Task]:
    """A section that breaks as a whole is one task that fails."""
    found: list[Task] = []

    def collect() -> Row:
        found.extend(import_module(f"bench.gpu.{section}").tasks(settings))
        return {}

    row = attempt({}, collect)
    return [Task("section", lambda _: row)] if row else found


def work(sections: Sequence[str], settings: Settings, lines: Lines, ends: float, shard: tuple[int, int]) -> int:
    """What the lines do not have yet. A section has its share of the time left; what is not begun then is left out."""
    k, n = shard
    tasks = {section: tasks_of(section, settings)[k::n] for section in sections}
    lines.plan(f"{section}/{task.key}" for section in sections for task in tasks[section])
    shares = weights(settings.minutes)
    if not any(shares[section] for section in sections):  # nothing else was asked for
        shares = dict.fromkeys(sections, 1.0)
    for number, section in enumerate(sections):
        left = sum(shares[later] for later in sections[number:])
        deadline = time.time() + (ends - time.time()) * (shares[section] / left if left else 1.0)
        for task in tasks[section]:
            key, done = f"{section}/{task.key}", lines.read().rows
            if key in done:
                continue
            if time.time() > deadline:
                lines.end(key, {"left_out": NO_TIME})
                continue
            # The interpreter takes its time, above all beside other tests.
            lines.begin(key, task.limit * (5 if settings.interpret else 1))
            began = time.perf_counter()
            row = attempt({}, lambda task=task, done=done: task.run(done))
            if not is_alive():
                lines.end(key, {"failure": "the GPU context is broken"} | row)
                return RESTART
            lines.end(key, row | {"task_seconds": round(time.perf_counter() - began, 2)})
    return 0


def is_alive() -> bool:
    """An error in a kernel makes all later calls of the process fail."""
    try:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def shard_of(text: str) -> tuple[int, int]:
    k, _, n = text.partition("/")
    return int(k), int(n)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu.worker", description=__doc__)
    parser.add_argument("sections", nargs="+")
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--lines", type=Path, required=True)
    parser.add_argument("--ends", type=float, required=True)
    parser.add_argument("--shard", type=shard_of, default=(0, 1), help="K/N: every N-th task, from number K")
    options = parser.parse_args(arguments)
    signal.alarm(max(1, int(options.ends - time.time()) + 30))  # whatever became of the parent
    # The fields come from JSON, which has no types.
    settings = Settings(**options.settings)
    if settings.interpret:
        import_module("quick_interpreter").make_quick(pytest.MonkeyPatch())
    return work(options.sections, settings, Lines(options.lines), options.ends, options.shard)


if __name__ == "__main__":
    sys.exit(main())
