"""Tables of pages about steps of single problems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .page_tables import made_by
from .posed import IN_DEEPXDE, IN_PINA
from .results import Unreadable, is_good, read

Row = dict[str, Any]
# By network's layers, whether it is tied, and contestant.
Times = Mapping[tuple[tuple[int, ...], bool, str], float]

PINN, UNTIED = (2, 40, 40, 40, 3), (2, 80, 100, 40, 3)
FLOW = {(layers, False, name) for layers in (PINN, UNTIED) for name in ("nested", "ours")} | {
    (UNTIED, True, name) for name in ("ours", "one point per orbit")
}


def rows_of(results: Row, group: str) -> list[Row]:
    """Those that were measured."""
    return [row for row in results["rows"] if row["group"] == group and is_good(row)]


def _not_all(suite: Path, group: str) -> Unreadable:
    return Unreadable(f"{suite} has not all rows of {group}: python -m bench run cpu --only {group}")


def flow(suite: Path) -> str:
    """A step of Adam on the cylinder's flow: nested autograd, ours, dense and tied."""
    results = read(suite)
    times: Times = {
        (tuple(row["layers"]), row["structure"] is not None, row["contestant"]): row["seconds"]["median"]
        for row in rows_of(results, "flow")
    }
    if not times.keys() >= FLOW:
        raise _not_all(suite, "flow")
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
    return "\n".join([*lines, "", f"{made_by(results)}.", ""])


def _name(layers: tuple[int, ...]) -> str:
    return "-".join(map(str, layers))


def integrations(suite: Path) -> str:
    """Steps of DeepXDE and PINA: their network, ours, what no kernel shortens."""
    results = read(suite)
    found: dict[str, dict[str, float]] = {}
    for row in rows_of(results, "integrations"):
        who = {"ours": "ours", "without kernels": "without"}.get(row["contestant"], "theirs")
        found.setdefault(row["equation"].lower(), {})[who] = 1e3 * row["seconds"]["median"]
        if who == "theirs":
            found[row["equation"].lower()]["faster"] = row["over_ours"]["median"]
    problems = IN_DEEPXDE | IN_PINA
    if not all(len(found.get(name.lower(), ())) == len(_INTEGRATION) for name in problems):
        raise _not_all(suite, "integrations")
    lines = [
        "| problem | their network | ours | of which not in kernels | times faster |",
        "|---|---|---|---|---|",
    ]
    for name, (layers, _) in problems.items():
        cells = (_short(found[name.lower()][who]) for who in _INTEGRATION)
        lines.append(f"| {name}, {_name(layers[1:-1])} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"In milliseconds; {made_by(results)}.", ""])


_INTEGRATION = ("theirs", "ours", "without", "faster")


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
