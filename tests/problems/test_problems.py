"""The built-in problems: their exact solutions, sizes and settings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.integrate import quad
from scipy.special import ive

from psinn_fast import PDE
from psinn_fast.kernels.errors import InputError
from psinn_fast.language.fields import SymbolicField
from psinn_fast.problem.problem import Problem
from psinn_fast.problems import PROBLEMS, get_problem, parse_number
from psinn_fast.problems.burgers import cole_hopf

NUS = [0.01 / math.pi, 0.04 / math.pi, 0.08 / math.pi, 0.1, 1.0]


def residual_of(problem: Problem, solution: sp.Expr) -> sp.Expr:
    """The PDE's residual with a symbolic solution put in for the field."""
    residual = problem.pde.call(problem.pde.residual)
    coords = problem.pde.coordinate_symbols()
    values = {}
    for field in residual.atoms(SymbolicField):
        steps = [c for c, order in zip(coords, field.operator.orders, strict=True) for _ in range(order)]
        values[field] = sp.diff(solution, *steps) if steps else solution
    return sp.simplify(residual.xreplace(values))


def test_laplace_solution() -> None:
    problem = get_problem("laplace")
    x, y = problem.pde.coordinate_symbols()
    u = x**3 - 3 * x * y**2
    assert residual_of(problem, u) == 0
    points = problem.domain.unseen_grid(7)
    np.testing.assert_allclose(problem.exact(points)[:, 0], sp.lambdify((x, y), u)(*points.T), atol=1e-14)


def test_poisson_solution() -> None:
    problem = get_problem("poisson")
    x, y = problem.pde.coordinate_symbols()
    modes = [(-1) ** (k + 1) * sp.sin(k * sp.pi * x) * sp.sin(k * sp.pi * y) for k in range(1, 5)]
    u = -sum(modes) / (4 * sp.pi**2)
    assert residual_of(problem, u) == 0
    points = problem.domain.unseen_grid(7)
    np.testing.assert_allclose(problem.exact(points)[:, 0], sp.lambdify((x, y), u)(*points.T), atol=1e-14)
    assert np.abs(problem.exact(problem.domain.boundary(9))).max() < 1e-15


def trapezoid(t: float, x: float, nu: float) -> float:
    """Cole-Hopf by the trapezoid rule in eta itself: exponentially accurate, as the integrand is smooth and decays."""
    width = math.sqrt(4 * nu * t)
    eta = np.linspace(-12 * width, 12 * width, 40_001)
    exponent = -np.cos(np.pi * (x - eta)) / (2 * np.pi * nu) - (eta / width) ** 2
    kernel = np.exp(exponent - exponent.max())
    return float(-(np.sin(np.pi * (x - eta)) * kernel).sum() / kernel.sum())


def fourier(t: float, x: float, nu: float) -> float:
    """The same by Cole's series of modified Bessel functions, for viscosities where it does not cancel."""
    z, n = 1 / (2 * math.pi * nu), np.arange(1, 60)
    a = (-1.0) ** n * ive(n, z) * np.exp(-(n**2) * math.pi**2 * nu * t)
    top = (2 * a * n * np.sin(n * np.pi * x)).sum()
    bottom = ive(0, z) + (2 * a * np.cos(n * np.pi * x)).sum()
    return float(2 * math.pi * nu * top / bottom)


def adaptive(t: float, x: float, nu: float) -> float:
    """And by adaptive quadrature in eta, piece by piece."""
    width = math.sqrt(4 * nu * t)
    reach = (8 + math.sqrt(1 / (math.pi * nu))) * width

    def exponent(eta: float) -> float:
        return -math.cos(math.pi * (x - eta)) / (2 * math.pi * nu) - (eta / width) ** 2

    highest = max(map(exponent, np.linspace(-reach, reach, 4001)))

    def kernel(eta: float) -> float:
        return math.exp(exponent(eta) - highest)

    pieces = list(itertools.pairwise(np.linspace(-reach, reach, 81)))
    options = {"epsabs": 1e-14, "epsrel": 1e-12}
    top = sum(quad(lambda eta: math.sin(math.pi * (x - eta)) * kernel(eta), *piece, **options)[0] for piece in pieces)
    return -top / sum(quad(kernel, *piece, **options)[0] for piece in pieces)


@pytest.mark.parametrize("nu", [0.01 / math.pi, 0.08 / math.pi, 1.0])
@pytest.mark.parametrize(("t", "x"), [(0.25, 0.3), (1.0, 0.001), (1.0, 0.05), (0.75, -0.6)])
def test_cole_hopf_against_adaptive_quadrature(nu: float, t: float, x: float) -> None:
    assert abs(cole_hopf(np.array([[t, x]]), nu)[0, 0] - adaptive(t, x, nu)) < 1e-10


