"""The problems by which the field compares itself: ``python -m bench.tables`` (hours; what is done is kept).

Each run is a process of its own. Rows go to bench/results/tables.json after each run; a row that is there with the same
settings is not made again, so that a call goes on where another one was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..options import at_least_one, not_negative, positive
from .registry import CASES
from .report import in_short, line, markdown, picture
from .running import Results, Run, attempted

OUT = Path(__file__).parents[1] / "results" / "tables.json"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    known = [case.name for case in CASES]
    for name in options.problems:
        if not any(name in other for other in known):
            parser.error(f"argument problems: no problem has {name!r} in its name; there are {', '.join(known)}")
    meant = {name: [name] if name in known else [own for own in known if name in own] for name in options.problems}
    chosen = [case for case in CASES if not options.problems or any(case.name in own for own in meant.values())]
    results = Results(options.out, options.threads)
    results.describe(CASES)
    if options.markdown or options.picture:
        print(markdown(results.rows), in_short(results.rows), sep="\n", end="") if options.markdown else picture(
            results.rows, options.out.with_suffix(".png")
        )
        return 0
    plan = [
        (case, Run(case.name, network, seed, options.seconds or options.scale * case.seconds, options.threads))
        for case in chosen
        for network in case.networks
        if network in options.networks
        for seed in options.seeds
    ]
    left = [(case, run) for case, run in plan if not results.done(case, run)]
    limit = sum(run.seconds for _, run in left)
    print(
        f"{len(left)} runs of {len(plan)} are left, at most {limit / 60:.0f} minutes and what scores take", flush=True
    )
    try:
        for case, run in left:
            print(line(results.add(case, run, attempted(run))), flush=True)
    except KeyboardInterrupt:
        print(f"\nstopped; {options.out.name} has what is done, the same command goes on")
        return 130
    spent = sum(run.get("seconds", 0.0) for row in results.rows for run in row["runs"])
    print(f"all runs of the file took {spent / 60:.0f} minutes")
    return int(any("failure" in run for row in results.rows for run in row["runs"]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    parser.add_argument("problems", nargs="*", help="names, or parts of them such as Burgers; all if there are none")
    parser.add_argument("--networks", nargs="+", choices=("dense", "psi"), default=["dense", "psi"])
    parser.add_argument("--seeds", nargs="+", type=not_negative, default=[0, 1, 2])
    parser.add_argument("--seconds", type=positive, help="of each run, in place of the problem's own")
    parser.add_argument("--scale", type=positive, default=1.0, help="factor on the problems' own seconds")
    parser.add_argument("--threads", type=at_least_one, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs and README, train nothing")
    parser.add_argument("--picture", action="store_true", help="draw the file's rows beside it, train nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
