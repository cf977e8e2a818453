"""Everything measured on a GPU, in one run: ``python -m bench.gpu``. See README.md.

This process imports neither torch nor psinn_fast: it starts those that do, watches them, and writes what they found.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.options import positive, result_folder

from .bars import bars
from .checkout import ROOT, link_tree
from .jobs import Job, run_jobs
from .lines import Lines, Row
from .settings import CHECKS, MINUTES, SECTIONS, TIMINGS, Settings
from .table import shortened, table

# Of the second folder those with "triton" in their names: the contract is tested on every backend. Training comes first
# (pytest_rows.py).
TESTS = ("tests/kernels/triton", "tests/contract")
TUNED = "gpu_tuning.json"
# Of the time: the checks and compilations, which run side by side. The timings have the rest, and what these leave.
CHECKS_SHARE, CHECKS_SHARE_ALONE = 0.4, 0.9
MOST_SHARDS = 12
# What is asked before anything is written, in a process of its own: whether kernels are compiled and run here.
USABLE = "from psinn_fast.kernels.triton import machine; print(machine.why_not() or machine.why_not_compiled() or '')"
USABLE_SECONDS = 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 if anything failed. A bar that is missed is a result, not a failure."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.interpret and not options.quick:
        parser.error("argument --interpret: the interpreter is too slow for full sizes; write --quick --interpret")
    # So that the processes started here end too.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _run(parser, options)
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    started = time.time()
    result = Result(options, started)
    with tempfile.TemporaryDirectory(prefix="psinn_fast_gpu_") as name:
        work = Path(name)
        folder = link_tree(work / "tree")
        environment = _environment(folder, work, options)
        if not options.interpret and (reason := why_not(folder, environment)):
            parser.error(
                f"{reason}; add {'' if options.quick else '--quick '}--interpret to run the suite without a GPU"
            )
        options.out.mkdir(parents=True, exist_ok=True)
        if "tuning" in options.sections:
            (options.out / TUNED).unlink(missing_ok=True)  # of another run, perhaps another chip
        ends = started + 60 * options.minutes
        # Results without the machine they are from are none.
        timings = [section for section in TIMINGS if section in (*options.sections, "machine")]
        share = 1.0 if options.quick else CHECKS_SHARE if len(timings) > 1 else CHECKS_SHARE_ALONE
        checked = started + 60 * options.minutes * share
        # A quick run, which times nothing, does all in one.
        both = timings if options.quick else []
        stages = [(_checks(options, work, checked, both), checked)]
        stages += [] if both else [(_timings(options, work, timings, ends), ends)]
        try:
            for jobs, until in stages:
                result.jobs += jobs
                run_jobs(jobs, until, folder, environment, result.write)
                result.write()
        finally:
            result.keep_logs(work)
        found, failures = result.found(), list(result.failures())
    text = without_folders(table(found))
    result.path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    print("\n".join(shortened([f"failed: {failure}" for failure in failures])), file=sys.stderr)
    print(f"{text}\n\n{result.path} written after {time.time() - started:.0f} s, {len(failures)} failures")
    return int(bool(failures))


class Result:
    """What is on disk: rewritten whole whenever there is a new row, so that whoever stops the run keeps all of it."""

    def __init__(self, options: argparse.Namespace, started: float) -> None:
        self._options, self._started = options, started
        # Before anything is written: that would count as a change.
        self._source = {
            "commit": options.commit or _git("rev-parse", "HEAD"),
            "dirty": bool(_git("status", "--porcelain")),
        }
        self.jobs: list[Job] = []
        self.path: Path = options.out / "gpu.json"

    def rows(self) -> dict[str, dict[str, Row]]:
        sections: dict[str, dict[str, Row]] = {name: {} for name in self._options.sections}
        for job in self.jobs:
            for key, row in job.rows().items():
                section, _, name = key.partition("/")
                sections.setdefault(section, {})[name] = row
        return sections

    def found(self) -> dict[str, Any]:
        sections = self.rows()
        return {
            "command": self._command(),
            "seconds": round(time.time() - self._started, 1),
            "quick": self._options.quick,
            "interpreted": self._options.interpret,
            "environment": sections.get("machine", {}).get("environment", {}) | self._source,
            "bars": bars(sections),
            "sections": sections,
        }

    def write(self) -> None:
        partial = self.path.with_suffix(".partial")
        partial.write_text(without_folders(json.dumps(self.found(), indent=1)) + "\n", encoding="utf-8")
        os.replace(partial, self.path)

    def failures(self) -> Iterator[str]:
        for section, rows in self.rows().items():
            for name, row in rows.items():
                if "failure" in row:
                    yield f"{section}/{name}: {row['failure']}"

    def keep_logs(self, work: Path) -> None:
        """What the processes printed, tracebacks and all, beside the results; it may name folders of this machine."""
        texts = [
            f"==== {path.stem}\n{path.read_text(errors='replace', encoding='utf-8')}"
            for path in sorted(work.glob("*.log"))
        ]
        (self._options.out / "gpu.log").write_text("\n".join(texts), encoding="utf-8")

    def _command(self) -> str:
        options = self._options
        command = f"python -m bench.gpu --minutes {options.minutes:g}"
        command += "".join(f" --{flag}" for flag in ("quick", "interpret") if getattr(options, flag))
        if set(options.sections) != set(SECTIONS):
            command += " --sections " + " ".join(options.sections)
        return command


def why_not(folder: Path, environment: Mapping[str, str]) -> str:
    """What is in the way of kernels on this machine's GPU; empty where nothing is."""
    command = [sys.executable, "-c", USABLE]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=USABLE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"whether there is a GPU was not known after {USABLE_SECONDS} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return done.stdout.strip()


