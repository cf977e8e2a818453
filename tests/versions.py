"""The library under other versions of Python, torch and numpy: ``python tests/versions.py`` (docs/testing.md).

For each row of `ROWS` an environment of its own, built by that Python from the sources: `psinn-fast doctor --self-test`
and tests of the contract of backends. A Python that is not on this machine is a row that says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parents[1]
# What the tests need besides the library.
TOOLS = ("pytest", "pytest-xdist", "pytest-benchmark", "hypothesis")
TESTS = ("tests/contract/test_operations.py", "tests/contract/test_train_against_reference.py")


class Row(NamedTuple):
    python: str
    torch: str
    numpy: str


ROWS = (
    Row("3.10", "2.9.1", "1.26.4"),
    Row("3.11", "2.13.0", "2.4"),
    Row("3.12", "2.11.0", "2.1"),
    Row("3.13", "2.14.1", "2.4"),
    Row("3.14", "2.14.1", "2.4"),
)


class Failed(Exception):
    """A step of a row failed; the message is its last line."""


def interpreter(version: str) -> str | None:
    """The first that runs, on the path or where pyenv keeps it, whose names of other versions run nothing."""
    kept = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python"))
    for found in (shutil.which(f"python{version}"), *map(str, reversed(kept))):
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Failed(f"{' '.join(map(str, command[-4:]))}: {last[:200]}")
    return done.stdout


def _steps(row: Row, python: str, folder: Path) -> Iterator[str]:
    """Carries out a row; what each step found."""
    shutil.rmtree(folder, ignore_errors=True)
    _run(python, "-m", "venv", folder)
    own = folder / "bin" / "python"
    pip = (own, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    try:  # many times smaller; where the package index has no build of that label its default one serves
        _run(*pip, f"torch=={row.torch}+cpu", f"numpy~={row.numpy}")
    except Failed:
        _run(*pip, f"torch=={row.torch}", f"numpy~={row.numpy}")
    yield "installed torch"
    started = time.perf_counter()
    _run(*pip, TOP, *TOOLS)
    yield f"built and installed in {time.perf_counter() - started:.0f} s"
    _run(folder / "bin" / "psinn-fast", "doctor", "--self-test", cwd=folder)
    yield "self-test right"
    # Not from here: the sources must not be importable beside what was installed.
    tests = folder / "tests-of-it"
    shutil.copytree(TOP / "tests", tests / "tests")
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(TOP / name, tests)
    said = _run(own, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *TESTS, cwd=tests)
    yield said.strip().splitlines()[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python tests/versions.py", description=__doc__)
    parser.add_argument("--pythons", nargs="+", metavar="3.x", help="rows of these alone")
    parser.add_argument("--keep", action="store_true", help="the environments, which take gigabytes")
    options = parser.parse_args(arguments)
    failed = False
    for row in ROWS:
        if options.pythons and row.python not in options.pythons:
            continue
        name = f"Python {row.python}, torch {row.torch}, numpy {row.numpy}"
        python = interpreter(row.python)
        if python is None:
            print(f"{name}: not tried, there is no Python {row.python} on this machine", flush=True)
            continue
        folder = TOP / "build" / "versions" / row.python
        try:
            print(f"{name}: " + "; ".join(_steps(row, python, folder)), flush=True)
        except Failed as why:
            failed = True
            print(f"{name}: FAILED {why}", flush=True)
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
