"""Tables of pages are of the suite's rows where it has all of them, else of an earlier script's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .suite import results, step_tables
from .suite.case import Case
from .suite.registry import cases

EARLIER = Path(__file__).parent / "results"


def row(case: Case, contestant: str, number: int) -> dict[str, Any]:
    times = {"seconds": {"median": 1e-3 * number}, "over_ours": {"median": 1.0 * number}}
    return {**case.to_json(), "case": case.name, "contestant": contestant, **times}


@pytest.mark.parametrize(
    ("group", "table", "earlier"),
    [
        ("flow", step_tables.flow, "flow_step.json"),
        ("integrations", step_tables.integrations, "integrations.json"),
    ],
)
def test_tables_are_of_whole_groups(group: str, table: Callable[..., str], earlier: str, tmp_path: Path) -> None:
    chosen = [case for case in cases("cpu") if case.group == group]
    rows = [row(case, name, 11 + place) for case in chosen for place, name in enumerate(case.contestants)]
    about = {"cpu": "a processor", "threads": 1, "commit": "0123456789abcdef", "date": "2030-01-02T03"}
    before, suite = tmp_path / earlier, tmp_path / "cpu.json"
    if (EARLIER / earlier).exists():
        before.write_bytes((EARLIER / earlier).read_bytes())
        assert "by a script of before" in table(suite, before)
        results.save(suite, about, [*rows[1:], {**rows[0], "failure": "killed"}])
        assert "by a script of before" in table(suite, before)
    results.save(suite, about, rows[1:])
    with pytest.raises(results.Unreadable, match=f"not all rows of {group}: python -m bench run cpu --only {group}"):
        table(suite)
    results.save(suite, about, rows)
    found = table(suite)
    assert found == table(suite, before)
    assert f"`python -m bench run cpu --only {group}`; a processor, 1 thread(s), commit 0123456789ab" in found
    assert "| PINA: Burgers, 20-20-20-20-20-20-20-20 | 13.0 | 11.0 | 12.0 | 13.0 |" in found or group == "flow"
    assert "| PINN 2-40-40-40-3 | 12 ms | 11 ms |" in found or group == "integrations"
