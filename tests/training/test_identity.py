"""A checkpoint belongs to one problem: what makes another one is found and named, what does not is let pass."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from heated_walls import BOX, GIVEN, identity, problem

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    CheckpointError,
    Dirichlet,
    GaussNewton,
    Options,
    Problem,
    Residual,
    fit,
)
from psinn_fast.training.identity import differences


def bumped(array: np.ndarray, by: float) -> np.ndarray:
    changed = array.copy()
    changed.flat[2] += by
    return changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": 0.1 + 1e-15}, "terms.residual.equation: saved .*0.1\\*u_xx.*now .*0.100000000000001\\*u_xx"),
        (
            {"a": np.nextafter(0.1, 1)},
            "terms.residual.equation: another one, beyond what is shown of it, '.*0.1\\*u_xx'",
        ),
        ({"source": lambda t, x: sympy.exp(-t) * sympy.sin(3.000001 * x)}, "terms.residual.targets and sources: other"),
        ({"source": lambda t, x: 1}, "terms.residual.equation: saved"),
        ({"walls": bumped(GIVEN["walls"], 1e-9)}, "terms.walls.targets and sources: other numbers"),
        ({"walls": GIVEN["walls"][[1, 0, 2, 3, 4]]}, "terms.walls.targets and sources: other numbers"),
        ({"points": bumped(GIVEN["points"], 1e-9)}, "terms.residual.points: other numbers"),
        ({"points": GIVEN["points"][::-1]}, "terms.residual.points: other numbers"),
        ({"points": GIVEN["points"][:-1]}, "terms.residual.points: other numbers"),
        ({"points": BOX.grid(5)}, "terms.residual.regions: saved .*None"),
        ({"weight": 2.0}, "terms.residual.weight: saved 1.0, now 2.0"),
        ({"start": 0.6}, "unknown.k: saved 0.5, now 0.6"),
        ({"box": Box(t=(0, 2), x=(-1, 1))}, r"domain.t: saved \[0.0, 1.0\], now \[0.0, 2.0\]"),
    ],
)
def test_another_problem_of_the_same_name(changes: dict[str, Any], message: str) -> None:
    found = list(differences(identity(problem()), identity(problem(**changes))))
    assert len(found) >= 1
    assert any(re.search(message, difference) for difference in found), found


def test_functions_that_differ_between_the_points_alone() -> None:
    """Fresh draws would take the new ones, where points stand for a region."""
    edge, inside = BOX.face("x", "low", 5), BOX.grid(5)  # t = 0, 1/4, 1/2, 3/4, 1
    on_points = sympy.Symbol("t")

    def made(face: Any, grid: Any, bump: float) -> dict[str, Any]:
        source = bump * sympy.sin(4 * sympy.pi * on_points)
        pde = PDE("t x", "u", lambda u, t: u.t - u.xx - source.subs(on_points, t))
        walls = Dirichlet(face, u=lambda t, x: t + bump * np.sin(4 * np.pi * t), name="walls")
        return identity(Problem("heat", pde, BOX, [Residual(grid), walls]))

    for bump in (1e-9, 1.0):
        found = list(differences(made(edge, inside, 0.0), made(edge, inside, bump)))
        assert any("terms.walls.targets and sources elsewhere: other numbers" in text for text in found), found
    assert not list(differences(made(edge, inside, 1.0), made(edge, inside, 1.0)))
    walls = [made(np.array(edge), np.array(inside), bump)["terms"]["walls"] for bump in (0.0, 1.0)]
    assert [term["targets and sources elsewhere"] for term in walls] == [None, None]  # points that are never replaced


def test_functions_that_know_no_other_points_or_are_not_finite_there() -> None:
    known = BOX.face("x", "low", 5)[:, 0]

    def picky(t: Any, x: Any) -> Any:
        if not np.isin(t, known).all():
            raise ValueError("only these")
        return t

    for target in (picky, lambda t, x: np.where(np.isin(t, known), t, np.nan)):
        walls = Dirichlet(BOX.face("x", "low", 5), u=target, name="walls")
        own = [
            identity(Problem("p", PDE("t x", "u", lambda u: u.t), BOX, [Residual(BOX.grid(3)), walls])) for _ in "ab"
        ]
        assert not list(differences(*own))


def test_the_same_problem_whatever_the_rounding() -> None:
    walls = np.sin(GIVEN["walls"])
    rounded = np.nextafter(walls, 2.0)
    assert list(differences(identity(problem(walls=walls)), identity(problem(walls=rounded)))) == []


def test_only_the_dtype_differs_between_dtypes() -> None:
    found = differences(identity(problem()), identity(problem(), MLP([2, 3, 1], dtype=torch.float64)))
    assert list(found) == ["dtype: saved 'torch.float32', now 'torch.float64'"]


def test_structures_without_their_names_and_options() -> None:
    named = MLP(replace(MLP([2, 3, 1]).structure, name="another"))
    assert list(differences(identity(problem()), identity(problem(), named))) == []
    wider = list(differences(identity(problem(), lr=1), identity(problem(), MLP([2, 4, 1]), lr=2)))
    assert wider == [
        "structure.layers[0].rows: saved [3], now [4]",
        "structure.layers[1].cols: saved [3], now [4]",
        "lr: saved 1, now 2",
    ]
    deeper = list(differences(identity(problem()), identity(problem(), MLP([2, 3, 3, 1]))))
    assert [difference.partition(":")[0] for difference in deeper] == ["structure.layers"]


def test_long_texts_are_shown_around_their_first_difference() -> None:
    def given(last: int) -> Problem:
        return problem(source=lambda t, x: sum(sympy.sin(n * x) / 7 for n in (*range(1, 30), last)))

    for last in (31, 47):
        (found,) = (
            text
            for text in differences(identity(given(30)), identity(given(last)))
            if text.startswith("terms.residual.eq")
        )
        saved, now = found.removeprefix("terms.residual.equation: saved ").split(", now ")
        assert len(saved) < 70
        assert "sin(30*x)" in saved
        assert f"sin({last}*x)" in now
    twenty = "x" * 20
    longer = list(differences({"a": "x" * 300 + "y"}, {"a": "x" * 300}))
    assert longer == [f"a: saved ...{twenty}y', now ...{twenty}'"]


def test_other_bounds_are_named_alone() -> None:
    """They are a part of the equation's program, whose text does not show them."""
    known = [identity(replace(problem(), bounds={"k": ends})) for ends in ((0, 1), (0, 2), (0, None))]
    assert list(differences(known[0], known[1])) == ["bounds.k: saved [0.0, 1.0], now [0.0, 2.0]"]
    assert list(differences(known[0], known[2])) == ["bounds.k: saved [0.0, 1.0], now [0.0, None]"]
    assert list(differences(known[0], identity(problem()))) == ["bounds.k: saved [0.0, 1.0], now None"]


