"""How large fields, unknown coefficients and residuals of a problem are."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy
from small import small_laplace

from psinn_fast import PDE, Box, Condition, Data, Dirichlet, Neumann, Periodic, Problem, Residual, get_problem
from psinn_fast.scaling.natural_scales import Scales, float32_error, natural_scales

LINE = Box(x=(0, 1))
SQUARE = Box(x=(0, 1), y=(0, 1))


def at(box: Box, end: str, **target: float) -> Condition:
    return Dirichlet(np.array([[getattr(box, end)[0]]]), name=end, **target)


def one(equation: Callable[..., object], *conditions: Condition, box: Box = LINE, **pde: dict[str, float]) -> Problem:
    return Problem("one", PDE("x", "u", equation, **pde), box, [Residual(box.grid(41)), *conditions])


def ends(low: float, high: float, box: Box = LINE) -> list[Condition]:
    return [at(box, "low", u=low), at(box, "high", u=high)]


@pytest.mark.parametrize("name", ["laplace", "poisson", "burgers", "burgers-inverse"])
def test_built_in_problems_are_of_order_one(name: str) -> None:
    scales = natural_scales(get_problem(name))
    assert scales.start.tolist() == [0]
    assert scales.sizes.tolist() == [1]
    assert (scales.coefficients == 1).all()
    assert all(0.3 < size < 30 for sizes in scales.residuals for size in sizes)


@pytest.mark.parametrize(
    ("problem", "start", "size"),
    [
        # Given values; what is between 1/30 and 30 is of order 1.
        (one(lambda u: u.xx, *ends(0.0, 1e8)), 0, 1e8),
        (one(lambda u: u.xx, *ends(0.0, -2e-8)), 0, 1e-8),
        (one(lambda u: u.xx, *ends(0.05, 20.0)), 0, 1),
        (one(lambda u: u.xx, *ends(-5e3, 5e3)), 0, 1e4),
        (one(lambda u: u.xx, Dirichlet(LINE.grid(3), u=np.array([0.0, 7e3, 1.0]))), 0, 1e4),
        (one(lambda u: u.xx, at(LINE, "low", u=0.0), Data(LINE.grid(5), u=lambda x: 1e-4 * x)), 0, 1e-4),
        # However it is written.
        (one(lambda u: u.xx, Residual(np.array([[0.0]]), lambda u: 5 * (u - 1e6)), at(LINE, "high", u=0.0)), 0, 1e6),
        # A start far from zero, if there is no other size than its distance.
        (one(lambda u: u.xx, *ends(300.0, 310.0)), 305, 1),
        (one(lambda u: u.xx, *ends(1e6, 1e6 + 1)), 1e6 + 0.5, 1),
        (one(lambda u: u.xx, *ends(-3000.0, -2900.0)), -2950, 1e2),
        (one(lambda u: u.xx, *ends(100.0, 400.0)), 0, 1e3),
        (one(lambda u: u.xx, *ends(2.0, 2.0)), 0, 1),
        (one(lambda u: u.xx, *ends(1e5, 1e5)), 0, 1e5),
        # Sources: u'' = f with u = 0 at the ends has |u| up to f / 8.
        (one(lambda u: u.xx - 1e8, *ends(0.0, 0.0)), 0, 1e7),
        (one(lambda u, x: u.xx + 1e-5 * sympy.sin(3 * x), *ends(0.0, 0.0)), 0, 1e-6),
        (one(lambda u: u.xx - 20, *ends(0.0, 0.0)), 0, 1),
        # The larger of data and source; a source beside a start.
        (one(lambda u: u.xx - 1e8, *ends(0.0, 1.0)), 0, 1e7),
        (one(lambda u: u.xx - 1.0, *ends(0.0, 1e8)), 0, 1e8),
        (one(lambda u: u.xx - 1e-2, *ends(300.0, 300.0)), 300, 1e-3),
        # Fluxes, with the length that goes with them.
        (one(lambda u: u.xx, *ends(0.0, 0.0)[:1], Neumann([[1.0]], [1.0], u=3e4)), 0, 1e4),
        (
            one(lambda u: u.xx, at(Box(x=(0, 1e6)), "low", u=0.0), Neumann([[1e6]], [1.0], u=2.0), box=Box(x=(0, 1e6))),
            0,
            1e6,
        ),
        # Nonlinear: u^3 = 1e9; a power of a start.
        (one(lambda u: u.xx - u**3 + 1e9, *ends(0.0, 0.0)), 0, 1e3),
        (one(lambda u: u.xx - 1e-9 * (u**4 - 300.0**4), *ends(300.0, 300.0)), 0, 1e3),
        # Nothing says anything.
        (one(lambda u: u.xx, *ends(0.0, 0.0)), 0, 1),
        (one(lambda u: u.x, Periodic([[0.0]], [[1.0]], "u")), 0, 1),
        # Not defined at zero: that equation says nothing.
        (one(lambda u: u.xx + sympy.log(u) + 1e5, *ends(1.0, 1.0)), 0, 1),
    ],
)
def test_size_of_a_field(problem: Problem, start: float, size: float) -> None:
    """Within a power of ten: these are orders of magnitude."""
    scales = natural_scales(problem)
    assert scales.start.tolist() == pytest.approx([start], rel=1e-12)
    assert abs(math.log10(scales.sizes[0] / size)) <= (0 if size == 1 else 1)
    assert math.log10(scales.sizes[0]) == pytest.approx(round(math.log10(scales.sizes[0])), abs=1e-12)


def sizes_of(scales: Scales) -> list[int]:
    return [round(math.log10(size)) for size in scales.sizes]


def test_fields_are_sized_one_after_the_other() -> None:
    """Darcy: p from the data, v from v + k p_x, w from its own; and in another order of the fields."""
    for fields in ("v w p", "p w v"):
        pde = PDE("x y", fields, lambda v, w, p: [v + 1e-8 * p.x, w + 1e-8 * p.y, v.x + w.y])
        walls = [Dirichlet(SQUARE.face("x", end, 5), p=1e5 * (end == "low"), name=end) for end in ("low", "high")]
        found = sizes_of(natural_scales(Problem("darcy", pde, SQUARE, [Residual(SQUARE.grid(9)), *walls])))
        assert found == [5 if field == "p" else -3 for field in fields.split()]


def test_an_equation_with_one_open_size_decides_before_those_with_two() -> None:
    """A thin layer: v is small by continuity, however large the other equations' terms in it would be."""
    thin = Box(x=(0, 1), y=(0, 1e-3))
    pde = PDE(
        "x y", "u v p",
        lambda u, v, p: [u * u.x + v * u.y + p.x - 1e-3 * u.lap, u * v.x + v * v.y + p.y - 1e-3 * v.lap, u.x + v.y],
    )  # fmt: skip
    lid = Dirichlet(thin.face("y", "high", 9), u=1.0, v=0.0)
    scales = natural_scales(Problem("film", pde, thin, [Residual(thin.grid(9)), lid]))
    assert sizes_of(scales)[:2] == [0, -3]
    assert sizes_of(scales)[2] in (3, 4)  # mu u / h^2 = 1e3, for slopes near 1


