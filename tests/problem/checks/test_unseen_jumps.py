"""What is differentiated and jumps, or nearly so, between the points is refused, however it is written."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

import psinn_fast as pf

LINE, SQUARE = pf.Box(x=(0, 2)), pf.Box(x=(-1, 1), y=(-1, 1))
x, y = sp.symbols("x y")


def problem(
    residual: Callable[..., Any],
    box: pf.Box = LINE,
    points: Any = None,
    own: Callable[..., Any] | None = None,
    **pde: Any,
) -> pf.Problem:
    """A problem with this residual, and one value given so that all problems are complete."""
    points = box.grid(20) if points is None else points
    conditions = [pf.Residual(points, own), pf.Dirichlet([box.centre.tolist()], u=1.0)]
    return pf.Problem("p", pf.PDE(box.coords, "u", residual, **pde), box, conditions)


def flux(k: sp.Expr, by: str = "x") -> Callable[..., Any]:
    return lambda u: sp.diff(k * getattr(u, by), by)


def step(s: sp.Expr) -> sp.Expr:
    """-1 | 1, without cases that SymPy would know."""
    return s / sp.sqrt(s**2)


def kink(s: sp.Expr) -> sp.Expr:
    return s**2 / sp.sqrt(s**2)


def deep(u: sp.Expr, x: sp.Symbol, levels: int) -> sp.Expr:
    for _ in range(levels):
        u = sp.sin(u + x**2)
    return u


OUTSIDE = sp.Derivative(step(x - 1), x)

REFUSED: dict[str, tuple[sp.Expr, float]] = {  # and where
    "over its size": (2.5 + 1.5 * (x - 1) / abs(x - 1), 1),
    "size over it": (2.5 + 1.5 * abs(x - 1) / (x - 1), 1),
    "root of a square": (2.5 + 1.5 * (x - 1) / sp.sqrt((x - 1) ** 2), 1),
    "cube over cube": (2 + (x - sp.Rational(1, 3)) ** 3 / abs(x - sp.Rational(1, 3)) ** 3, 1 / 3),
    "steep tanh": (2.5 + 1.5 * sp.tanh((x - 1) * 1e6), 1),
    "steeper tanh": (2.5 + 1.5 * sp.tanh((x - 0.7) * 1e12), 0.7),
    "steep erf": (2.5 + 1.5 * sp.erf((x - 0.123) * 3e5), 0.123),
    "steep logistic": (1 + 3 / (1 + sp.exp(-300 * sp.sinh((x - 1) * 1e4))), 1),
    "steep arc tangent": (2 + sp.atan((x - 1) * 1e9), 1),
    "steep root": (2 + (x - 1) / sp.sqrt((x - 1) ** 2 + 1e-14), 1),
    "steep ramp": (2.5 + 1.5 * sp.Max(-1, sp.Min(1, (x - 1) * 1e9)), 1),
    "arc tangent of a pole": (3 + sp.atan(1 / (x - 1)), 1),
    "arc tangent of two": (4 + sp.atan2(0, x - 1), 1),
    "tanh of a pole": (3 + sp.tanh(1 / (x - 1)), 1),
    "exponential of a pole": (1 + sp.exp(-1 / (1 + sp.exp(1 / (x - 1)))), 1),
    "power of a large number": (1 + 1 / (1 + sp.Integer(10) ** (1e7 * (x - 1))), 1),
    "slight": (1 + 1e-4 * step(x - 1), 1),
    "on a steep slope": (2 + 1e3 * x + step(x - 1), 1),
    "slight on a slope": (2 + 3 * x + 1e-5 * step(x - 1), 1),
    "slight beside a steep layer": (2 + sp.tanh(1e3 * (x - 0.5)) + 1e-5 * step(x - 1.5), 1.5),
    "beside a pole": (1 / (x - 1.5) + step(x - 0.5), 0.5),
    "beside the end": (2 + step(x - 1e-3), 1e-3),
    "thin slab": (2 + step(x - 1) - step(x - 1.0002), 1),
    "many": (2 + step(sp.sin(40 * x)), None),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_jumps_on_a_line_are_refused(name: str) -> None:
    k, place = REFUSED[name]
    with pytest.raises(pf.InputError, match=r"(?s)term 'residual': derivative by x of .* x = ") as caught:
        problem(flux(k))
    said = str(caught.value).split("x = ")[1].split(":")[0].split(",")[0]
    assert place is None or float(said) == pytest.approx(place, abs=3e-4)


def test_the_message_says_what_to_do() -> None:
    with pytest.raises(pf.InputError) as caught:
        problem(flux(2.5 + 1.5 * sp.tanh((x - 1) * 1e6)))
    message = str(caught.value)
    for part in ("tanh(1000000.0*x - 1000000.0)", "x = 1:", "two fields", "tanh((x - 1)/0.04)"):
        assert part in message
    # Which is then accepted.
    problem(flux(2.5 + 1.5 * sp.tanh((x - 1) / 0.04)))


@pytest.mark.parametrize(
    ("name", "residual"),
    [
        ("helper", lambda u, x: pf.div([(2 + step(x - 1)) * u.x])),
        ("gradient", lambda u, x: pf.grad((2 + step(x - 1)) * u)[0] - 1),
        ("Laplacian", lambda u, x: pf.lap((2 + step(x - 1)) * u)),
        ("unevaluated", lambda u, x: u + sp.Derivative((2 + step(x - 1)) * u.x, x)),
        ("of a derivative, unevaluated", lambda u, x: sp.diff((2 + step(x - 1)) * sp.Derivative(u, x), x)),
        ("within a function, unevaluated", lambda u, x: sp.diff(sp.sin(step(x - 1) + sp.Derivative(u, x)), x)),
        ("method", lambda u, x: ((2 + step(x - 1)) * u.x).diff("x")),
        ("a product of fields", lambda u, x: sp.diff((2 + step(x - 1)) * u * u.x, x)),
        ("within a function", lambda u, x: sp.diff(sp.exp(u * step(x - 1)), x)),
        ("own symbols", lambda u: sp.diff((2 + step(sp.Symbol("x") - 1)) * u.x, sp.Symbol("x"))),
        ("taken outside", lambda u: u + OUTSIDE),
        ("deep within", lambda u, x: sp.diff(deep(u, x, 40) + step(x - 1) * u, x)),
        ("source", lambda u, x: u.x - sp.diff(step(x - 1), x)),
        ("kink twice", lambda u, x: sp.diff(kink(x - 1) * u, x, 2)),
        ("kink twice, by steps", lambda u, x: sp.diff(sp.diff(kink(x - 1), x), x) * u + u.x),
        ("kink twice, Laplacian", lambda u, x: pf.lap(kink(x - 1) * u)),
        ("kink four times", lambda u, x: sp.diff(kink(x - 1) ** 3 * u, x, 4)),
        ("at an unknown place", lambda u, x, a: sp.diff((2 + step(x - a)) * u.x, x)),
        ("of unknown height", lambda u, x, a: sp.diff((2 + a * step(x - 1)) * u.x, x)),
    ],
)  # fmt: skip
def test_however_it_is_differentiated(name: str, residual: Callable[..., Any]) -> None:
    with pytest.raises(pf.InputError, match=r"residual'?: (.*DiracDelta|derivative by x of .*x = )"):
        problem(residual, unknown={"a": 0.0} if "unknown" in name else None)


@pytest.mark.parametrize(
    ("name", "k", "by"),
    [
        ("wall", 2 + step(x - 0.3), "x"),
        ("slope", 2 + step(x - y), "x"),
        ("slope, along y", 2 + step(x - y), "y"),
        ("disc", 2 + step(x**2 + y**2 - 0.1), "y"),
        ("steep disc", 2 + sp.tanh((sp.sqrt(x**2 + y**2) - 0.2) * 1e7), "x"),
        ("branch cut", sp.atan2(y, x), "y"),
        ("half a wall", 2 + (1 + step(y)) * step(x), "x"),
    ],
)
def test_jumps_in_the_plane_are_refused(name: str, k: sp.Expr, by: str) -> None:
    with pytest.raises(pf.InputError, match=f"derivative by {by} of .* at "):
        problem(flux(k, by), SQUARE)


def test_jumps_in_space_are_refused() -> None:
    cube = pf.Box(x=(-1, 1), y=(-1, 1), z=(-1, 1))
    ball = 2 + step(sum((s - 0.4) ** 2 for s in sp.symbols("x y z")) - 0.15**2)
    with pytest.raises(pf.InputError, match=r"derivative by . of .* x = .*, y = .*, z = "):
        problem(lambda u: pf.div(ball * pf.grad(u)), cube, points=cube.random(64, 0))


def test_jumps_on_faces_are_refused() -> None:
    with pytest.raises(pf.InputError, match=r"derivative by y of .* y = 0\.3:"):
        problem(lambda u: u.lap, SQUARE, SQUARE.boundary(20), own=flux(2 + step(y - 0.3), "y"))
    # On these two the derivative is not taken across the jump.
    problem(lambda u: u.lap, SQUARE, SQUARE.face("x", "low", 20), own=flux(2 + step(x), "x"))


def test_jumps_in_time_and_in_large_and_small_domains_are_refused() -> None:
    heat = pf.Box(t=(0, 1), x=(0, 1))
    with pytest.raises(pf.InputError, match=r"derivative by t of .* t = 0\.5[:,]"):
        problem(lambda u, t: sp.diff((2 + step(t - 0.5)) * u, t) - u.xx, heat)
    for low, size in ((0, 1e-6), (1e6, 1), (0, 1e8), (-1e-9, 2e-9)):
        with pytest.raises(pf.InputError, match="derivative by x"):
            problem(flux(2 + step(x - (low + 0.4 * size))), pf.Box(x=(low, low + size)))


@pytest.mark.parametrize(
    ("residual", "where"),
    [
        (lambda u, x: u.xx + sp.diff(step(u), x), "u = 0"),
        (lambda u, x: sp.diff(u.x + 0.3 * u.x / abs(u.x), x), "u_x = 0"),  # Bingham's yield stress
        (lambda u, x: sp.diff(u.x + 0.3 * u.x / sp.sqrt(u.x**2), x), "u_x = 0"),
        (lambda u, x: sp.diff(step(u - 293) * u.x, x), "u = 293"),
        (lambda u, x: u + sp.diff(sp.atan(1 / u), x), "u = 0"),
        (lambda u, x: u + sp.diff(sp.atan(1 / u) + u**2, x, 2), "u = 0"),
        (lambda u, x: u + sp.diff(sp.Max(-1, sp.Min(1, 1e12 * u)), x), "u = 0"),
        (lambda u, x: u.xx + sp.diff(step(u - x), x), r"u = \d\.\d+, x = \d\.\d+"),
        (lambda u, x, a: u.x + sp.diff(step(u - a), x), "u = 0.25"),
    ],
)
def test_jumps_along_fields_are_refused(residual: Callable[..., Any], where: str) -> None:
    with pytest.raises(pf.InputError, match=f"derivative by x of .* jumps at {where}:"):
        problem(residual, unknown={"a": 0.25} if "a" in inspect.signature(residual).parameters else None)


def test_a_jump_of_a_residual_of_its_own_is_refused() -> None:
    with pytest.raises(pf.InputError, match="term 'residual': derivative by x"):
        problem(lambda u: u.xx, own=flux(2 + step(x - 1)))


ACCEPTED: dict[str, Callable[..., Any]] = {
    "a jump that is not differentiated": lambda u, x: (2 + step(x - 1)) * u.xx - step(x - 0.5),
    "a steep layer that is not differentiated": lambda u, x: u.xx - sp.tanh((x - 1) * 1e9),
    "cases that are not differentiated": lambda u, x: u.xx - sp.Piecewise((1, x < 1), (2, True)),
    "kink": lambda u, x: sp.diff(abs(x - 1) * u.x, x),
    "kink of a root": lambda u, x: sp.diff(sp.sqrt((x - 1) ** 2) * u.x, x),
    "kink of a maximum": lambda u, x: sp.diff((1 + sp.Max(0, 1e3 * (x - 0.3))) * u.x, x),
    "factors that jump, a product that does not": lambda u, x: sp.diff((x - 1) * step(x - 1) * u.x, x),
    "a sum that does not jump": lambda u, x: sp.diff((step(x - 1) - step((x - 1) ** 3)) * u + x**2 * u, x),
    "kink beside its root": lambda u, x: sp.diff(kink(x - 1) * u.x, x),
    "root at an end": lambda u, x: sp.diff(sp.sqrt(x) * u.x, x),
    "root within": lambda u, x: sp.diff((1 + sp.sqrt(abs(x - 0.7))) * u.x, x),
    "cube root within": lambda u, x: sp.diff((2 + step(x - 1) * sp.cbrt(abs(x - 1))) * u.x, x),
    "logarithm at an end": lambda u, x: sp.diff(sp.log(x) * u.x, x),
    "logarithm within": lambda u, x: sp.diff(sp.log(abs(x - 1)) * u.x, x),
    "x log x": lambda u, x: sp.diff((1 + x * sp.log(x)) * u.x, x),
    "root with no value on one side": lambda u, x: sp.diff(sp.sqrt(x - 1) * u, x),
    "pole outside": lambda u, x: sp.diff(u.x / (x + 0.01), x),
    "pole at an end": lambda u, x: sp.diff(u / x, x),
    "pole within": lambda u, x: sp.diff(u / (x - 1), x),
    "jump outside": lambda u, x: sp.diff((2 + step(x - 2.1)) * u.x, x),
    "jump at an end": lambda u, x: sp.diff((2 + step(x)) * u.x, x),
    "resolved layer": lambda u, x: sp.diff((2 + sp.tanh((x - 1) * 1e2)) * u.x, x),
    "steep layer that the points held out see": lambda u, x: sp.diff((2 + sp.tanh((x - 1) * 3e3)) * u.x, x),
    "boundary layer": lambda u, x: sp.diff(sp.exp(-x / 1e-3) * u, x),
    "narrow peak": lambda u, x: sp.diff((1 + sp.exp(-(((x - 1) / 0.01) ** 2))) * u.x, x),
    "fast oscillation": lambda u, x: sp.diff((2 + sp.sin(1e3 * x)) * u.x, x),
    "removable": lambda u, x: sp.diff((1 + (1 - sp.cos(x - 1)) / (x - 1) ** 2) * u.x, x),
    "p-Laplacian": lambda u, x: sp.diff(abs(u.x) ** 0.5 * u.x, x),
    "p-Laplacian of a small p": lambda u, x: sp.diff(u.x / abs(u.x) ** 0.9, x),
    "smooth yield stress": lambda u, x: sp.diff(u.x / sp.sqrt(1e-6 + u.x**2), x),
    "upwind flux": lambda u, x: sp.diff(sp.Max(u, 0) * u, x),
    "logarithm of a field": lambda u, x: sp.diff(sp.log(abs(u)), x),
    "pole of a field": lambda u, x: sp.diff(u.x / (u - 0.5) ** 2, x),
    "removable in a field": lambda u, x: sp.diff((sp.exp(u) - 1 - u) / u**2, x),
    "exponential of a field": lambda u, x: sp.diff(sp.exp(u) * u.x, x),
    "angle of two fields": lambda u, x: sp.diff(sp.atan2(u, u.x), x),
    "removable, by rounding": lambda u, x: sp.diff((1 + (sp.exp(x - 1) - 1 - x + 1) / (x - 1) ** 2) * u.x, x),
    "sinc": lambda u, x: sp.diff(sp.sin(9 * (x - 1)) / (x - 1) * u.x, x),
    "cancelling": lambda u, x: sp.diff((1 + ((x + 1e6) ** 3 - 1e18 - 3e12 * x) / 3e6) * u.x, x),
    "Bessel": lambda u, x: sp.diff((2 + sp.besselj(0, 30 * x)) * u.x, x),
    "powers": lambda u, x: sp.diff((1 + x ** sp.Rational(5, 2) + 2 ** sp.sin(x)) * u.x, x, 2),
    "high order": lambda u, x: sp.diff(u * sp.exp(sp.sin(x)) / (1 + x**2), x, 4),
    "of fields": lambda u, x: sp.diff((1 + u**2) * sp.exp(-x) / (1 + u.x**2), x),
    "deeply nested": lambda u, x: sp.diff(deep(u, x, 100), x),
    "steep, if a coefficient were not what it is": lambda u, x, a: sp.diff((2 + sp.tanh(9 * a**20 * (x - 1))) * u.x, x),
    "steep, if a field were large": lambda u, x: sp.diff(sp.tanh(1e5 * u * (x - 1)), x),
    "so small that floats end": lambda u, x: sp.diff((1e-3 * sp.exp(-(x**2) * 1e3)) * u.x, x),
    "unknown coefficient": lambda u, x, a: sp.diff((1 + sp.tanh(a * (x - 1))) * u.x, x) + a,
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_points_see_is_accepted(name: str) -> None:
    problem(ACCEPTED[name], unknown={"a": 1.0} if "coefficient" in name else None)


PLANE: dict[str, tuple[sp.Expr, str]] = {
    "jump along the other axis": (2 + step(y - 0.3), "x"),
    "cone": (sp.sqrt(x**2 + y**2), "x"),
    "root of a radius": ((x**2 + y**2) ** sp.Rational(1, 4), "y"),
    "logarithm of a radius": (sp.log(x**2 + y**2), "x"),
    "pyramid": (sp.Max(abs(x), abs(y)), "y"),
    "resolved disc": (2 + sp.tanh((sp.sqrt(x**2 + y**2) - 0.2) * 100), "x"),
    "waves": (2 + sp.sin(50 * x * y), "y"),
}


@pytest.mark.parametrize("name", PLANE)
def test_what_points_in_the_plane_see_is_accepted(name: str) -> None:
    problem(flux(*PLANE[name]), SQUARE)


def test_jumps_where_the_term_has_no_points_are_its_own_affair() -> None:
    # One equation for each side of x = 1, each on its side.
    left, right = pf.Box(x=(0, 1)), pf.Box(x=(1, 2))
    k = 2 + step(x - 1)
    pde = pf.PDE("x", "u v", lambda u: sp.diff(k * u.x, x))
    conditions = [
        pf.Residual(left.grid(20)),
        pf.Residual(right.grid(20), lambda v: sp.diff(k * v.x, x)),
        pf.Residual([[1.0]], lambda u, v: u.x - 3 * v.x),
    ]
    pf.Problem("p", pde, LINE, conditions)


def test_jumps_where_an_array_has_no_points_are_accepted() -> None:
    # An L without its lower left quadrant, in which the angle jumps.
    grid = np.array(SQUARE.grid(41))
    notched = grid[(grid[:, 0] > 0) | (grid[:, 1] > 0)]
    angle = sp.atan2(x - y, x + y)  # whose cut goes through the middle of the notch
    problem(flux(angle, "x"), SQUARE, points=notched)
    with pytest.raises(pf.InputError, match="derivative by x"):
        problem(flux(angle, "x"), SQUARE, points=grid)


def test_problems_are_made_quickly() -> None:
    """Polynomials and fields alone cost nothing, other coefficients milliseconds beside those of tracing."""

    def seconds(residual: Callable[..., Any]) -> float:
        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            problem(residual, SQUARE)
            best = min(best, time.perf_counter() - start)
        return best

    k = 2 + sp.sin(sp.pi * x) * sp.exp(-(y**2))
    assert seconds(lambda u: pf.div(k * pf.grad(u))) < 0.5


def test_a_term_of_one_equation_differentiates_nothing_of_fields_it_has_not() -> None:
    """Heat in a rod whose conductivity jumps beyond its end; everywhere else another field's equation."""

    def both(u: Any, v: Any) -> dict[str, Any]:
        return {"heat": sp.diff((2 + step(x - 1)) * u.x, x), "other": v.xx - v, "coupled": u - v}

    def made(left: str, right: str) -> pf.Problem:
        terms = [pf.Residual(pf.Box(x=(0, 0.9)).grid(9), equations=left), pf.Residual(LINE.grid(20), equations=right)]
        return pf.Problem("p", pf.PDE("x", "u v", both), LINE, [*terms, pf.Dirichlet([[0.0]], u=1.0, v=0.0)])

    assert len(made("heat coupled", "other").traced[1].derivatives) == 0
    assert len(made("heat", "other").traced[0].derivatives) == 1
    with pytest.raises(pf.InputError, match=r"term 'heat': derivative by x of .* jumps at x = 1"):
        made("other", "heat")
    with pytest.raises(pf.InputError, match="term 'coupled': derivative by x"):  # it has u, and so it might be there
        made("heat other", "coupled")
