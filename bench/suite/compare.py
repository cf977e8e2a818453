"""Whether a second file of results is slower than a first one.

What counts is how a case's time relates to that of its peers and of the yardstick, measured in the same rounds: their
median is robust against one peer's noise, and against the machine. Across machines it is all that can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from .contestant import ENTRIES
from .results import is_good

TOLERANCE = 1.15
# Processes that want to run beside the suite's own.
BUSY = 1.5

Found = Mapping[str, Any]


def _rows(results: Found) -> dict[tuple[str, str], Found]:
    return {(row["case"], row["contestant"]): row for row in results["rows"] if "over_ours" in row}


@dataclass(frozen=True)
class Change:
    """How many times longer our step takes, in the steps of one who is not of ours; ``is_sure``: the middle 80 % of
    the rounds of both runs have nothing in common."""

    times: float
    is_sure: bool


def changes(before: Found, after: Found) -> dict[str, dict[str, Change]]:
    """By case, and by what of ours but `ours` takes part: the change by each contestant that is not ours."""
    old, new = _rows(before), _rows(after)
    found: dict[str, dict[str, Change]] = {}
    for case, own in new:
        if not ENTRIES[own].is_own or (case, own) not in old:
            continue
        name = case if own == "ours" else f"{case}, {own}"
        for other, peer in new:
            if other == case and not ENTRIES[peer].is_own and (case, peer) in old:
                now, then = (_relation(rows[case, own], rows[case, peer]) for rows in (new, old))
                times = now["median"] / then["median"]
                is_sure = now["p10"] > then["p90"] or now["p90"] < then["p10"]
                found.setdefault(name, {})[peer] = Change(times, is_sure)
    return found


def _relation(own: Found, peer: Found) -> dict[str, float]:
    """A step of ours in those of a peer. Both were divided by `ours` within their rounds: where that is what is asked
    for, the spread is the peer's; of others of ours it is at most both together."""
    mine, other = own["over_ours"], peer["over_ours"]
    return {
        "p10": mine["p10"] / other["p90"],
        "median": mine["median"] / other["median"],
        "p90": mine["p90"] / other["p10"],
    }


def compare(before: Found, after: Found, tolerance: float = TOLERANCE) -> tuple[list[str], bool]:
    """Lines to print, and whether anything of ours is slower by more than ``tolerance``, is gone, or fails now.

    A case counts as slower where the median over its peers says so and at least half of them are sure of it;
    otherwise it is to be measured again.
    """
    lines, is_worse = _warnings(before, after), False
    found = changes(before, after)
    for case, by_peer in found.items():
        slower = median(change.times for change in by_peer.values())
        if 1 / tolerance <= slower <= tolerance:
            continue
        peers = ", ".join(f"{name} {change.times:.2f}" for name, change in by_peer.items())
        if sum(change.is_sure for change in by_peer.values()) < len(by_peer) / 2:
            lines.append(f"measure again, the rounds differ as much: {slower:.2f} times the time: {case} (by {peers})")
        elif slower > tolerance:
            is_worse = True
            lines.append(f"SLOWER {slower:.2f} times: {case} (by {peers})")
        else:
            lines.append(f"faster {1 / slower:.2f} times: {case}")
    worse = _lost(before, after)
    every = [change.times for by_peer in found.values() for change in by_peer.values()]
    if not every:
        return [*lines, *worse, "nothing is in both files"], True
    within = sum(1 / tolerance <= value <= tolerance for value in every)
    lines += worse
    lines.append(
        f"{within} of {len(every)} ratios within {tolerance:g} of each other; median change {median(every):.3f}"
    )
    return lines, is_worse or bool(worse)


def _warnings(before: Found, after: Found) -> list[str]:
    lines = []
    for what in ("cpu", "threads", "instruction_set"):
        if before.get(what) != after.get(what):
            lines.append(f"warning: {what} differs ({before.get(what)!r}, {after.get(what)!r}): ratios to peers only")
    old, new = (_versions(found) for found in (before, after))
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            lines.append(f"warning: {name} was {old[name]}, is {new[name]}")
    for which, found in (("first", before), ("second", after)):
        if (found.get("load") or 0) > BUSY:
            lines.append(f"warning: the machine of the {which} file was busy before (load {found['load']:g})")
    return lines


def _versions(results: Found) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in results["rows"]:
        found |= row.get("versions", {})
    return found


def _lost(before: Found, after: Found) -> list[str]:
    """What was good in the first file, and in the second one fails, or is of ours and not there."""
    now = {(row["case"], row["contestant"]): row for row in after["rows"] if "case" in row}
    lines = []
    for row in before["rows"]:
        if not is_good(row) or "case" not in row:
            continue
        found = now.get((row["case"], row["contestant"]))
        what = f"{row['contestant']} in {row['case']}"
        if found is not None and "failure" in found:
            lines.append(f"FAILS now: {what}: {found['failure']}")
        elif ENTRIES[row["contestant"]].is_own and (found is None or "absent" in found):
            lines.append(f"GONE: {what}" + (f": {found['absent']}" if found is not None else ""))
    return lines
