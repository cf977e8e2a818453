"""Sources that lie between the points: found however narrow they are and however they are written, and nothing else."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from sympy import Abs, Heaviside, Max, Piecewise, cosh, exp, log, pi, sech, sin, sqrt, tanh

from psinn_fast import PDE, Box, Dirichlet, Disk, GaussNewton, Network, Problem, Residual, solve
from psinn_fast.problem.checks.unseen_sources import unseen_sources

LINE, PLATE, ROOM = Box(t=(0, 20)), Box(x=(0, 1), y=(0, 1)), Box(x=(0, 1), y=(0, 1), z=(0, 1))
x, y, z, t = sp.symbols("x y z t", real=True)
R2, R3 = (x - 0.4) ** 2 + (y - 0.55) ** 2, (x - 0.4) ** 2 + (y - 0.55) ** 2 + (z - 0.45) ** 2
RING = sqrt((x - 0.5) ** 2 + (y - 0.5) ** 2) - 0.3
SOFT = 1e-9


def problem_of(source: sp.Expr, *others: Residual, points: object = None, factor: str = "1") -> Problem:
    """u_xx + ... = source; ``factor``: of the source, an expression of u."""
    if source.has(z):
        box, given, equation = ROOM, ROOM.random(4000, 0), lambda u: u.lap
    elif source.has(t):
        box, given, equation = LINE, LINE.grid(400), lambda u: u.tt + u
    else:
        box, given, equation = PLATE, PLATE.grid(41), lambda u: u.lap
    pde = PDE(box.coords, "u", lambda u: equation(u) + source * (u if factor == "u" else 1))
    first = np.array([box.low])
    conditions = [Residual(given if points is None else points), *others, Dirichlet(first, u=1.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Problem("source", pde, box, conditions)


def within(a: float, b: float, w: float) -> sp.Expr:
    return Heaviside(x - a) * Heaviside(a + w - x) * Heaviside(y - b) * Heaviside(b + w - y)


# Of a width, and at which it is seen; where it is (one coordinate each, None: anywhere on it).
SHAPES: dict[str, tuple[Callable[[float], sp.Expr], float, dict[str, float]]] = {
    "ball": (lambda w: Piecewise((1 / w**3, w**2 > R3), (0, True)), 0.15, {"x": 0.4, "y": 0.55, "z": 0.45}),
    "disc": (lambda w: Piecewise((1 / w**2, w**2 > R2), (0, True)), 0.1, {"x": 0.4, "y": 0.55}),
    "all but a disc": (lambda w: Piecewise((0, w**2 < R2), (1 / w**2, True)), 0.1, {"x": 0.4, "y": 0.55}),
    "ring": (lambda w: exp(-((RING / w) ** 2)) / w, 0.01, {}),
    "ring by its edges": (lambda w: Piecewise((1 / w, Abs(RING) < w), (0, True)), 0.01, {}),
    "box": (lambda w: Piecewise((1 / w**2, (Abs(x - 0.3) < w) & (Abs(y - 0.7) < w)), (0, True)), 0.1, {"x": 0.3}),
    "box of two factors": (
        lambda w: Piecewise((1 / w, Abs(x - 0.3) < w), (0, True)) * Piecewise((1 / w, Abs(y - 0.7) < w), (0, True)),
        0.1,
        {"x": 0.3, "y": 0.7},
    ),
    "sheet": (lambda w: Piecewise((1 / w, Abs(x - 0.31) < w), (0, True)), 0.05, {"x": 0.31}),
    "inclined sheet": (lambda w: exp(-(((x + 2 * y - 1) / w) ** 2)) / w, 0.05, {}),
    "wire": (
        lambda w: Piecewise((1 / w**2, (((x - 0.3) ** 2 + (y - 0.2) ** 2) < w**2) & (z > 0.2) & (z < 0.8)), (0, True)),
        0.1,
        {"x": 0.3, "y": 0.2},
    ),
    "Heaviside's products": (lambda w: within(0.3, 0.6, w) / w**2, 0.15, {"x": 0.3, "y": 0.6}),
    "Heaviside's differences": (lambda w: (Heaviside(t - 3.3) - Heaviside(t - 3.3 - w)) / w, 1.0, {"t": 3.3}),
    "differences' products": (
        lambda w: (Heaviside(x - 0.3) - Heaviside(x - 0.3 - w)) * (Heaviside(y - 0.6) - Heaviside(y - 0.6 - w)) / w**2,
        0.15,
        {"x": 0.3, "y": 0.6},
    ),
    "Gaussian": (lambda w: exp(-R2 / w**2) / w**2, 0.05, {"x": 0.4, "y": 0.55}),
    "kick": (lambda w: exp(-(((t - 3.337) / w) ** 2)) / w, 0.5, {"t": 3.337}),
    "kick on a sine": (lambda w: sin(t) + exp(-(((t - 3.337) / w) ** 2)) / w, 0.5, {"t": 3.337}),
    "sech^2": (lambda w: sech((x - 0.3) / w) ** 2 * sech((y - 0.6) / w) ** 2 / w**2, 0.1, {"x": 0.3, "y": 0.6}),
    "cosh^-2": (lambda w: cosh((t - 3.337) / w) ** -2 / w, 0.5, {"t": 3.337}),
    "smooth slab": (lambda w: (tanh((t - 3.3) / w) - tanh((t - 3.3) / w - 3)) / w, 0.5, {}),
    "Lorentzian": (lambda w: 1 / (1 + R2 / w**2) ** 2 / w**2, 0.1, {"x": 0.4, "y": 0.55}),
    "cap": (lambda w: Max(0, 1 - R2 / w**2) / w**2, 0.15, {"x": 0.4, "y": 0.55}),
    "base other than e": (lambda w: 2 ** (-R2 / w**2) / w**2, 0.05, {"x": 0.4, "y": 0.55}),
    "at the boundary": (lambda w: exp(-x / w) / w, 0.1, {"x": 0.0}),
    "every period": (lambda w: exp(-((sin(t) / w) ** 2)) / w, 0.1, {}),
    "wells": (
        lambda w: sum(
            s * exp(-((x - a) ** 2 + (y - b) ** 2) / w**2) / w**2 for a, b, s in ((0.1, 0.2, 1), (0.7, 0.3, -1))
        ),
        0.05,
        {},
    ),
}


@pytest.mark.parametrize("width", [1e-4, 1e-6])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_source_between_the_points_is_found(shape: str, width: float) -> None:
    source, _, where = SHAPES[shape]
    (text,) = unseen_sources(problem_of(source(width)))
    assert text.startswith("term 'residual': its points miss the peak of ")
    found = dict(part.split(" = ") for part in text.rpartition(" at ")[2].partition(" %")[0].split(", ")[:-1])
    for name, place in where.items():
        assert float(found[name]) == pytest.approx(place, abs=2 * width)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_source_that_points_see_is_none_of_them(shape: str) -> None:
    source, width, _ = SHAPES[shape]
    assert unseen_sources(problem_of(source(width))) == ()


HARMLESS: dict[str, sp.Expr] = {
    "smooth": sin(pi * x) * exp(-y),
    "smooth in space": exp(-R3 / 0.04),
    "steep front": tanh((x - 0.5) / 1e-4),
    "step": Heaviside(x - 0.512),
    "steep front of a source": 10 / (1 + exp((x - 0.5) / 1e-4)),
    "boundary layer": exp(-x / 0.01) / 0.01,
    "kink": Abs(x - 0.3) + Max(0, y - 0.5),
    "fast": sin(300 * x) ** 2,
    "1/r": 1 / sqrt(R2),
    "1/r, softened": 1 / sqrt(R2 + SOFT**2),
    "1/r in space": 1 / sqrt(R3),
    "log r": log(R2),
    "root": 1 / sqrt(x + SOFT),
    "pole": 1 / (x + SOFT),
    "guard": Piecewise((sin(sqrt(R2)) / sqrt(R2), R2 > 1e-12), (1, True)),
    "inclusion of an ordinary value": 1 + Piecewise((5, R2 < 1e-8), (0, True)),
    "kick that does not matter": sin(t) + 1e-3 * exp(-(((t - 3.337) / 1e-6) ** 2)) / 1e-6,
    "tip of a cone": x * Piecewise((1, x**2 + y**2 < 0.5), (0, True)),
    "constant": exp(sp.Integer(2)) + 0 * x,
}


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("factor", ["1", "u"])
def test_no_false_alarm(name: str, factor: str) -> None:
    assert unseen_sources(problem_of(HARMLESS[name], factor=factor)) == ()


def test_softened_coefficients_of_polar_coordinates_are_no_sources() -> None:
    box, r = Box(r=(0, 1)), sp.Symbol("r", real=True)
    pde = PDE("r", "u", lambda u: u.rr + u.r / (r + 1e-8) - u / (r**2 + 1e-12) + r)
    assert Problem("Bessel", pde, box, [Residual(box.random(100, 0)), Dirichlet([[1.0]], u=0.0)]).unseen_sources == ()


WELL = exp(-R2 / 1e-6) / 1e-6


def test_a_coefficient_with_a_peak_is_a_source_too() -> None:
    """A well that takes in proportion to u."""
    (text,) = unseen_sources(problem_of(WELL, factor="u"))
    assert "x = 0.4, y = 0.55" in text


def test_of_an_unknown_strength_too() -> None:
    pde = PDE("x y", "u", lambda u, q: u.lap + q * WELL, unknown={"q": 0.0})
    with pytest.warns(UserWarning, match="points miss the peak"):
        Problem("well", pde, PLATE, [Residual(PLATE.grid(41)), Dirichlet([[0.0, 0.0]], u=1.0)])


def test_points_around_it_see_it() -> None:
    around = Box(x=(0.39, 0.41), y=(0.54, 0.56))
    assert unseen_sources(problem_of(WELL, Residual(around.grid(21)))) == ()
    assert unseen_sources(problem_of(WELL, Residual(np.array(around.grid(21))))) == ()
    elsewhere = Box(x=(0.69, 0.71), y=(0.54, 0.56))
    assert len(unseen_sources(problem_of(WELL, Residual(elsewhere.grid(21))))) == 1


def test_one_well_of_two_that_points_see_hides_none() -> None:
    both = WELL + exp(-((x - 0.8) ** 2 + (y - 0.2) ** 2) / 1e-6) / 1e-6
    around = Box(x=(0.39, 0.41), y=(0.54, 0.56))
    (text,) = unseen_sources(problem_of(both, Residual(around.grid(21))))
    assert "x = 0.8, y = 0.2" in text


def test_a_column_of_a_grid_on_a_line_source_is_one_place() -> None:
    sheet = Piecewise((1e4, Abs(x - 0.3) < 1e-4), (0, True))
    assert len(unseen_sources(problem_of(sheet))) == 1
    assert len(unseen_sources(problem_of(sheet, points=np.array(PLATE.grid(41))))) == 1


def test_arrays_are_asked_where_they_are() -> None:
    grid = np.array(PLATE.grid(41))
    assert len(unseen_sources(problem_of(WELL, points=grid))) == 1
    hole = grid[np.hypot(grid[:, 0] - 0.4, grid[:, 1] - 0.55) > 0.15]
    assert unseen_sources(problem_of(WELL, points=hole)) == ()


def test_in_a_domain_that_is_no_box() -> None:
    disk = Disk((0.0, 0.0), 1.0)
    u0 = Dirichlet(disk.boundary(60), u=0.0)

    def found(place: float) -> tuple[str, ...]:
        source = exp(-((x - place) ** 2 + (y - place) ** 2) / 1e-6) / 1e-6
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = Problem("disk", PDE("x y", "u", lambda u: u.lap + source), disk, [Residual(disk.random(900, 0)), u0])
        return made.unseen_sources

    assert len(found(0.5)) == 1
    assert found(0.9) == ()  # in the corner of its bounds


@pytest.mark.parametrize("width", [1e-3, 1e-6])
def test_on_a_face(width: float) -> None:
    flux = Residual(
        PLATE.face("x", "low", 41), lambda u, y: u.x + exp(-(((y - 0.3334) / width) ** 2)) / width, name="flux"
    )
    with pytest.warns(UserWarning, match=r"term 'flux': its points miss the peak of .* at x = 0, y = 0.3334"):
        Problem("plate", PDE("x y", "u", lambda u: u.lap), PLATE, [Residual(PLATE.grid(21)), flux])


def test_terms_that_do_not_count_do_not() -> None:
    assert unseen_sources(problem_of(x + 0, Residual(PLATE.grid(5), lambda u: u.x + WELL, weight=0.0))) == ()


def test_warned_when_the_problem_is_made_and_in_its_results() -> None:
    """A heater of 2 cm in a room of 1 m: u = 1 at its walls, and without any word at its place."""
    heater = Piecewise((1 / (4 / 3 * math.pi * 0.02**3), R3 < 0.02**2), (0, True))
    pde = PDE("x y z", "u", lambda u: u.lap + heater)
    with pytest.warns(UserWarning, match="points miss the peak") as caught:
        room = Problem("room", pde, ROOM, [Residual(ROOM.random(4000, 0)), Dirichlet(ROOM.boundary(12), u=1.0)])
    assert caught[0].filename == __file__
    solution = solve(room, Network("pinn", layers=[3, 4, 1]), GaussNewton(5))
    assert any("x = 0.4, y = 0.55, z = 0.45, 100 % of its integral" in warning for warning in solution.warnings)
    assert "points miss the peak" in solution.status