@pytest.mark.parametrize("nu", [*NUS[:-1], 1.0])
def test_cole_hopf_against_other_quadratures(nu: float) -> None:
    points = np.array([(t, x) for t in (0.01, 0.1, 0.25, 0.5, 0.75, 1.0) for x in (-0.9, -0.3, -0.02, 0.001, 0.1, 0.6)])
    ours = cole_hopf(points, nu)[:, 0]
    np.testing.assert_allclose(ours, [trapezoid(t, x, nu) for t, x in points], rtol=0, atol=1e-10)
    if nu >= 0.1:
        np.testing.assert_allclose(ours, [fourier(t, x, nu) for t, x in points], rtol=0, atol=1e-10)


@pytest.mark.parametrize("nu", NUS)
def test_cole_hopf_satisfies_burgers_and_its_conditions(nu: float) -> None:
    x = np.linspace(-1, 1, 21)
    start = cole_hopf(np.stack([np.zeros_like(x), x], 1), nu)[:, 0]
    np.testing.assert_allclose(start, -np.sin(np.pi * x), atol=1e-12)
    t = np.linspace(0, 1, 11)
    for end in (-1.0, 0.0, 1.0):
        assert np.abs(cole_hopf(np.stack([t, np.full_like(t, end)], 1), nu)).max() < 1e-10
    h = 1e-3
    shifts = {name: np.array(step) * h for name, step in {"t": (1, 0), "x": (0, 1)}.items()}
    points = np.array([(0.2, -0.7), (0.2, 0.5), (0.9, 0.8), (0.9, -0.6)])
    u = cole_hopf(points, nu)
    up, down = ({k: cole_hopf(points + sign * s, nu) for k, s in shifts.items()} for sign in (1, -1))
    u_t, u_x = ((up[k] - down[k]) / (2 * h) for k in ("t", "x"))
    u_xx = (up["x"] - 2 * u + down["x"]) / h**2
    np.testing.assert_allclose(u_t + u * u_x - nu * u_xx, 0, atol=2e-4)


def test_cole_hopf_in_chunks() -> None:
    points = np.random.default_rng(0).uniform((0, -1), (1, 1), (5000, 2))
    whole = cole_hopf(points, 0.01)
    np.testing.assert_array_equal(whole[4090:4100], cole_hopf(points[4090:4100], 0.01))
    assert cole_hopf(points[:0], 0.01).shape == (0, 1)
    for nu in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="nu: viscosity: expected a finite number > 0"):
            cole_hopf(points, nu)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "cylinder"])
def test_sizes(name: str) -> None:
    problem = get_problem(name)
    sizes = {term.name: term.n_points for term in problem.terms()}
    assert sizes.pop("residual") == 10_201
    if name == "burgers-inverse":
        assert sizes == {"data": 20}
    elif name == "burgers":
        assert sizes == {"initial": 101, "x_low": 101, "x_high": 101}
    else:
        n = {"laplace": 101, "poisson": 1000}[name]
        assert sizes == {f"{coord}_{end}": n for coord in "xy" for end in ("low", "high")}
    assert problem.name == name
    assert bool((problem.weights() == 1).all())
    assert problem.domain.contains(np.concatenate([site for c in problem.conditions for site in c.sites])).all()


@pytest.mark.parametrize("name", PROBLEMS)
def test_targets_symmetries_and_structures_agree_with_the_solution(name: str) -> None:
    problem = get_problem(name)
    assert problem.exact is not None
    assert problem.recipe.structure is not None
    for condition in problem.conditions:
        if "u" in condition.columns:
            np.testing.assert_allclose(condition.columns["u"], problem.exact(condition.sites[0])[:, 0], atol=1e-7)
    # About the centre of the domain, but for time, which no symmetry moves.
    shift = problem.domain.centre * (name == "poisson")
    centred = problem.domain.unseen_grid(9) - shift
    for symmetry in problem.symmetries:
        image = centred[:, list(symmetry.map.permutation)] * np.array(symmetry.map.signs)
        u, moved = (problem.exact(points + shift) for points in (centred, image))
        np.testing.assert_allclose(moved, np.array(symmetry.character) * u, atol=1e-10)
    assert problem.recipe.structure.n_inputs == problem.recipe.layers[0] == 2
    assert problem.recipe.structure.n_outputs == problem.recipe.layers[-1] == len(problem.pde.fields)