def without_folders(text: str) -> str:
    """Error messages name files; where those lie on this machine is nobody's business."""
    # One may lie in another; the longest is taken first.
    known = sorted((str(ROOT), sys.prefix, sys.base_prefix, str(Path.home())), key=len, reverse=True)
    folders = [*map(re.escape, known), f"{re.escape(tempfile.gettempdir())}/[^/\\s\"']*"]
    return re.sub("|".join(f"{folder}/" for folder in folders), "", text)


def _git(*arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _checks(options: argparse.Namespace, work: Path, ends: float, behind: Sequence[str]) -> list[Job]:
    """Tests and tasks, each in as many processes as the machine has room for; the sections ``behind`` after them."""
    sections = [*(section for section in CHECKS if section in options.sections), *behind]
    kinds = ("tests" in options.sections) + bool(sections)
    shards = max(1, min(MOST_SHARDS, ((os.cpu_count() or 1) - 2) // max(1, kinds)))
    jobs = []
    if "tests" in options.sections:
        jobs += [_test_job(k, shards, options, work) for k in range(shards)]
    if shards > 1 and "sanitizer" in sections:  # its tools wait more than they work
        sections.remove("sanitizer")
        jobs += [_worker(f"sanitizer{k}", ["sanitizer"], options, work, ends, f"{k}/2") for k in range(2)]
    if sections:
        jobs += [_worker(f"checks{k}", sections, options, work, ends, f"{k}/{shards}") for k in range(shards)]
    # Torch would start as many compiling processes as there are processors, in each of these.
    for job in jobs:
        job.variables = {**job.variables, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    return jobs


def _timings(options: argparse.Namespace, work: Path, sections: Sequence[str], ends: float) -> list[Job]:
    return [_worker("timings", sections, options, work, ends, "0/1")] if sections else []


def _worker(
    name: str, sections: Sequence[str], options: argparse.Namespace, work: Path, ends: float, shard: str
) -> Job:
    settings = Settings(options.quick, options.interpret, options.minutes)
    lines = Lines(work / f"{name}.lines")
    command = [sys.executable, "-m", "bench.gpu.worker", *sections, "--settings", json.dumps(vars(settings))]
    command += ["--lines", str(lines.path), "--ends", str(ends), "--shard", shard]
    return Job(f"{sections[-1]}/process {name}", command, lines, work / f"{name}.log")


def _test_job(k: int, shards: int, options: argparse.Namespace, work: Path) -> Job:
    """Tests have no deadline of their own: they are stopped when the stage ends. Warnings of other versions are none of
    the kernels' business.
    """
    lines = Lines(work / f"tests{k}.lines")
    shard = f"{k}/{shards}/{2 if options.quick else 0}"
    variables = {"PSINN_FAST_GPU_ROWS": str(lines.path), "PSINN_FAST_GPU_SHARD": shard}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "bench.gpu.pytest_rows"]
    command += ["-p", "no:cacheprovider", "-W", "default", "--continue-on-collection-errors"]
    command += ["-k", "triton", *options.tests]
    # Tests that failed are rows, as are files that could not be collected; 5: nothing was left to do.
    return Job(f"tests/process {k}", command, lines, work / f"tests{k}.log", (0, 1, 5), variables)


def _environment(folder: Path, work: Path, options: argparse.Namespace) -> Mapping[str, str]:
    own = {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
        # Compiled here in one process, used in another, and gone afterwards: every run starts from nothing.
        "PSINN_FAST_CACHE": str(work / "generated"),
        "TRITON_CACHE_DIR": str(work / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(work / "inductor"),
        "JAX_COMPILATION_CACHE_DIR": str(work / "jax"),
        # The library chooses by it from the moment that a network is tuned.
        "PSINN_FAST_CONFIGURATIONS": str((options.out / TUNED).resolve()),
        # JAX would take most of the GPU's memory at its first word.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if options.interpret:
        own |= {"TRITON_INTERPRET": "1", "JAX_PLATFORMS": "cpu"}
        own["PYTHONPATH"] += f"{os.pathsep}{folder / 'tests'}"  # where the quicker interpreter is
    else:
        own["PSINN_FAST_GPU_TESTS"] = "1"
    return {**os.environ, **own}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--out", type=result_folder, default=ROOT / "bench" / "results", help="folder of the results")
    parser.add_argument(
        "--minutes", type=positive, default=MINUTES, help="of the whole run; in 4, half of what matters"
    )
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION",
                        help="of " + ", ".join(SECTIONS))  # fmt: skip
    parser.add_argument("--tests", nargs="+", default=TESTS, help="folders, files or names of tests")
    parser.add_argument("--commit", default="", help="what is measured, where the checkout has no git history")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, no compilers: does the suite itself work")
    parser.add_argument("--interpret", action="store_true", help="Triton's interpreter, without a GPU; with --quick")
    return parser
