"""What the paper trains and reports of its problems, and Adam as it trains."""

from __future__ import annotations

import math

import pytest

import psinn_fast as pf
from psinn_fast.pipeline import by_the_paper


@pytest.mark.parametrize(("true", "psi"), [(0.01, 0.01465), (0.04, 0.04084), (0.08, 0.06673)])
def test_viscosities(true: float, psi: float) -> None:
    problem = pf.get_problem("burgers-inverse", {"nu": true / math.pi})
    assert problem.recipe.paper
    found = problem.recipe.paper.coefficients["nu"]
    assert math.pi * found["Psi-NN"] == pytest.approx(psi)
    assert ("PINN-post" in found) == (true != 0.08)


def test_other_viscosities_are_not_the_papers() -> None:
    problem = pf.get_problem("burgers-inverse", {"nu": 0.02 / math.pi})
    assert problem.recipe.paper
    assert problem.recipe.paper.coefficients == {}


def test_adam_as_the_paper_trains() -> None:
    paper = pf.Paper(1e-3, 200, milestones=(50, 150))
    assert by_the_paper(paper) == pf.Adam(200, 1e-3, (50, 150))
    assert by_the_paper(paper, 60) == pf.Adam(60, 1e-3, (50,))
    assert by_the_paper(paper, 50) == pf.Adam(50, 1e-3)