def test_two_open_sizes_in_every_equation() -> None:
    """Nothing is given but a source, which then counts for each."""
    pde = PDE("x", "u v", lambda u, v: [u.xx + v - 1e6, u + v.xx])
    scales = natural_scales(Problem("pair", pde, LINE, [Residual(LINE.grid(9))]))
    assert all(4 <= size <= 6 for size in sizes_of(scales))


@pytest.mark.parametrize(("true", "length"), [(1e9, 1.0), (1e9, 1e3), (1e-6, 1.0), (1e-12, 1e-3)])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_unit_of_a_coefficient(true: float, length: float, start: float) -> None:
    """-k u'' = q, u given and of order 1: k is q by u''."""
    box = Box(x=(0, length))
    source = true * (math.pi / length) ** 2
    data = Data(box.grid(9), u=lambda x: np.sin(np.pi * x / length))
    pde = {"unknown": {"k": start}}
    problem = one(lambda u, x, k: -k * u.xx - source * sympy.sin(sympy.pi * x / length), data, box=box, **pde)
    (unit,) = natural_scales(problem).coefficients
    assert abs(math.log10(unit / true)) <= 1
    assert natural_scales(problem).sizes.tolist() == [1]


def test_coefficients_of_order_one_and_with_bounds_have_the_unit_one() -> None:
    data = Data(LINE.grid(9), u=lambda x: np.sin(np.pi * x))
    ordinary = one(lambda u, k: k * u.xx + 50, data, unknown={"k": 0.0})
    assert natural_scales(ordinary).coefficients.tolist() == [1]
    pde = PDE("x", "u", lambda u, k: k * u.xx + 1e9, unknown={"k": 1.0})
    bounded = Problem("bounded", pde, LINE, [Residual(LINE.grid(9)), data], bounds={"k": (0, 1e10)})
    assert natural_scales(bounded).coefficients.tolist() == [1]


def test_fields_that_cannot_start_elsewhere_are_as_large_as_their_values() -> None:
    problem = one(lambda u: u.xx, *ends(300.0, 310.0))
    scales = natural_scales(problem, [False])
    assert scales.start.tolist() == [0]
    assert sizes_of(scales) == [2]


def test_sizes_of_residuals() -> None:
    """Second derivatives are ten times the value in coordinates of order 1; each residual has its own size."""
    box = Box(x=(0, 1e3))
    pde = PDE("x", "u", lambda u: [1e6 * u.xx, u.xx, u])
    (residuals, low) = natural_scales(
        Problem("three", pde, box, [Residual(box.grid(41)), at(box, "low", u=1e3)])
    ).residuals
    assert residuals[0] / residuals[1] == pytest.approx(1e6)
    assert 0.5 < residuals[2] / 1e3 < 2
    assert 1 < residuals[1] / residuals[2] * 500**2 < 20
    assert 0.2 < low[0] / 1e3 < 3


@pytest.mark.parametrize(
    ("problem", "is_lost"),
    [
        (small_laplace(), False),
        (one(lambda u: u.xx, *ends(0.0, 1.0, Box(x=(1e6, 1e6 + 1))), box=Box(x=(1e6, 1e6 + 1))), True),
        (one(lambda u: u.xx, *ends(0.0, 1.0, Box(x=(100, 101))), box=Box(x=(100, 101))), False),
        (one(lambda u: u.xx, *ends(1e6, 1e6 + 1)), True),
        (one(lambda u: u.xx, *ends(300.0, 301.0)), False),
        # A coefficient that float32 rounds to zero, and squares that it does not hold.
        (one(lambda u: 1e-50 * u.xx - 1e-50 * u, *ends(0.0, 1.0)), True),
        (one(lambda u: u.xx, *ends(0.0, 1e25)), True),
        (one(lambda u: u.xx, *ends(0.0, 1e-25)), True),
        (one(lambda u: u.xx, *ends(0.0, 1e8)), False),
        # NaN at random fields says nothing.
        (one(lambda u: u.xx + sympy.sqrt(u - 50), *ends(0.0, 1.0)), False),
    ],
)
def test_what_float32_loses(problem: Problem, is_lost: bool) -> None:
    error, name = float32_error(problem, natural_scales(problem))
    assert (error > 1e-3) == is_lost
    assert name in problem.term_names
