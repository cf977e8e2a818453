"""Runs the shipped networks' kernels as compiled for five chips: ``python -m bench.emulator``. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from multiprocessing import get_context
from typing import Any

from bench.environment import environment
from bench.options import at_least_one, check_cases, not_negative, result_folder
from bench.static.cases import CASES, CHIPS, QUICK

from .cases import row_of
from .table import line, markdown


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 if a gradient is wrong, a kernel does what it must not do, or a case failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    cases = QUICK[:1] if options.quick else CASES
    check_cases(parser, options.cases, {case.name for case in cases})
    jobs = [
        (number, options.quick, chip, options.lines)
        for number, case in enumerate(cases)
        if (not options.cases or case.name in options.cases) and options.precision in (None, case.kind)
        for chip in options.chips
    ]
    if not jobs:
        parser.error(f"argument --precision: none of the cases is of {options.precision!r}")
    result: dict[str, Any] = {
        "command": "python -m bench.emulator" + (f" {' '.join(arguments)}" if arguments else ""),
        **environment(),
        "triton": metadata.version("triton"),
        "rows": [],
    }
    started = time.perf_counter()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for row in pool.map(row_of, *zip(*jobs, strict=True)):
            result["rows"].append(row)
            print(line(row), flush=True)
            result["seconds"] = round(time.perf_counter() - started, 1)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                text = json.dumps(result, indent=1) + "\n"
                (options.out / "emulated.json").write_text(text, encoding="utf-8")
                (options.out / "emulated.md").write_text(markdown(result), encoding="utf-8")
    return int(not all(row.get("is_right") for row in result["rows"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.emulator", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", metavar="case", help="names as in bench/static/cases.py")
    parser.add_argument("--precision", choices=("ieee", "tf32x3", "float64"))
    parser.add_argument("--chips", type=int, nargs="+", choices=CHIPS, default=list(CHIPS))
    parser.add_argument(
        "--lines", type=not_negative, default=0, help="as many lines of the source, the dearest ones, are printed"
    )
    parser.add_argument("--quick", action="store_true", help="one tiny network: does the tool itself work")
    parser.add_argument("--jobs", type=at_least_one, default=2, help="kernels at a time")
    parser.add_argument("--out", type=result_folder, help="folder for emulated.json and emulated.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