@pytest.mark.parametrize(
    ("name", "layers", "width", "student", "lr", "steps"),
    [
        ("laplace", (2, 8, 8, 16, 1), 8, (8, 8, 8), 1e-3, 20_000),
        ("poisson", (2, 40, 20, 20, 1), 20, (16, 10, 10), 1e-3, 30_000),
        ("burgers", (2, 10, 10, 20, 1), 10, (10, 10, 10), 1e-3, 30_000),
        ("burgers-inverse", (2, 10, 10, 20, 1), 10, (10, 10, 10), 1e-3, 30_000),
        ("cylinder", (2, 40, 40, 40, 3), 20, (12, 12, 12), 1e-3, 20_000),
    ],
)
def test_settings_of_the_paper(
    name: str, layers: tuple[int, ...], width: int, student: tuple[int, ...], lr: float, steps: int
) -> None:
    problem = get_problem(name)
    found = problem.recipe.layers, problem.recipe.width, problem.recipe.student, problem.recipe.lr, problem.recipe.steps
    assert found == (layers, width, student, lr, steps)


def test_viscosity_of_burgers() -> None:
    """0.01 / pi to the last digit: in the equation, the data, the exact solution, and where it is to be found."""
    nu, points = 0.01 / math.pi, np.array([[0.3, 0.4], [0.9, -0.1]])
    for name in ("burgers", "burgers-inverse"):
        problem = get_problem(name)
        np.testing.assert_array_equal(problem.exact(points), cole_hopf(points, nu))
    assert get_problem("burgers-inverse").true_coefficients == {"nu": nu}
    data = get_problem("burgers-inverse").conditions[1]
    np.testing.assert_array_equal(data.columns["u"], cole_hopf(data.sites[0], nu)[:, 0])
    forward = get_problem("burgers").pde
    assert dict(forward.coefficients) == {"nu": nu}
    expected = PDE("t x", "u", lambda u: u.t + u * u.x - nu * u.xx)
    assert forward.traced().program.digest() == expected.traced().program.digest()
    other = PDE("t x", "u", lambda u: u.t + u * u.x - math.nextafter(nu, 1) * u.xx)
    assert forward.traced().program.digest() != other.traced().program.digest()


def test_inverse_problem() -> None:
    problem = get_problem("burgers-inverse", {"nu": 0.02})
    assert problem.initial_coefficients().tolist() == [0.0]
    assert problem.true_coefficients == {"nu": 0.02}
    sensors = problem.conditions[1].sites[0]
    assert sorted(set(sensors[:, 0])) == [0.25, 0.75]
    assert problem.pde.unknown == {"nu": 0.0}
    residual = problem.terms(torch.float64)[0]
    assert residual.program.channels.channels == ((0, 0), (1, 0), (0, 1), (0, 2))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.01", 0.01), ("1e-3", 1e-3), ("0.04/pi", 0.04 / math.pi), ("-2*(1+0.5)", -3.0), (" 3 ", 3.0),
        ("1-2-3", -4.0), ("--1", 1.0), ("2*pi", 2 * math.pi), ("8/4/2", 1.0),
    ],
)  # fmt: skip
def test_parse_number(text: str, number: float) -> None:
    assert parse_number("nu", text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "1/0",
        "nan",
        "1e999",
        "2**3",
        "True",
        "__import__('os')",
        "1;2",
        "pi()",
        "1,2",
        "'1'",
        "1j",
        "(" * 999,
        "9" * 400,
    ],
)
def test_parse_number_refuses(text: str) -> None:
    with pytest.raises(InputError, match=r"nu: expected a number such as 0\.01 or 0\.04/pi, got"):
        parse_number("nu", text)


def test_settings() -> None:
    assert dict(get_problem("burgers", {"nu": 0.05}).pde.coefficients) == {"nu": 0.05}
    with pytest.raises(InputError, match=r"problem: expected one of \['laplace', .*\], got 'heat'"):
        get_problem("heat")
    with pytest.raises(InputError, match=r"set: problem 'laplace' has the settings \[\], got 'nu'"):
        get_problem("laplace", {"nu": 1.0})
    with pytest.raises(InputError, match=r"set: problem 'burgers' has the settings \['nu'\], got 'mu'"):
        get_problem("burgers", {"mu": 1.0})
    for name in ("burgers", "burgers-inverse"):
        for nu in (0.0, -1.0, math.inf, True, "0.1"):
            with pytest.raises(InputError, match="nu: viscosity: expected a finite number > 0, got"):
                get_problem(name, {"nu": nu})
