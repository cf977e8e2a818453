"""`bench.discovery` works at tiny sizes, and its problems are what they say: python -m pytest bench -k smoke."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import psinn_fast as pf
from psinn_fast.symmetries.symmetry_check import find_symmetries
from psinn_fast.training.metrics import coarse_relative_l2

from . import discovery, fronts, layouts, section, weightings, widths
from .discovery_problems import BY_NAME, CASES, Case

# No closed solution is known of this one; that nothing is found in it is tested beside `discover`.
SOLVED = [case for case in CASES if case.name != "channel-off-axis"]
OWN = [case for case in SOLVED if case.kind != "paper"]


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("case", SOLVED, ids=lambda case: case.name)
def test_smoke_the_exact_solution_has_the_group_and_no_more(case: Case) -> None:
    problem = case.make()
    assert problem.exact is not None
    # What is broken is broken clearly: at 30 % there is nothing more than at 1e-6.
    for tolerance in (1e-6, 0.3):
        found = find_symmetries(problem.exact, problem.domain, tolerance=tolerance)
        assert {match.symmetry for match in found} == case.group


@pytest.mark.trajectory
@pytest.mark.parametrize("case", OWN, ids=lambda case: case.name)
def test_smoke_the_exact_solution_solves_the_problem(case: Case) -> None:
    problem = case.make()
    sizes = (len(problem.pde.coords), 10, 10, len(problem.pde.fields))
    net = pf.MLP(sizes, seed=0, dtype=torch.float64)
    pf.fit(problem, net, pf.GaussNewton(steps=60))
    assert coarse_relative_l2(problem)(net) < 0.02


def test_smoke_there_are_new_problems_with_three_inputs_and_two_outputs() -> None:
    new = [case.make().pde for case in CASES if case.kind == "new"]
    assert len(new) == 3
    assert {len(pde.coords) for pde in new} == {2, 3}
    assert {len(pde.fields) for pde in new} == {1, 2}


def test_smoke_a_missed_and_a_false_symmetry_show() -> None:
    case = BY_NAME["laplace"]
    even, odd = case.generators
    swap = pf.Symmetry(pf.SignedPermutation((1, 0), (1, 1)), (1,))
    row = discovery.compared(case, [even, swap])
    assert row["recovered"] == ["y -> -y (even)"]
    assert row["missed"] == ["x -> -x (odd)", "x -> -x, y -> -y (odd)"]
    assert row["false"] == ["x -> y, y -> x (even)"]
    assert not row["right"]
    run = {"seed": 0, "seconds": 1.0, **row}
    right = {"seed": 1, "seconds": 1.0, **discovery.compared(case, case.group)}
    assert not discovery.summary("discover", case, [run, right])["met"]
    assert discovery.summary("discover", case, [right, right])["met"]
    assert not discovery.summary("discover", case, [right, {"seed": 1, "failure": "no"}])["met"]
    assert not discovery.summary("discover", case, [right | {"seconds": 200.0}])["met"]
    # The wrong sign is wrong.
    assert discovery.compared(case, [pf.Symmetry(odd.map, (1,))])["false"] == ["x -> -x (even)"]


@pytest.mark.trajectory
def test_smoke_every_part_runs(tmp_path: Path) -> None:
    out = tmp_path / "nested" / "discovery.json"
    code = discovery.main(["--quick", "--problems", "laplace", "--threads", "1", "--out", str(out)])
    result = json.loads(out.read_text())
    assert [row["part"] for row in result["rows"]] == list(discovery.PARTS)
    assert code == 0, [run.get("failure") for row in result["rows"] for run in row["runs"]]
    problem, *_, accuracy = result["rows"]
    assert problem["right"] == 1
    assert np.isfinite([accuracy["published"], accuracy["discovered"]]).all()


def test_smoke_the_interval_is_that_of_the_medians() -> None:
    sample = [float(n) for n in range(1, 22)]
    low, high = discovery.ratio_interval(sample, sample)
    assert 0.5 < low < 1 < high < 2
    assert np.allclose(discovery.ratio_interval([10 * n for n in sample], sample), [10 * low, 10 * high])
    assert discovery.ratio_interval([3.0] * 5, [2.0] * 5) == [1.5, 1.5]


def test_smoke_a_failure_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("no students today")

    monkeypatch.setattr(discovery, "distil", broken)
    out = tmp_path / "discovery.json"
    arguments = ["--quick", "--problems", "quadratic", "--only", "distil", "problem", "--threads", "1"]
    assert discovery.main([*arguments, "--out", str(out)]) == 1
    problem, distilled = json.loads(out.read_text())["rows"]
    assert problem["failed"] == 0
    assert (distilled["failed"], distilled["met"]) == (1, False)
    assert "no students today" in distilled["runs"][0]["failure"]


@pytest.mark.usefixtures("unjudged")
@pytest.mark.trajectory
def test_smoke_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section, "ProcessPoolExecutor", lambda jobs, mp_context: ThreadPoolExecutor(jobs))
    out = tmp_path / "layouts.json"
    options = ["--problems", "laplace", "sound", "--seeds", "1", "--iterations", "2", "--jobs", "1", "--out"]
    assert layouts.main([*options, str(out)]) == 0
    found = json.loads(out.read_text())
    assert (found["command"], found["threads"]) == ("python -m bench.layouts", 1)
    rows = found["rows"]
    assert [(row["problem"], row["layout"]) for row in rows] == [
        (problem, layout)
        for problem in ("laplace", "sound")
        for layout in layouts.LAYOUTS
        if (problem, layout) != ("sound", "published")
    ]
    assert all(0 < row["median"] < 2 and [run["iterations"] for run in row["runs"]] == [2] for row in rows)
    assert all(abs(run["parameters"] - 500) < 100 for row in rows for run in row["runs"])


@pytest.mark.usefixtures("unjudged")
def test_smoke_widths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section, "ProcessPoolExecutor", lambda jobs, mp_context: ThreadPoolExecutor(jobs))
    out = tmp_path / "widths.json"
    options = ["--problems", "annulus", "--widths", "dense", "default", "2", "--seeds", "1", "--seconds", "0.05"]
    assert widths.main([*options, "--jobs", "1", "--out", str(out)]) == 0
    saved = json.loads(out.read_text())
    assert (saved["command"], saved["threads"]) == ("python -m bench.widths", 1)
    rows = saved["rows"]
    assert [row["width"] for row in rows] == ["dense", "default", 2]
    assert [row["runs"][0]["layers"] for row in rows] == [[2, 32, 32, 1], [2, 48, 48, 1], [2, 16, 16, 1]]
    assert all(run["stopped_by"] == "seconds" and 0 < run["relative_l2"] < 10 for row in rows for run in row["runs"])


@pytest.mark.trajectory
def test_smoke_weightings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section, "ProcessPoolExecutor", lambda jobs, mp_context: ThreadPoolExecutor(jobs))
    monkeypatch.setattr(weightings, "_ROUNDS", 1)
    narrow = replace(weightings.CASES["helmholtz"], network=lambda: pf.Network(layers=[2, 10, 1]))
    monkeypatch.setitem(weightings.CASES, "helmholtz", narrow)
    options = ["--problems", "helmholtz", "--seeds", "1", "--steps", "80", "--out", str(tmp_path)]
    assert weightings.main(options) == 0
    saved = json.loads((tmp_path / "weightings_helmholtz.json").read_text())
    assert [row["weighting"] for row in saved["rows"]] == ["fixed", "gradient-norms"] * 2
    assert all(row["update"] > 0 for row in saved["cost"])


def test_smoke_fronts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(section, "ProcessPoolExecutor", lambda jobs, mp_context: ThreadPoolExecutor(jobs))
    out = tmp_path / "fronts.json"
    options = ["--problems", "bistable", "--seeds", "1", "--seconds", "0.1", "--threads", "1", "--out", str(out)]
    assert fronts.main(options) == 0
    saved = json.loads(out.read_text())
    assert (saved["command"], saved["threads"]) == ("python -m bench.fronts", 1)
    ((found,),) = [row["runs"] for row in saved["rows"]]
    assert found["ended"] == "time limit"
    assert 0 < found["relative_l2"] < 10
