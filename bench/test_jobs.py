"""Whole jobs of other libraries and of ours work, at two steps."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.jobs.posed import PROBLEMS, Recorder
from bench.suite import jobs

pytestmark = pytest.mark.usefixtures("deepxde_as_before")

TINY = {"points": 20, "edge": 8, "steps": 2, "seconds": 60.0, "threads": 1, "optimiser": "adam"}


@pytest.mark.usefixtures("unjudged")
@pytest.mark.filterwarnings("ignore")  # other libraries', also of versions that they will not have for long
@pytest.mark.parametrize("contestant", ["ours", "deepxde", "pina", "jinns"])
def test_two_steps(contestant: str) -> None:
    row = jobs.job({**TINY, "problem": "burgers", "contestant": contestant})
    if "absent" in row:
        assert "is not installed" in row["absent"]
        return
    assert row["steps"] == 2
    assert 0 < row["error"] < 10
    assert [error for _, error in row["history"]][-1] == row["error"]
    assert row["seconds_to"] == {"1e-3": None, "paper": None}
    assert row["lines"] > 5
    assert "python" in row["versions"]


@pytest.mark.usefixtures("unjudged")
def test_every_job_is_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(jobs, "in_a_process", jobs.job)
    out = tmp_path / "jobs.json"
    sizes = [text for key in ("points", "edge", "steps", "seconds") for text in (f"--{key}", str(TINY[key]))]
    assert jobs.main(["--problems", "laplace", "--contestants", "ours", *sizes, "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(row["group"], row["optimiser"]) for row in rows] == [("jobs", "adam"), ("jobs", "default")]

    ran: list[str] = []

    def failing(request: dict[str, Any]) -> dict[str, Any]:
        ran.append(request["problem"])
        return {"failure": "not run"}

    monkeypatch.setattr(jobs, "in_a_process", failing)
    same = ["--contestants", "ours", *sizes, "--out", str(out), "--resume"]
    assert jobs.main(["--problems", "laplace", *same]) == 0
    assert not ran
    assert jobs.main(["--problems", "laplace", "poisson", *same]) == 1
    assert ran == ["poisson", "poisson"]
    assert jobs.main(["--problems", "laplace", *same, "--threads", "2"]) == 2


def test_a_job_that_takes_too_long_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "GRACE", 0.01)
    row = jobs.in_a_process({**TINY, "seconds": 0.01, "problem": "laplace", "contestant": "ours"})
    assert row["failure"].startswith("not done within")


def test_an_error_has_been_reached_where_it_stays_below() -> None:
    rows = [(1, 1.0, 1e-4), (2, 2.0, 1e-2), (3, 3.0, 9e-4), (4, 4.0, 1e-4)]
    assert jobs.reached(rows, 1e-3) == 3.0
    assert jobs.reached(rows, 1e-5) is None
    assert jobs.reached(rows, None) is None


def test_errors_are_looked_at_every_so_often_and_cost_nothing() -> None:
    posed = PROBLEMS["laplace"]
    record = Recorder(posed, 10, 60.0, every=4)
    exact = [record(step, lambda points: posed.exact(points.astype(np.float64))) for step in range(1, 11)]
    assert exact == 9 * [False] + [True]
    assert [step for step, _, _ in record.rows] == [4, 8, 10]
    assert all(error == 0 for _, _, error in record.rows)


def functions(name: str, x: Any, y: Any) -> Any:
    """Exact solutions; of Burgers' equation one of u_t + u u_x - nu u_xx = 1 + 2 (x + y^2) y - 2 nu, in t and x."""
    pi = np.pi
    modes = ((-1) ** k * torch.sin(k * pi * x) * torch.sin(k * pi * y) for k in range(1, 5))
    return {
        "laplace": lambda: x**3 - 3 * x * y**2,
        "poisson": lambda: sum(modes) / (4 * pi**2),
        "helmholtz": lambda: torch.sin(2 * pi * x) * torch.sin(2 * pi * y),
        "burgers": lambda: x + y**2,
    }[name]()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("library", ["deepxde", "pina"])
def test_exact_solutions_have_no_residual(library: str, name: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed: pip install psinn_fast[{library}]")
    points = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (20, 2)))
    if library == "pina":
        from pina import LabelTensor

        names = list(PROBLEMS[name].coordinates)
        x: Any = LabelTensor(points, names).requires_grad_()
        u: Any = LabelTensor(functions(name, x[names[0]], x[names[1]]).as_subclass(torch.Tensor), ["u"])
    else:
        x = points.requires_grad_()
        u = functions(name, x[:, :1], x[:, 1:])
    equation = importlib.import_module(f"bench.jobs.{library}").EQUATIONS[name]
    residual = equation(x, u).detach().as_subclass(torch.Tensor).flatten().numpy()
    if name == "burgers":
        t, at = points.detach().numpy().T
        residual = residual - (1 + 2 * (t + at**2) * at - 0.02 / np.pi)
    else:
        given = u.detach().as_subclass(torch.Tensor).flatten().numpy()
        np.testing.assert_allclose(PROBLEMS[name].exact(points.detach().numpy()), given, atol=1e-14)
    assert np.abs(residual).max() < 1e-12
