"""One run, for `running.attempted`: python -m bench.tables.one RUN OUT, a run as JSON and the file for its row."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

from ..section import reason
from .registry import CASES
from .running import Run, trained


def main(text: str, out: str) -> None:
    run = Run(**json.loads(text))
    (case,) = [case for case in CASES if case.name == run.problem]
    try:
        row = trained(case, run)
    except Exception as error:  # a row that failed says so, the others go on
        traceback.print_exc()
        row = {"failure": reason(error)}
    Path(out).write_text(json.dumps(row), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
