"""The results as text, for people: a few lines per section, the bars last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .lines import Row

Rows = Mapping[str, Row]
MOST_FAILURES = 10


def table(result: Mapping[str, Any]) -> str:
    parts = []
    for section, rows in result["sections"].items():
        body = _SECTIONS[section](rows)
        if body:
            parts.append(f"{section}\n" + "\n".join(f"  {line}" for line in body))
    return "\n\n".join([*parts, _bars(result["bars"])])


def _bars(bars: list[Row]) -> str:
    lines = ["bars"]
    for bar in bars:
        limit = f"<= {bar['at_most']:g}" if "at_most" in bar else f">= {bar['at_least']:g}"
        found = "not measured" if bar["measured"] is None else f"{bar['measured']:.4g}"
        verdict = {None: "", True: "met", False: "MISSED"}[bar["met"]]
        more = "".join(f"  ({name} {bar[name]})" for name in ("passed", "peer") if bar.get(name))
        lines.append(f"  {bar['name']:54}{limit:>9}{found:>14}  {verdict}{more}")
    return "\n".join(lines)


def _spread(values: Mapping[str, float], digits: int = 1, scale: float = 1.0) -> str:
    median, low, high = (f"{values[name] * scale:.{digits}f}" for name in ("median", "p10", "p90"))
    return f"{median} ({low}-{high})"


def _troubled(name: str, row: Row) -> str | None:
    for kind, word in (("failure", "FAILED"), ("absent", "absent")):
        if kind in row:
            return f"{name:44}{word}  {row[kind]}"
    return None


def _each(form: Callable[[str, Row], str | None]) -> Callable[[Rows], list[str]]:
    """A line for each row that has something to say; how many were left out."""

    def lines(rows: Rows) -> list[str]:
        done = {name: row for name, row in rows.items() if "left_out" not in row}
        texts = [_troubled(name, row) or form(name, row) for name, row in done.items()]
        left = [f"{len(rows) - len(done)} left out: no time left"] if len(done) < len(rows) else []
        return [text for text in texts if text is not None] + left

    return lines


def _tests(rows: Rows) -> list[str]:
    kinds = ("failure", "left_out", "skipped")
    counts = {kind: sum(kind in row for row in rows.values()) for kind in kinds}
    passed = len(rows) - sum(counts.values())
    lines = [
        f"{passed} passed, {counts['failure']} failed, {counts['skipped']} skipped, {counts['left_out']} not reached"
    ]
    failed = [f"FAILED {name}: {row['failure']}" for name, row in rows.items() if "failure" in row]
    return lines + shortened(failed)


def shortened(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_FAILURES
    return lines if more <= 0 else [*lines[:MOST_FAILURES], f"and {more} more"]


def _accuracy(name: str, row: Row) -> str:
    plain = f"  plain float32 {row['error_of_plain_float32']:.1e}" if "error_of_plain_float32" in row else ""
    verdict = "" if "met" not in row else "  met" if row["met"] else f"  MISSED {row['bar']:.1e}"
    return f"{name:44}error {row['error']:.1e}{plain}{verdict}"


def _steps(name: str, row: Row) -> str:
    text = f"{name:58}{_spread(row['microseconds_per_step']):>30} us"
    if "estimated" in row:
        known = row["estimated"]
        text += f"  (estimated for {known['card']}: {known['microseconds']:.1f}, {known['ratio']:.2f} times that)"
    return text + (f"{_spread(row['speedup'], 2):>28} x ours" if "speedup" in row else "")


def _share(name: str, row: Row) -> str:
    text = f"{name:26}{_spread(row['microseconds_per_step']):>28} us"
    text += f"{_spread(row['share_of_peak'], 1, 100):>22} % of the multiply-adds"
    if "share_of_bandwidth" in row:
        text += f"{_spread(row['share_of_bandwidth'], 2, 100):>22} % of the bandwidth"
    return text


def _machine(name: str, row: Row) -> str:
    if name == "environment":
        chip = row.get("chip", {}).get("name", row.get("device"))
        versions = ", ".join(f"{what} {row.get(what)}" for what in ("torch", "triton", "jax", "driver"))
        return f"{chip}, {versions}"
    if name == "multiply-adds":
        return f"multiply-adds, 1e12 per s: {_spread(row['multiply_adds_per_second'], 2, 1e-12)}"
    if name == "copy":
        return f"copy, 1e9 bytes per s: {_spread(row['bytes_per_second'], 0, 1e-9)}"
    measured = {key.replace("_", " "): value for key, value in row.items() if isinstance(value, dict)}
    return ", ".join(f"{key} {_spread(value, 2)}" for key, value in measured.items())


def _problems(name: str, row: Row) -> str:
    error = row.get("relative_l2")
    text = f"{name:30}{row['steps']:>8} steps in {row['seconds']:.2f} s"
    return text + (f", relative L2 {error:.2e}" if isinstance(error, float) else "")


def _counters(name: str, row: Row) -> str:
    """Of the larger launch, behind what a point costs."""
    found = ", ".join(f"{metric} {value:g}" for metric, value in row["launches"][-1].items())
    known = row["emulated"]
    if isinstance(known, dict):
        known = f"emulated: {known['wavefronts']} to {known['most_wavefronts']}"
        known += f", ratio {row['ratio']:.3f}" if "ratio" in row else ""
    kinds = [kind for kind in ("wavefronts", "conflicts") if f"{kind}_per_point" in row]
    point = ", ".join(f"{kind} a point {row[f'{kind}_per_point']:.1f}" for kind in kinds)
    return f"{name}: {point} ({known}); {found}"


_SECTIONS: dict[str, Callable[[Rows], list[str]]] = {
    "first": _each(_accuracy),
    "tests": _tests,
    "sanitizer": _each(lambda name, row: f"{name:44}{row['summary']}"),
    "accuracy": _each(_accuracy),
    "prepare": _each(lambda name, row: None),
    "machine": _each(_machine),
    "tuning": _each(lambda name, row: f"{name:44}{row['chosen']}"),
    "steps": _each(_steps),
    "share": _each(_share),
    "problems": _each(_problems),
    "counters": _each(_counters),
}
