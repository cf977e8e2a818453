"""``python -m bench run quick|cpu|gpu``, ``compare A.json B.json``, ``report FILE``, ``publish``: see README.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .options import above_one, at_least_one, positive
from .suite import results
from .suite.case import Case
from .suite.compare import TOLERANCE, compare
from .suite.machine import describe, load
from .suite.measure import Row, Settings, measure
from .suite.process import TOP
from .suite.registry import cases

SUITES = ("quick", "cpu", "gpu")
# What two runs must share for their rows to be those of one.
RESUMED = ("suite", "commit", "cpu", "processors", "threads", "instruction_set", "variables", "rounds", "seconds")


def _run(options: argparse.Namespace) -> int:
    if options.suite == "gpu":
        from .gpu.suite import main as on_gpu

        return on_gpu([])
    chosen = [case for case in cases(options.suite) if all(word in case.name for word in options.only)]
    if not chosen:
        print(
            f"--only {' '.join(options.only)}: no case has these words; `python -m bench list` names them",
            file=sys.stderr,
        )
        return 2
    settings = Settings(options.rounds, options.seconds, options.threads)
    out = options.out or Path("results") / "bench" / f"{options.suite}.json"
    results.check_writable(out)
    about = {
        "suite": options.suite,
        "command": command_of(options),
        "load": load(),
        **describe(options.threads),
        "rounds": settings.rounds,
        "seconds": settings.seconds,
    }
    rows: list[Row] = results.earlier(out, about, RESUMED) if options.resume else []
    try:
        _measure(chosen, settings, rows, lambda: results.save(out, about, rows))
    except KeyboardInterrupt:
        kept = f"{len({row['case'] for row in rows})} cases are in {out}; --resume goes on from there"
        print(f"interrupted: {kept if rows else 'nothing was measured yet'}", file=sys.stderr)
        return 130
    print(f"written: {out}")
    return int(any("failure" in row for row in rows))


def _measure(chosen: Sequence[Case], settings: Settings, rows: list[Row], save: Callable[[], None]) -> None:
    """Adds the rows of each case that has none, and saves after each."""
    done, checked = {row["case"] for row in rows}, dict[tuple[str, str], Row]()
    for number, case in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {case.name}{', measured before' if case.name in done else ''}", flush=True)
        if case.name in done:
            continue
        found = measure(case, settings, checked)
        print("\n".join(map(_line, found)), flush=True)
        rows += found
        save()


def command_of(options: argparse.Namespace) -> str:
    """What makes the same file again; where it lies is nobody's business."""
    words = ["python -m bench run", options.suite]
    words += ["--only", *options.only] if options.only else []
    for name in ("rounds", "seconds", "threads"):
        if (value := getattr(options, name)) != getattr(Settings, name):
            words += [f"--{name}", f"{value:g}"]
    return " ".join(words)


def _line(row: Row) -> str:
    name = f"    {row['contestant']:12}"
    if "absent" in row:
        return f"{name}-   {row['absent']}"
    if "failure" in row:
        return f"{name}FAILED {row['failure']}"
    seconds, ratio = row["seconds"], row.get("over_ours", {"median": float("nan")})
    share = f"  {row['share_of_peak']:.0%} of peak" if "share_of_peak" in row else ""
    spread = f"({seconds['p10'] * 1e3:.3f} to {seconds['p90'] * 1e3:.3f})"
    return f"{name}{seconds['median'] * 1e3:10.3f} ms {spread:22}{ratio['median']:8.2f} of ours{share}"


def _compare(options: argparse.Namespace) -> int:
    lines, is_worse = compare(results.read(options.before), results.read(options.after), options.tolerance)
    print("\n".join(lines))
    return int(is_worse)


def _report(options: argparse.Namespace) -> int:
    from .suite.report import model_of, write

    found = results.read(options.file)
    model = model_of(found)
    if model is not None:
        print(f"Model: {model}")
        for case, deviation in model.deviations.items():
            print(f"    {deviation:5.2f} of the model  {case}")
    folder = options.out or options.file.with_suffix("")
    try:
        page = write(found, folder)
    except OSError as error:
        raise results.Unreadable(f"--out {folder}: no folder can be written there ({error.strerror})") from None
    print(f"written: {page}")
    return 0


def _publish(options: argparse.Namespace) -> int:
    from .suite import publish

    if options.check:
        wrong = publish.stale()
        for page in wrong:
            print(f"{page.relative_to(TOP)}: its numbers are not those of the results: python -m bench publish")
        return int(bool(wrong))
    for page in publish.write():
        print(f"written: {page.relative_to(TOP)}")
    return 0


def _list(options: argparse.Namespace) -> int:
    for case in cases(options.suite):
        print(f"{case.name}: {', '.join(case.contestants)}")
    return 0


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = found.add_subparsers(required=True)
    run = commands.add_parser("run", help="measure a suite")
    run.add_argument("suite", choices=SUITES)
    run.add_argument("--only", nargs="+", default=[], metavar="WORD", help="cases whose names have all these words")
    run.add_argument("--rounds", type=at_least_one, default=Settings.rounds)
    run.add_argument("--seconds", type=positive, default=Settings.seconds, help="of a turn")
    run.add_argument("--threads", type=at_least_one, default=Settings.threads)
    run.add_argument("--out", type=Path, default=None)
    run.add_argument("--resume", action="store_true", help="keep the cases that an interrupted run has in its file")
    run.set_defaults(action=_run)
    compared = commands.add_parser("compare", help="exit status 1 if the second file is slower")
    compared.add_argument("before", type=Path)
    compared.add_argument("after", type=Path)
    compared.add_argument("--tolerance", type=above_one, default=TOLERANCE, help="how many times slower is too much")
    compared.set_defaults(action=_compare)
    reported = commands.add_parser("report", help="one page of HTML, and its pictures as PNGs")
    reported.add_argument("file", type=Path)
    reported.add_argument("--out", type=Path, default=None, help="the folder; by default named as the file is")
    reported.set_defaults(action=_report)
    published = commands.add_parser("publish", help="write the numbers of README and documentation from the results")
    published.add_argument("--check", action="store_true", help="exit status 1 if they are others")
    published.set_defaults(action=_publish)
    listed = commands.add_parser("list", help="the cases of a suite")
    listed.add_argument("suite", choices=("quick", "cpu"), nargs="?", default="quick")
    listed.set_defaults(action=_list)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        status: int = options.action(options)
    except results.Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
