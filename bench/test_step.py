"""Every peer on every case: checked, then timed. Run: python -m pytest bench --benchmark-only."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .cases import CASES, Case
from .check import check
from .peers import PEERS

STEPS = 20


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_step(case: Case, peer: str, benchmark: BenchmarkFixture) -> None:
    step = PEERS[peer](case)
    benchmark.group = case.name
    benchmark.extra_info.update(steps_per_round=STEPS, gradient_error=check(step, case))
    benchmark.pedantic(step.steps, args=(STEPS,), rounds=7, warmup_rounds=1)
