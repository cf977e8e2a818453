"""Tables of pages about steps of single problems: from a file of the suite, where it has them, or an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .posed import IN_DEEPXDE, IN_PINA
from .results import Unreadable, is_good, read

Row = dict[str, Any]
# By network's layers, whether it is tied, and contestant.
Times = Mapping[tuple[tuple[int, ...], bool, str], float]

PINN, UNTIED = (2, 40, 40, 40, 3), (2, 80, 100, 40, 3)
FLOW = {(layers, False, name) for layers in (PINN, UNTIED) for name in ("nested", "ours")} | {
    (UNTIED, True, name) for name in ("ours", "one point per orbit")
}


def rows_of(path: Path, group: str) -> list[Row]:
    """Of the suite's file, whole ones; none where there is no such file."""
    if not path.exists():
        return []
    return [row for row in read(path)["rows"] if row["group"] == group and is_good(row)]


def _file_of_before(path: Path | None, suite: Path, group: str) -> Row:
    """
    Raises:
        Unreadable: there is none.
    """
    if path is None:
        raise Unreadable(f"{suite} has not all rows of {group}: python -m bench run cpu --only {group}")
    return {"name": path.name, **json.loads(path.read_text(encoding="utf-8"))}


def made(about: Mapping[str, Any]) -> str:
    where = f"{about['cpu']}, {about['threads']} thread(s)"
    return f"{where}, commit {about['commit'][:12]}, {about['date'][:10]}"


def flow(suite: Path, earlier: Path | None = None) -> str:
    """A step of Adam on the cylinder's flow: nested autograd, ours, dense and tied."""
    times: Times = {
        (tuple(row["layers"]), row["structure"] is not None, row["contestant"]): row["seconds"]["median"]
        for row in rows_of(suite, "flow")
    }
    if times.keys() >= FLOW:
        about, how = read(suite), "`python -m bench run cpu --only flow`"
    else:
        about = _file_of_before(earlier, suite, "flow")
        times, how = _earlier(about), f"by a script of before ({about['name']})"
    cells = {key: f"{1e3 * seconds:.0f} ms" for key, seconds in times.items()}
    lines = [
        "| network | nested autograd | psinn_fast |",
        "|---|---|---|",
        f"| PINN {_name(PINN)} | {cells[PINN, False, 'nested']} | {cells[PINN, False, 'ours']} |",
        f"| dense, of the Psi-NN's layers, {_name(UNTIED)} | {cells[UNTIED, False, 'nested']} "
        f"| {cells[UNTIED, False, 'ours']} |",
        f"| Psi-NN, published, at all points | | {cells[UNTIED, True, 'ours']} |",
        f"| Psi-NN as `fit` trains it: at one point of each orbit | | {cells[UNTIED, True, 'one point per orbit']} |",
    ]
    return "\n".join([*lines, "", f"Measured {how}; {made(about)}.", ""])


def _name(layers: tuple[int, ...]) -> str:
    return "-".join(map(str, layers))


def _earlier(about: Mapping[str, Any]) -> Times:
    found = {name: 1e-3 * spread["median"] for name, spread in about["milliseconds_per_step"].items()}
    dense: dict[tuple[tuple[int, ...], bool, str], float] = {
        (layers, False, who): found[f"{who} {_name(layers)}"] for layers in (PINN, UNTIED) for who in ("nested", "ours")
    }
    psi = found["psi"], found["psi, one point per orbit"]
    return {**dense, (UNTIED, True, "ours"): psi[0], (UNTIED, True, "one point per orbit"): psi[1]}


def integrations(suite: Path, earlier: Path | None = None) -> str:
    """Steps of DeepXDE and PINA: their network, ours, what no kernel shortens."""
    found: dict[str, dict[str, float]] = {}
    for row in rows_of(suite, "integrations"):
        who = {"ours": "ours", "without kernels": "without"}.get(row["contestant"], "theirs")
        found.setdefault(row["equation"].lower(), {})[who] = 1e3 * row["seconds"]["median"]
        if who == "theirs":
            found[row["equation"].lower()]["faster"] = row["over_ours"]["median"]
    problems = IN_DEEPXDE | IN_PINA
    if all(len(found.get(name.lower(), ())) == len(_INTEGRATION) for name in problems):
        about, how = read(suite), "`python -m bench run cpu --only integrations`"
    else:
        about = _file_of_before(earlier, suite, "integrations")
        found, how = _earlier_integrations(about["rows"]), f"by a script of before ({about['name']})"
    lines = [
        "| problem | their network | ours | of which not in kernels | times faster |",
        "|---|---|---|---|---|",
    ]
    for name, (layers, _) in problems.items():
        cells = (_short(found[name.lower()][who]) for who in _INTEGRATION)
        lines.append(f"| {name}, {_name(layers[1:-1])} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"In milliseconds. Measured {how}; {made(about)}.", ""])


_INTEGRATION = ("theirs", "ours", "without", "faster")


def _earlier_integrations(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    return {
        f"{row['library']}: {row['case']}".lower(): {
            **{
                who: row["milliseconds"][own]["median"]
                for who, own in (("theirs", "theirs"), ("ours", "ours"), ("without", "without_kernels"))
            },
            "faster": row["speedup"]["median"],
        }
        for row in rows
    }


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
