"""What a process has done, on disk as it does it: when it dies, its file says where."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass
class Progress:
    """``planned`` keys, finished ``rows`` by key, and the key ``begun`` last: its limit in s, since when."""

    planned: list[str] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    begun: str | None = None
    limit: float = 0.0
    since: float = 0.0


class Lines:
    """One JSON object a line: {"plan": keys}, {"begin": key, ...} or {"key": key, **row}."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def plan(self, keys: Iterable[str]) -> None:
        self._write({"plan": list(keys)})

    def begin(self, key: str, limit: float) -> None:
        self._write({"begin": key, "limit": limit, "since": time.time()})

    def end(self, key: str, row: Row) -> None:
        self._write({"key": key, **row})

    def _write(self, line: Row) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def read(self) -> Progress:
        progress = Progress()
        if not self.path.exists():
            return progress
        for text in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
            if not text.endswith("\n"):  # being written
                break
            line = json.loads(text)
            if "plan" in line:
                progress.planned = line["plan"]
            elif "begin" in line:
                progress.begun, progress.limit, progress.since = line["begin"], line["limit"], line["since"]
            else:
                key = line.pop("key")
                progress.rows[key] = line
                if key == progress.begun:
                    progress.begun = None
        return progress