def test_the_same_in_another_process() -> None:
    """Python orders sets differently in each, unless told how."""
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    program += "import json, heated_walls\nprint(json.dumps(heated_walls.identity(heated_walls.problem())))"
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert json.loads(printed.stdout) == identity(problem())


@pytest.mark.parametrize("schedule", [Adam(2), GaussNewton(steps=2)], ids=["adam", "gauss-newton"])
@pytest.mark.parametrize(
    ("other", "part"),
    [
        (lambda: problem(walls=bumped(GIVEN["walls"], 0.1)), "terms.walls.targets"),
        (lambda: problem(a=0.2), "terms.residual.equation"),
        (lambda: problem(weight=3.0), "terms.residual.weight"),
    ],
)
def test_a_checkpoint_of_another_problem_is_refused(
    schedule: Adam | GaussNewton, other: Callable[[], Problem], part: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.safetensors"
    fit(problem(), MLP([2, 3, 1]), schedule, checkpoint=path)
    fit(problem(), MLP([2, 3, 1]), schedule, checkpoint=path, options=Options(resume=True))
    with pytest.raises(CheckpointError, match=rf"c\.safetensors: it belongs to another run \({part}"):
        fit(other(), MLP([2, 3, 1]), schedule, checkpoint=path, options=Options(resume=True))
    longer = replace(schedule, steps=3)
    assert fit(problem(), MLP([2, 3, 1]), longer, checkpoint=path, options=Options(resume=True)).steps == 3


@pytest.mark.parametrize("schedule", [Adam(1), GaussNewton(steps=1)])
def test_other_bounds(tmp_path: Path, schedule: Adam | GaussNewton) -> None:
    path = tmp_path / "c.safetensors"
    fit(replace(problem(), bounds={"k": (0, 1)}), MLP([2, 3, 1]), schedule, checkpoint=path)
    for bounds, now in (({"k": (0, 2)}, r"\[0.0, 2.0\]"), ({"k": (0, None)}, r"\[0.0, None\]"), ({}, "None")):
        other = replace(problem(), bounds=bounds)
        with pytest.raises(CheckpointError, match=rf"bounds\.k: saved \[0\.0, 1\.0\], now {now}"):
            fit(other, MLP([2, 3, 1]), schedule, checkpoint=path, options=Options(resume=True))
