"""Whether a second file of results is slower than a first one.

What counts is how a case's time relates to that of its peers and of the yardstick, measured in the same rounds: their
median is robust against one peer's noise, and against the machine. Across machines it is all that can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from .contestant import ENTRIES
from .results import is_good

TOLERANCE = 1.15

Found = Mapping[str, Any]


def _rows(results: Found) -> dict[tuple[str, str], Found]:
    return {(row["case"], row["contestant"]): row for row in results["rows"] if "over_ours" in row}


def changes(before: Found, after: Found) -> dict[str, dict[str, float]]:
    """By case, and by what of ours but `ours` takes part: how many times longer our step takes, in the steps of each
    contestant that is not ours."""
    old, new = _rows(before), _rows(after)
    found: dict[str, dict[str, float]] = {}
    for case, own in new:
        if not ENTRIES[own].is_own or (case, own) not in old:
            continue
        name = case if own == "ours" else f"{case}, {own}"
        for other, peer in new:
            if other == case and not ENTRIES[peer].is_own and (case, peer) in old:
                now, then = (
                    rows[case, own]["over_ours"]["median"] / rows[case, peer]["over_ours"]["median"]
                    for rows in (new, old)
                )
                found.setdefault(name, {})[peer] = now / then
    return found


def compare(before: Found, after: Found, tolerance: float = TOLERANCE) -> tuple[list[str], bool]:
    """Lines to print, and whether anything is slower by more than ``tolerance``, is gone, or fails now."""
    lines, is_worse = [], False
    for what in ("cpu", "threads", "instruction_set"):
        if before.get(what) != after.get(what):
            lines.append(f"warning: {what} differs ({before.get(what)!r}, {after.get(what)!r}): ratios to peers only")
    found = changes(before, after)
    for case, by_peer in found.items():
        slower = median(by_peer.values())
        if slower > tolerance:
            is_worse = True
            peers = ", ".join(f"{name} {value:.2f}" for name, value in by_peer.items())
            lines.append(f"SLOWER {slower:.2f} times: {case} (by {peers})")
        elif slower < 1 / tolerance:
            lines.append(f"faster {1 / slower:.2f} times: {case}")
    failing = {(row["case"], row["contestant"]): row["failure"] for row in after["rows"] if "failure" in row}
    for row in before["rows"]:
        key = row["case"], row["contestant"]
        if is_good(row) and key in failing:
            is_worse = True
            lines.append(f"FAILS now: {row['contestant']} in {row['case']}: {failing[key]}")
    every = [value for by_peer in found.values() for value in by_peer.values()]
    if not every:
        return [*lines, "nothing is in both files"], True
    within = sum(1 / tolerance <= value <= tolerance for value in every)
    lines.append(
        f"{within} of {len(every)} ratios within {tolerance:g} of each other; median change {median(every):.3f}"
    )
    return lines, is_worse
