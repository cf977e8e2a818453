"""A pytest plugin: every test is a row on disk when it ends, and a GPU context that is broken ends the process.

Loaded by ``-p bench.gpu.pytest_rows``. PSINN_FAST_GPU_ROWS names the file of lines; PSINN_FAST_GPU_SHARD is K/N/M:
every N-th test from number K, at most M of them (0: all).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .jobs import RESTART
from .lines import Lines

LIMIT = 150.0
# What a chip is asked first.
FIRST = "test_triton_training"


class Rows:
    def __init__(self) -> None:
        self._lines = Lines(Path(os.environ["PSINN_FAST_GPU_ROWS"]))
        self._k, self._n, self._most = map(int, os.environ["PSINN_FAST_GPU_SHARD"].split("/"))
        self._reports: list[pytest.TestReport] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: FIRST not in item.nodeid)
        items[:] = items[self._k :: self._n][: self._most or None]
        self._lines.plan(f"tests/{item.nodeid}" for item in items)
        done = self._lines.read().rows
        items[:] = [item for item in items if f"tests/{item.nodeid}" not in done]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._lines.end(f"tests/{report.nodeid}", {"failure": f"not collected: {_last_line(report)}"})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._reports = []
        self._lines.begin(f"tests/{nodeid}", LIMIT)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        from .worker import is_alive

        row: dict[str, object] = {"seconds": sum(report.duration for report in self._reports)}
        failed = [report for report in self._reports if report.failed]
        skipped = [report for report in self._reports if report.skipped]
        if failed:
            row["failure"] = f"{failed[0].when}: {_last_line(failed[0])}"
        elif skipped:
            reason = skipped[0].longrepr
            row["skipped"] = str(reason[-1] if isinstance(reason, tuple) else reason)
        self._lines.end(f"tests/{nodeid}", row)
        if failed and not is_alive():
            os._exit(RESTART)


def _last_line(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Of what went wrong: the error's own line, where there is one."""
    lines = str(report.longrepr).strip().splitlines()
    errors = [line for line in lines if line.startswith("E ")]
    return (errors or lines or ["no message"])[-1].removeprefix("E").strip()[:300]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Rows(), "psinn_fast_gpu_rows")
