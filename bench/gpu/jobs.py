"""Processes side by side, each with its file of lines: what dies or hangs becomes a row, and the rest goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .lines import Lines, Row

# Exit status of a process that wants to be started again, behind what it has done: its GPU context is broken.
RESTART = 3
POLL_SECONDS = 0.2
NO_TIME = "no time left"


@dataclass
class Job:
    """``command``, with ``variables`` added to the environment, does the tasks that its lines do not have yet.

    ``name``: key of the row for what is the fault of none of its tasks; ``fine``: exit statuses that say it came to its
    end.
    """

    name: str
    command: Sequence[str]
    lines: Lines
    log: Path
    fine: tuple[int, ...] = (0,)
    variables: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    is_over: bool = field(default=False, init=False)

    def start(self, folder: Path, environment: Mapping[str, str]) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                cwd=folder,
                env={**environment, **self.variables},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self) -> bool:
        """Whether the process is to be started again."""
        process = self.process
        assert process is not None
        status, progress = process.poll(), self.lines.read()
        if status is None:
            if progress.begun is None or time.time() - progress.since < progress.limit:
                return False
            self.kill()
            self.lines.end(progress.begun, {"failure": f"stopped after {progress.limit:.0f} s"})
            return True
        if status in self.fine:
            self.is_over = True
        elif status == RESTART:
            return True
        elif progress.begun is not None:
            self.lines.end(
                progress.begun, {"failure": f"the process died (exit status {status}): {self._last_words()}"}
            )
            return True
        else:
            self.lines.end(self.name, {"failure": f"exit status {status}: {self._last_words()}"})
            self.is_over = True
        return False

    def stop(self) -> None:
        """Time is up: what runs has failed, what was planned is left out."""
        self.kill()
        progress = self.lines.read()
        if progress.begun is not None:
            self.lines.end(
                progress.begun, {"failure": f"stopped after {time.time() - progress.since:.0f} s: {NO_TIME}"}
            )
        elif not progress.planned:
            self.lines.end(self.name, {"failure": f"stopped before it began its first task: {NO_TIME}"})
        self.is_over = True

    def kill(self) -> None:
        """With all it has started; that it is no more is waited for."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def rows(self) -> dict[str, Row]:
        progress = self.lines.read()
        missing = [key for key in progress.planned if key not in progress.rows]
        return progress.rows | ({key: {"left_out": NO_TIME} for key in missing} if self.is_over else {})

    def _last_words(self) -> str:
        text = self.log.read_text(errors="replace", encoding="utf-8").strip()
        return text.splitlines()[-1][:300] if text else "no message"


def run_jobs(
    jobs: Sequence[Job], ends: float, folder: Path, environment: Mapping[str, str], changed: Callable[[], None]
) -> None:
    """Until all are over, or it is ``ends`` (`time.time`). ``changed`` is called whenever there may be new rows."""
    try:
        for job in jobs:
            job.start(folder, environment)
        sizes: dict[str, int] = {}
        while not all(job.is_over for job in jobs):
            time.sleep(POLL_SECONDS)
            for job in jobs:
                if job.is_over:
                    continue
                if time.time() > ends:
                    job.stop()
                elif job.look():
                    job.start(folder, environment)
            now = {job.name: job.lines.path.stat().st_size for job in jobs if job.lines.path.exists()}
            if now != sizes:
                sizes = now
                changed()
    finally:
        for job in jobs:
            job.kill()
