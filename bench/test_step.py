"""Every case of the quick suite by everyone who needs no other environment, checked and then timed:
``python -m pytest bench --benchmark-only``."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .suite.case import Case
from .suite.contestant import ENTRIES, YARDSTICK
from .suite.here import found, is_installed
from .suite.measure import judge, kind_of, reference_of
from .suite.process import Failed
from .suite.registry import cases

STEPS, ROUNDS = 5, 7


# What libraries warn of is theirs, as it is in processes of their own.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("deepxde_as_before")
@pytest.mark.parametrize(
    ("case", "contestant"),
    [(case, name) for case in cases("quick") for name in case.contestants if is_installed(name)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_step(case: Case, contestant: str, benchmark: BenchmarkFixture) -> None:
    benchmark.group = case.name
    kind = kind_of(case)
    if contestant != YARDSTICK:
        try:
            row = judge(found(contestant, kind), found(*reference_of(kind)))
        except Failed as why:
            row = why.row
        if "absent" in row:
            pytest.skip(row["absent"])
        assert "failure" not in row, row["failure"]
        benchmark.extra_info.update(row)
    entry = ENTRIES[contestant]
    count = max(STEPS, entry.least_steps)
    benchmark.extra_info["steps_per_round"] = count
    benchmark.pedantic(entry.build(case).steps, args=(count,), rounds=ROUNDS, warmup_rounds=1)
