"""What the kernels are to reach on a GPU, beside what was measured: met or not; None where nothing was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .lines import Row

Sections = Mapping[str, Mapping[str, Row]]
MAIN, MOST = 10_201, 1_000_000
# Peers without the host's time between their kernels: the ones to beat.
GRAPHED = ("compiled, reduce-overhead", "compiled, graph", "jax")


def bars(sections: Sections) -> list[Row]:
    return list(_bars(sections))


def _bars(sections: Sections) -> Iterator[Row]:
    graphs = sections.get("first", {}).values()
    right = sum(row.get("met", False) for row in graphs)
    begun = sum("left_out" not in row for row in graphs)
    yield _bar("recorded training runs that are wrong", begun - right if begun else None, at_most=0, passed=right)
    tests = sections.get("tests", {})
    wrong = sum("failure" in row or "left_out" in row for row in tests.values())
    passed = sum(not {"failure", "left_out", "skipped"} & row.keys() for row in tests.values())
    yield _bar("GPU tests that failed or were not reached", wrong if passed else None, at_most=0, passed=passed)
    for tool in ("memcheck", "racecheck"):
        rows = [row for key, row in sections.get("sanitizer", {}).items() if key.startswith(f"{tool}/")]
        is_whole = bool(rows) and all("met" in row for row in rows)
        found = sum(not row["met"] for row in rows) if is_whole else None
        yield _bar(f"compute-sanitizer {tool}: runs with findings", found, at_most=0)
    checked = [row for row in sections.get("accuracy", {}).values() if "met" in row]
    broken = sum("failure" in row for row in sections.get("accuracy", {}).values())
    wrong = sum(not row["met"] for row in checked) + broken
    yield _bar("kernels less accurate than allowed", wrong if checked else None, at_most=0, passed=len(checked) - wrong)

    dense, psi, two = (_ours(sections, network, MAIN) for network in ("dense-32", "psi-32", "two-32"))
    yield _bar("dense-32, us per step", dense, at_most=25)
    yield _bar("psi-32, us per step", psi, at_most=15)
    peers = _speedups(sections)
    graphed = [(value, name) for name, value in peers.items() if name.split("/")[0] in GRAPHED]
    best, name = min(graphed, default=(None, ""))
    yield _bar("dense-32, speed-up over the best graphed peer", best, at_least=3, peer=name)
    yield _bar("dense-32, speed-up over eager nested autograd", _first(peers, "nested"), at_least=150)
    seconds = sections.get("problems", {}).get("train/dense-32", {}).get("seconds")
    yield _bar("dense-32, 80,000 steps, s", seconds, at_most=2.5)

    ratios = {key: row["ratio"] for key, row in sections.get("counters", {}).items() if "ratio" in row}
    worst = max((abs(ratio - 1) for ratio in ratios.values()), default=None)
    yield _bar("passes through shared memory, largest error of the emulator", worst, at_most=0.15, passed=len(ratios))
    factors = [row["estimated"]["ratio"] for row in sections.get("steps", {}).values() if "estimated" in row]
    worst = max((max(factor, 1 / factor) for factor in factors), default=None)
    yield _bar("a step's time, largest factor to the model's estimate", worst, at_most=1.5, passed=len(factors))

    share = sections.get("share", {}).get(f"dense-32@{MOST}", {}).get("share_of_peak", {}).get("median")
    yield _bar("dense-32 at 1e6 points, share of the multiply-adds", share, at_least=0.4)
    dense, psi = (_ours(sections, network, MOST) for network in ("dense-32", "psi-32"))
    two = min((t for t in (_ours(sections, name, MOST) for name in ("two-32", "two-32-signed")) if t), default=None)
    yield _bar("psi-32 at 1e6 points, time over dense-32", psi / dense if psi and dense else None, at_most=0.65)
    yield _bar("two symmetries at 1e6 points, time over dense-32", two / dense if two and dense else None, at_most=0.5)


def _bar(
    name: str, measured: float | None, at_most: float | None = None, at_least: float | None = None, **more: Any
) -> Row:
    bar = {"at_most": at_most} if at_most is not None else {"at_least": at_least}
    met = None
    if measured is not None:
        met = measured <= at_most if at_most is not None else measured >= (at_least or 0)
    return {"name": name, **bar, "measured": measured, "met": met, **more}


def _ours(sections: Sections, network: str, points: int) -> float | None:
    row = sections.get("steps", {}).get(f"{network}@{points}/ours/ieee", {})
    median: float | None = row.get("microseconds_per_step", {}).get("median")
    return median


def _speedups(sections: Sections) -> dict[str, float]:
    """Of the bars' case, by "peer/form"."""
    start = f"dense-32@{MAIN}/"
    return {
        key.removeprefix(start): row["speedup"]["median"]
        for key, row in sections.get("steps", {}).items()
        if key.startswith(start) and "speedup" in row
    }


def _first(values: Mapping[str, float], peer: str) -> float | None:
    return next((value for name, value in values.items() if name.split("/")[0] == peer), None)
