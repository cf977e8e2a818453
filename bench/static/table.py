"""The rows as text and as markdown."""

from __future__ import annotations

from typing import Any

from bench.section import Row

from .cases import CASES

CLASSES = ("fma", "fma64", "mma", "mma64", "mufu", "shared", "global", "local", "exchange", "compare", "integer")
RESOURCES = ("issue", "shared", "fma", "fma64", "mma", "mma64", "mufu")
COSTS = ("programs per processor", "compile, s", "commit")
SHORT = {case.name: (case.dense, case.bar) for case in CASES if case.dense and case.kind == "ieee"}


def compare(rows: list[Row]) -> None:
    """Adds to each tied case its cycles per point, in what binds it, over those of the dense one on the same chip."""
    done = [row for row in rows if "failure" not in row]
    for row in done:
        dense, bar = SHORT.get(row["case"], ("", 0.0))
        for other in done:
            same = all(other[name] == row[name] for name in ("chip", "problem", "precision"))
            if same and other["case"] == dense:
                ratio = bound(row) / bound(other)
                row["over_dense"] = {"ratio": round(ratio, 3)}
                if row["precision"] == "ieee":
                    row["over_dense"] |= {"bar": bar, "result": "ok" if ratio <= bar else "MISSES"}


def bound(row: Row) -> float:
    """Cycles per point of the resource that binds."""
    return float(row["cycles_per_point"][row["binding"]])


def line(row: Row) -> str:
    start = f"{row['case']:36}{row['precision']:9}{row['chip']:8}"
    if "failure" in row:
        return f"{start}FAILED  {row['failure']}"
    return (
        f"{start}{row['block']:>3} points {row['warps']} warps  {row['registers']:>3} registers"
        f"{row['spill_bytes']:>6} B spilled{row['shared_bytes']:>7} B shared"
        f"{row['instructions_per_point']:>9} instructions a point, {bound(row):.0f} cycles by {row['binding']}"
        f"{row['compile_seconds']:>7} s"
    )


def resources(row: Row) -> str:
    """What each resource of a multiprocessor takes, over what the one takes that binds; estimated times of a step."""
    shares = ", ".join(f"{name} {busy / bound(row):.0%}" for name, busy in row["cycles_per_point"].items())
    times = "; ".join(f"{name} {own['microseconds']:.0f} us" for name, own in row["estimates"].items() if own)
    return f"  time of each resource over that of the one that binds: {shares}\n  estimated, a step: {times}"


def markdown(result: dict[str, Any]) -> str:
    rows = result["rows"]
    done = [row for row in rows if "failure" not in row]
    text = [
        "# Static cost of the Triton kernels",
        "",
        f"`{result['command']}`, {result['seconds']} s; Triton {result['triton']}, torch {result['torch']}, commit "
        f"{result['commit']}{' (with changes)' if result['dirty'] else ''}, {result['date']}.",
        "Rows of another commit say so; kernels of the same source compile to the same.",
        "First kernel of a training step, residual term alone. Compiled without a GPU; nothing ran on one.",
        "Passes through shared memory are **emulated** (bench/emulator).",
        "",
        "## Resources",
        "",
        _line(["case", "precision", "chip", "points", "warps", "registers", "spilled, B", "shared, B", *COSTS]),
        "|" + "---|" * 11,
    ]
    for row in done:
        cells = [row[name] for name in ("case", "precision", "chip", "block", "warps", "registers", "spill_bytes")]
        cells += [row[name] for name in ("shared_bytes", "programs_per_processor", "compile_seconds")]
        cells.append("" if row.get("commit") == result["commit"] else row["commit"][:10])
        text.append(_line(cells))
    text += [
        f"\nFailed: {row['case']}, {row['precision']}, {row['chip']}: {row['failure']}"
        for row in rows
        if "failure" in row
    ]
    text += ["", "## Warp instructions per point, inside the loop over tiles", ""]
    text += [_line(["case", "precision", "chip", "all", *CLASSES, "other"])]
    text += ["|" + "---|" * (len(CLASSES) + 5)]
    for row in done:
        counts, block = row["instructions_per_tile"], row["block"]
        known = [counts.get(name, 0) / block for name in CLASSES]
        numbers = [row["instructions_per_point"], *known, counts["all"] / block - sum(known)]
        text.append(_line([row["case"], row["precision"], row["chip"], *(f"{number:.1f}" for number in numbers)]))
    text += ["", "## Cycles per point, by resource of a multiprocessor", ""]
    text += ["Passes through shared memory: the lower bound, by distinct words per bank, and the upper one.", ""]
    text += [_line(["case", "precision", "chip", *RESOURCES, "shared, at most", "binds", "over dense", "bar"])]
    text += ["|" + "---|" * (len(RESOURCES) + 7)]
    for row in done:
        ratio = row.get("over_dense", {})
        bar = f"{ratio['bar']} {ratio['result']}" if "bar" in ratio else ""
        busy = [row["cycles_per_point"].get(name, "") for name in RESOURCES]
        cells = [row["case"], row["precision"], row["chip"], *busy, row["emulated_wavefronts_per_point"][1]]
        text.append(_line([*cells, row["binding"], ratio.get("ratio", ""), bar]))
    text += ["", "## Estimated microseconds per step", ""]
    text += ["Estimates by the model in bench/static/estimate.py, and the floors of the same model.", ""]
    text += [_line(["case", "precision", "GPU and points", "estimate", "arithmetic", "memory", "launch"])]
    text += ["|" + "---|" * 7]
    for row in done:
        for name, times in row["estimates"].items():
            if times:
                text.append(_line([row["case"], row["precision"], name, *(f"{time:.1f}" for time in times.values())]))
    return "\n".join([*text, ""])


def _line(cells: list[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
