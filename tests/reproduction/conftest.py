"""A small problem in the place of Laplace's, and pictures that cost nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from small import small_laplace

import psinn_fast as pf
from psinn_fast.problems import PROBLEMS

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(autouse=True)
def small_paper(monkeypatch: pytest.MonkeyPatch) -> Callable[[], pf.Problem]:
    problem = small_laplace()
    errors = {"PINN": 1.159e-3, "PINN-post": 4.017e-4, "Psi-NN": 7.422e-5}
    recipe = replace(problem.recipe, paper=pf.Paper(1e-3, 20, errors, milestones=(15,)))
    problem = replace(problem, name="laplace", recipe=recipe)
    monkeypatch.setitem(PROBLEMS, "laplace", lambda: problem)

    def pixel(figure: object, path: str | Path) -> None:
        Path(path).write_bytes(PIXEL)

    for name in ("solution", "history", "structure", "relation_matrix", "discovery"):
        monkeypatch.setattr(f"psinn_fast.report.output.{name}_figure", lambda *_, **__: None)
    monkeypatch.setattr("psinn_fast.report.output.save_figure", pixel)
    monkeypatch.setattr("psinn_fast.reproduction.pictures.save_figure", pixel)
    return lambda: problem
