"""What is drawn of solutions that depend on many coordinates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from psinn_fast import PDE, Box, Disk, Domain, Problem, Residual
from psinn_fast.kernels.errors import InputError
from psinn_fast.pictures.figures import save_figure
from psinn_fast.pictures.slices import fields_of, slices_of
from psinn_fast.pictures.solution import figure_of, views_of

SQUARE = Box(x=(-1, 1), y=(0, 1))
CASES: dict[str, tuple[PDE, Domain, tuple[int, ...], list[dict[int, float]]]] = {
    "line": (PDE("x", "u", lambda u: u.xx), Box(x=(0, 1)), (0,), [{}]),
    "plane": (PDE("x y", "u", lambda u: u.lap), SQUARE, (0, 1), [{}]),
    "time": (PDE("t x", "u", lambda u: u.t - u.xx), Box(t=(0, 2), x=(0, 1)), (0, 1), [{}]),
    "plane in time": (
        PDE("t x y", "u", lambda u: u.t - u.lap), Box(t=(0, 2)) * SQUARE, (1, 2), [{0: 0}, {0: 1}, {0: 2}]
    ),
    "time last": (PDE("x y t", "u", lambda u: u.t - u.lap), SQUARE * Box(t=(0, 2)), (0, 1), [{2: 0}, {2: 1}, {2: 2}]),
    "space": (
        PDE("x y z", "u", lambda u: u.lap), SQUARE * Box(z=(0, 4)), (0, 1), [{2: 1}, {2: 2}, {2: 3}]
    ),
    "disk in time": (
        PDE("t x y", "u", lambda u: u.t - u.lap), Box(t=(0, 2)) * Disk((1, 0), 1), (1, 2), [{0: 0}, {0: 1}, {0: 2}]
    ),
    "parameter": (
        PDE("t x nu", "u", lambda u, nu: u.t - nu * u.xx, parameters="nu"),
        Box(t=(0, 2), x=(0, 1), nu=(1, 3)), (0, 1), [{2: 1}, {2: 2}, {2: 3}],
    ),
    "space in time": (
        PDE("t x y z", "u", lambda u: u.t - u.lap),
        Box(t=(0, 2)) * SQUARE * Box(z=(0, 4)), (1, 2), [{0: 0}, {0: 1}, {0: 2}],
    ),
}  # fmt: skip


def problem_of(pde: PDE, domain: Domain, exact: Callable[[Any], Any] | None = None) -> Problem:
    return Problem("p", pde, domain, [Residual(domain.random(20, 0))], exact=exact)


@pytest.mark.parametrize("name", CASES)
def test_space_is_drawn_at_several_times(name: str) -> None:
    pde, domain, axes, places = CASES[name]
    slices = slices_of(problem_of(pde, domain))
    assert slices.axes == axes
    assert list(slices.places) == places


PLANE = problem_of(*CASES["plane in time"][:2])


def test_places_are_chosen() -> None:
    assert slices_of(PLANE, {"t": 0.3}).places == ({0: 0.3},)
    assert slices_of(PLANE, {"t": [0.1, 0.3], "x": 0}).axes == (2,)
    assert slices_of(PLANE, {"x": 0}).axes == (0, 2)
    assert slices_of(PLANE, {"t": np.array([0.1, 0.3])}).places == ({0: 0.1}, {0: 0.3})
    assert fields_of(problem_of(PDE("x y", "u v", lambda u, v: [u.lap, v.lap]), SQUARE), "v") == (1,)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (0.5, "at: expected values of coordinates"),
        ({"s": 0.5}, "at: 's' is none of the coordinates"),
        ({"t": 3}, "expected values from 0 to 2"),
        ({"t": []}, "expected one number or a sequence"),
        ({"t": "now"}, "at\\['t'\\]"),
        ({"t": [0, 1], "x": [0, 1]}, "several of \\['t', 'x'\\]"),
        ({"t": 0, "x": 0, "y": 0}, "leave out the one to draw along"),
    ],
)
def test_other_places_are_refused(at: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        slices_of(PLANE, at)


@pytest.mark.parametrize("fields", ["w", [], 3, "u w"])
def test_other_fields_are_refused(fields: Any) -> None:
    with pytest.raises(InputError, match="fields: expected some of"):
        fields_of(PLANE, fields)


def test_nothing_is_in_a_slice() -> None:
    class Upper(Domain):
        """The upper half of a cube: at the lowest of the three places there is nothing."""

        def __init__(self) -> None:
            super().__init__(x=(0, 1), y=(0, 1), z=(0, 1))

        def contains(self, points: Any) -> Any:
            return points[:, 2] >= 0.4

    upper = Problem("p", PDE("x y z", "u", lambda u: u.lap), Upper(), [Residual(Upper().random(20, 0))])
    assert [view.canvas.place for view in views_of(upper, first)] == ["z = 0.5", "z = 0.75"]
    with pytest.raises(InputError, match=r"no point of the domain at z = 0\.1"):
        views_of(upper, first, {"z": 0.1})


def first(points: Any) -> Any:
    return points[:, :1]


def images(figure: Figure) -> list[Any]:
    return [np.asarray(axis.images[0].get_array()) for axis in figure.axes if axis.images]


@pytest.mark.pictures
@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_slices(name: str, tmp_path: Path) -> None:
    """u = the sum of the coordinates, the exact one is 1 less."""
    pde, domain, axes, places = CASES[name]
    problem = problem_of(pde, domain, lambda points: points.sum(1) - 1)
    figure = figure_of(problem, lambda points: points.sum(1)[:, None], "a title of $")
    if name in ("line", "time", "disk in time"):
        save_figure(figure, tmp_path / "u.png")
    if len(axes) == 1:
        assert [len(axis.lines) for axis in figure.axes] == [2, 1]
        return
    drawn = images(figure)
    assert len(drawn) == 3 * len(places)
    low, high, centre = domain.low, domain.high, domain.centre
    for row, place in enumerate(places):
        at = {i: place.get(i, centre[i]) for i in range(len(low)) if i not in axes}
        if domain.is_box:
            assert drawn[3 * row][0, 0] == pytest.approx(sum(low[list(axes)]) + sum(at.values()))
            assert drawn[3 * row][-1, -1] == pytest.approx(sum(high[list(axes)]) + sum(at.values()))
        else:
            assert np.isnan(drawn[3 * row][0, 0])
        text = ", ".join(f"{pde.coords[i]} = {value:g}" for i, value in at.items())
        assert figure.axes[3 * row].get_title() == (f"u: network at {text}" if at else "u: network")
        np.testing.assert_allclose(np.nanmax(drawn[3 * row] - drawn[3 * row + 1]), 1.0)
        np.testing.assert_allclose(drawn[3 * row + 2][np.isfinite(drawn[3 * row + 2])], 1.0)
    profiles = [axis for axis in figure.axes if axis.get_title() == "u: profiles"]
    assert len(profiles) == (name == "time")
    for axis in profiles:
        values = [float(np.asarray(line.get_ydata())[0]) for line in axis.lines]
        assert values == pytest.approx([0, -1, 1, 0, 2, 1])


def test_an_exact_solution_that_says_nothing_is_no_warning() -> None:
    problem = problem_of(*CASES["plane in time"][:2], lambda points: np.where(points[:, 0] > 0.5, np.nan, 0.0))
    figure_of(problem, first)
