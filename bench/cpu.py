"""Everything measured of the C++ backend, in one run: ``python -m bench.cpu``. See README.md."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from psinn_fast.kernels.cpu.extension import chosen_instruction_set, why_not

from . import cpu_activations, cpu_memory, cpu_overhead, cpu_paper, cpu_peak, cpu_sets, cpu_steps, cpu_structures
from .environment import environment
from .jax_peer import limit_threads
from .section import Settings, attempt

SECTIONS = {
    "steps": cpu_steps,
    "peak": cpu_peak,
    "structures": cpu_structures,
    "sets": cpu_sets,
    "activations": cpu_activations,
    "overhead": cpu_overhead,
    "memory": cpu_memory,
    "paper": cpu_paper,
}
BY_DEFAULT = tuple(name for name in SECTIONS if name != "paper")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 if anything failed. A bar that is missed is a result, not a failure."""
    options = _parser().parse_args(arguments)
    if why_not() is not None:
        print(f"backend 'cpu' cannot run here: {why_not()}", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    limit_threads(options.threads)
    settings = Settings(options.rounds, options.block, options.threads, options.quick)
    result: dict[str, Any] = {**_conditions(options), "sections": {}}  # before the minutes in which the tree may change
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if options.quick:
        print("--quick: sizes are tiny, so times, shares and bars mean nothing.\n")
    names = [*options.sections, *(["paper"] if options.paper and "paper" not in options.sections else [])]
    for name in names:
        section = SECTIONS[name]
        started = time.perf_counter()
        # The inner rows catch what one case does; this, what breaks a section as a whole.
        found = attempt({}, lambda section=section: {"rows": section.run(settings)})
        result["sections"][name] = found | {"seconds": time.perf_counter() - started}
        text = f"FAILED  {found['failure']}" if "failure" in found else section.table(found["rows"])
        print(f"{name}: {(section.__doc__ or name).strip().splitlines()[0]}\n{text}\n", flush=True)
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    failures = list(_failures(result["sections"]))
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return int(bool(failures))


def _failures(found: Any) -> Iterator[str]:
    """What failed, wherever in the result it stands. Candidates that lost by failing (``failures``) do not count."""
    if isinstance(found, dict):
        if "failure" in found:
            yield found["failure"]
        for value in found.values():
            yield from _failures(value)
    elif isinstance(found, list):
        for value in found:
            yield from _failures(value)


def _conditions(options: argparse.Namespace) -> dict[str, Any]:
    command = f"python -m bench.cpu --rounds {options.rounds} --block {options.block} --threads {options.threads}"
    command += "".join(f" --{flag}" for flag in ("quick", "paper") if getattr(options, flag))
    if tuple(options.sections) != BY_DEFAULT:
        command += " --sections " + " ".join(options.sections)
    return {
        "command": command,
        "backend": "cpu",
        "instruction_set": chosen_instruction_set(),
        "rounds": options.rounds,
        "steps_per_round": options.block,
        "jax": _version("jax"),
        **environment(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.cpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block", type=int, default=20, help="steps per round; 5 times as many among our own steps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(BY_DEFAULT), metavar="SECTION",
                        help="of " + ", ".join(SECTIONS))  # fmt: skip
    parser.add_argument("--paper", action="store_true", help="also the paper's whole run, which takes long")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, no compilers: does the suite itself work")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "cpu.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
