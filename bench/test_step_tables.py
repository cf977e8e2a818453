"""Tables of pages are of the suite's rows where it has all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .suite import results, step_tables
from .suite.case import Case
from .suite.registry import cases

UNITS = {"seconds": 1e-3, "over_ours": 1.0}


def row(case: Case, contestant: str, number: int) -> dict[str, Any]:
    times = {key: dict.fromkeys(("p10", "median", "p90"), unit * number) for key, unit in UNITS.items()}
    return {**case.to_json(), "case": case.name, "contestant": contestant, **times}


@pytest.mark.parametrize(("group", "table"), [("flow", step_tables.flow), ("integrations", step_tables.integrations)])
def test_tables_are_of_whole_groups(group: str, table: Callable[[Path], str], tmp_path: Path) -> None:
    chosen = [case for case in cases("cpu") if case.group == group]
    rows = [row(case, name, 11 + place) for case in chosen for place, name in enumerate(case.contestants)]
    about: dict[str, Any] = {
        "cpu": "a processor",
        "threads": 1,
        "commit": "0123456789abcdef",
        "date": "2030-01-02T03",
        "instruction_set": "avx2",
    }
    about |= {"suite": "cpu", "command": "python -m bench run cpu"}
    suite = tmp_path / "cpu.json"
    results.save(suite, about, [*rows[1:], {**rows[0], "failure": "killed"}])
    with pytest.raises(results.Unreadable):
        table(suite)
    results.save(suite, about, rows[1:])
    with pytest.raises(results.Unreadable, match=f"not all rows of {group}: python -m bench run cpu --only {group}"):
        table(suite)
    results.save(suite, about, rows)
    found = table(suite)
    assert "a processor, 1 thread(s), avx2 (`python -m bench run cpu`, commit 0123456789abcdef, 2030-01-02)" in found
    assert "| PINA: Burgers, 20-20-20-20-20-20-20-20 | 13.0 | 11.0 | 12.0 | 13.0 |" in found or group == "flow"
    assert "| PINN 2-40-40-40-3 | 12 ms | 11 ms |" in found or group == "integrations"
