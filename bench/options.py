"""What options on the command line may be. Without torch: the process that starts a run imports this too."""

from __future__ import annotations

import argparse
import math
from collections.abc import Collection, Sequence
from pathlib import Path


def at_least_one(text: str) -> int:
    """An integer >= 1."""
    return _integer(text, 1)


def not_negative(text: str) -> int:
    """An integer >= 0."""
    return _integer(text, 0)


def positive(text: str) -> float:
    """A finite number > 0."""
    return _number(text, 0)


def above_one(text: str) -> float:
    """A finite number > 1."""
    return _number(text, 1)


def result_folder(text: str) -> Path:
    """One that is there or can be made."""
    path = Path(text)
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not text or not there.is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder, got {text!r}" + (f"; {there} is a file" if text else ""))
    return path


def check_cases(parser: argparse.ArgumentParser, given: Sequence[str] | None, known: Collection[str]) -> None:
    """Names that are not ``known`` end the program, as those do that argparse does not know."""
    for name in given or ():
        if name not in known:
            names = ", ".join(map(repr, sorted(known)))
            parser.error(f"argument --cases: invalid choice: {name!r} (choose from {names})")


def _number(text: str, above: int) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not above < found < math.inf:
        raise argparse.ArgumentTypeError(f"expected a finite number > {above}, got {text!r}")
    return found


def _integer(text: str, least: int) -> int:
    try:
        found = int(text)
    except ValueError:
        found = least - 1
    if found < least:
        raise argparse.ArgumentTypeError(f"expected an integer >= {least}, got {text!r}")
    return found
