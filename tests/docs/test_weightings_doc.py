"""What docs/weightings.md says: its code runs, and it names all weightings with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import psinn_fast as pf
from psinn_fast.training.weighting import WEIGHTINGS

TEXT = (Path(__file__).parents[2] / "docs" / "weightings.md").read_text(encoding="utf-8")


def test_it_names_every_weighting_and_how_often_it_is_updated() -> None:
    rows = {name: row for row in TEXT.splitlines() for name in re.findall(r'^\| `"([a-z-]+)"`', row)}
    assert list(rows) == list(WEIGHTINGS)
    for name, row in rows.items():
        every = WEIGHTINGS[name]().every
        assert row.split("|")[4].strip() == ("" if every is None else f"{every:,}")


@pytest.mark.trajectory
def test_the_weighting_of_ones_own_trains() -> None:
    names: dict[str, object] = {"__name__": __name__}
    given, own = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(given, names)
    solution = names["solution"]
    assert isinstance(solution, pf.Solution)
    assert solution.setup.weighting == "gradient-norms"
    exec(own, names)
    result = names["result"]
    assert isinstance(result, pf.FitResult)
    weights = result.history["weight_residual"]
    assert len(set(weights)) > 1
