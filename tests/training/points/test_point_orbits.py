"""One point per orbit: the same losses and gradients from fewer points, and no point lost where nothing repeats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import random_theta

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Ansatz,
    Box,
    Data,
    Dirichlet,
    Embedding,
    GaussNewton,
    Network,
    Options,
    Periodic,
    Problem,
    PsiMLP,
    Residual,
    SignedPermutation,
    Symmetry,
    build_network,
    fit,
    get_problem,
    structure_from_group,
    symmetric_structure,
)
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import AdamState
from psinn_fast.kernels.language.program import Adjoint, scaled_by_column
from psinn_fast.kernels.language.torch_program import torch_program
from psinn_fast.training.points.point_orbits import one_point_per_orbit, orbit_numbers, residual_sizes

FLOAT64 = torch.float64
EVEN_X, EVEN_Y = (Symmetry(SignedPermutation.flip(2, axis), (1,)) for axis in (0, 1))
ODD_X = Symmetry(SignedPermutation.flip(2, 0), (-1,))
BOX = Box(x=(-1, 1), y=(-1, 1))


def make_net(*symmetries: Symmetry, centre: tuple[float, ...] = ()) -> PsiMLP:
    return PsiMLP(structure_from_group(symmetries, (3, 3), centre=centre), seed=0, dtype=FLOAT64)


def check_same(problem: Problem, net: PsiMLP, dtype: torch.dtype = FLOAT64) -> list[tuple[int, int]]:
    """Losses and gradients for random weights from both; (all points, points kept) of each term."""
    engine, tolerance = get_backend("cpu"), 1e-12 if dtype == FLOAT64 else 1e-4
    full = problem.terms(dtype)
    kept = one_point_per_orbit(problem, net, full, get_backend())
    theta = random_theta(net.structure, 5).to(dtype)
    coefficients = problem.initial_coefficients(dtype) + 0.3
    weights = problem.weights(dtype)
    ours, theirs = (engine.loss_and_gradient(net.plan, theta, coefficients, terms, weights) for terms in (kept, full))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=tolerance, atol=tolerance * float(theirs.losses.max()))
    return [(a.n_points, b.n_points) for a, b in zip(full, kept, strict=True)]


@pytest.mark.parametrize("dtype", [torch.float32, FLOAT64])
@pytest.mark.parametrize(
    ("name", "inside", "kept"),
    [("laplace", 101**2, 101 * 51), ("poisson", 101**2, 101 * 102 // 2), ("burgers", 101**2, 101 * 50 + 51),
     ("burgers-inverse", 101**2, 101 * 50 + 51)],
)  # fmt: skip
def test_published_structures_need_half_of_the_points(name: str, inside: int, kept: int, dtype: torch.dtype) -> None:
    """Points on the axis are their own images."""
    problem = get_problem(name)
    assert problem.recipe.structure is not None
    net = PsiMLP(problem.recipe.structure, 2, seed=0, dtype=dtype)
    sizes = check_same(problem, net, dtype)
    assert sizes[0][0] == inside
    assert abs(sizes[0][1] - kept) <= 101


def test_two_symmetries_need_a_quarter_and_other_centres_do_too() -> None:
    box = Box(x=(0, 2), y=(1, 3))
    pde = PDE("x y", "u", lambda u, x, y: u.xx + u.yy - (x - 1) ** 2 * (y - 2) ** 2)
    values = [Dirichlet(box.face("x", end, 9), u=lambda x, y: (y - 2) ** 2) for end in ("low", "high")]
    problem = Problem("shifted", pde, box, [Residual(box.grid(21)), *values])
    assert check_same(problem, make_net(EVEN_X, EVEN_Y, centre=(1.0, 2.0))) == [(441, 121), (9, 5), (9, 5)]
    # About another centre the network is symmetric as well, but its points are not.
    assert check_same(problem, make_net(EVEN_X, EVEN_Y)) == [(441, 441), (9, 9), (9, 9)]


def test_three_inputs_and_a_permutation() -> None:
    box = Box(x=(-1, 1), y=(-1, 1), z=(-1, 1))
    problem = Problem("cube", PDE("x y z", "u", lambda u: u.lap - u), box, [Residual(box.grid(5))])
    turn = Symmetry(SignedPermutation((1, 2, 0), (1, 1, 1)), (1,))
    ((everything, kept),) = check_same(problem, make_net(turn))
    # Burnside: 5 points on the axis stay where they are.
    assert (everything, kept) == (125, (125 + 2 * 5) // 3)


def test_behind_an_embedding_and_within_an_ansatz() -> None:
    """Odd in x: cosines stay, sines change their signs; u has the symmetry, which N has in features."""
    box, odd = Box(t=(0, 1), x=(-1, 1)), Symmetry(SignedPermutation.flip(2, 1), (-1,))
    problem = Problem("ring", PDE("t x", "u", lambda u: u.t - u.xx + u * u.x), box, [Residual(box.grid(9))])
    ends = {
        "embedding": Embedding.periodic(x=2.0, harmonics=2),
        "ansatz": Ansatz(u=lambda u, t, x: sp.sin(sp.pi * x) + t * u),
    }
    structure = symmetric_structure(problem, [odd], (2, 2), **ends)
    net = build_network(problem, Network("psi", structure=structure, width=3, dtype="float64", **ends))
    # Where an odd periodic residual is zero, at x = 0, -1 and 1, t and 1 - t are one orbit, too.
    assert check_same(problem, net) == [(81, 3 * 9 + 2 * 5)]


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("equation", Problem("odd", PDE("x y", "u", lambda u: u.lap + u.x + u), BOX, [Residual(BOX.grid(7))])),
        ("source", Problem("tilted", PDE("x y", "u", lambda u, x: u.lap - x), BOX, [Residual(BOX.grid(7))])),
        ("points", Problem("random", PDE("x y", "u", lambda u: u.lap), BOX, [Residual(BOX.random(49, seed=0))])),
        ("values", Problem("data", PDE("x y", "u", lambda u: u.lap), BOX,
                           [Data(BOX.grid(7), u=np.arange(49.0))])),
        ("two sites", Problem("ring", PDE("x y", "u", lambda u: u.lap), BOX,
                              [Periodic(BOX.face("y", "low", 7), BOX.face("y", "high", 7), "u u_x")])),
    ],
)  # fmt: skip
def test_what_is_not_symmetric_keeps_its_points(what: str, problem: Problem) -> None:
    net = make_net(EVEN_X)
    terms = problem.terms(FLOAT64)
    (kept,) = one_point_per_orbit(problem, net, terms, get_backend())
    assert kept is terms[0], what


def test_dense_networks_keep_all_points_without_a_look() -> None:
    problem = get_problem("laplace")
    terms = problem.terms(FLOAT64)
    assert one_point_per_orbit(problem, MLP([2, 4, 1], dtype=FLOAT64), terms, get_backend()) == terms


def test_points_without_image_and_equal_points_count_once_each() -> None:
    """Three images of one point, one without any, and one point given twice: the mean stays that of all six."""
    points = np.array([[0.5, 0.2], [-0.5, 0.2], [0.3, 0.9], [0.1, -0.4], [0.1, -0.4], [-0.1, -0.4]])
    problem = Problem("few", PDE("x y", "u", lambda u: u.lap + u), BOX, [Residual(points)])
    assert check_same(problem, make_net(EVEN_X)) == [(6, 3)]


@pytest.mark.parametrize(
    ("equation", "is_even"),
    [(lambda u: u.lap + sp.log(sp.sin(40 * u)), True), (lambda u, x: u.lap + x + sp.exp(1000 * sp.sin(40 * u)), False)],
)
def test_residuals_that_are_not_finite_keep_their_points(equation: Callable[..., object], is_even: bool) -> None:
    """NaN or infinite at some points of random networks: those are kept, and say nothing about the others."""
    problem = Problem("log or exp", PDE("x y", "u", equation), BOX, [Residual(BOX.grid(5))])
    net = make_net(EVEN_X)
    (sizes,) = residual_sizes(problem, net, get_backend(), torch.device("cpu"))
    assert 0 < np.isnan(sizes).any(0).sum() < 25
    (kept,) = one_point_per_orbit(problem, net, problem.terms(FLOAT64), get_backend())
    assert (15 < kept.n_points < 25) if is_even else kept.n_points == 25


def count_orbits(points: list[list[float]], *sizes: list[float]) -> int:
    """Orbits under the maps of the square, for residuals of these sizes in each draw."""
    problem = Problem("given", PDE("x y", "u", lambda u: u.lap), BOX, [Residual(np.array(points))])
    return len(set(orbit_numbers(problem, 0, np.array(sizes)).tolist()))


@pytest.mark.parametrize(("distance", "orbits"), [(1.3e-9, 1), (1.5e-9, 2)])
def test_an_image_is_a_point_to_nine_digits(distance: float, orbits: int) -> None:
    """Of half the square's diagonal, sqrt(2)."""
    points = [[0.3, 0.2], [0.3, -0.2 + distance]]
    assert count_orbits(points, [1.0, 1.0], [2.0, 2.0]) == orbits


@pytest.mark.parametrize(
    ("first", "second", "orbits"),
    [
        # Equal to nine digits in every draw.
        ([1.0, 1.0, 1.0], [1.0, 1.0 + 1.9e-9, 1.0], 2),
        ([1.0, 1.0, 1.0], [1.0, 1.0 + 3e-9, 1.0], 3),
        ([1.0, 1.0 + 1e-7, 1.0], [1.0, 1.0, 1.0], 3),
        # Or to rounding errors of the largest residual of their draw.
        ([0.0, 0.9e-12, 1.0], [0.0, 0.0, 1e9], 2),
        ([0.0, 1.1e-12, 1.0], [0.0, 0.0, 1e9], 3),
        ([0.0, 0.9e-12, np.nan], [0.0, 0.0, 1.0], 3),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 2),
        # NaN equals nothing.
        ([1.0, np.nan, 1.0], [1.0, 1.0, 1.0], 3),
        ([np.nan, np.nan, 1.0], [1.0, 1.0, 1.0], 3),
    ],
)
def test_residuals_are_equal_to_nine_digits(first: list[float], second: list[float], orbits: int) -> None:
    """Of a point and its image; the third has none."""
    assert count_orbits([[0.3, 0.2], [0.3, -0.2], [0.9, 0.1]], first, second) == orbits


def test_a_point_is_no_image_of_itself_and_orbits_join() -> None:
    """On an axis; two pairs by two maps are one orbit of four; equal points without a map between them stay."""
    assert count_orbits([[0.3, 0.0], [0.7, 0.0]], [1.0, 1.0]) == 2
    four = [[0.3, 0.2], [-0.3, 0.2], [0.3, -0.2], [-0.3, -0.2], [0.2, 0.3]]
    assert count_orbits(four, [1.0] * 5) == 1
    assert count_orbits(four, [1.0] * 4 + [2.0]) == 2


@pytest.mark.parametrize("image", [[-0.3, 0.2], [0.3, -0.2], [-0.3, -0.2], [0.2, 0.3], [-0.2, 0.3], [0.2, -0.3]])
def test_every_map_of_the_square_by_itself(image: list[float]) -> None:
    assert count_orbits([[0.3, 0.2], image], [1.0, 1.0]) == 1


def test_many_points_are_searched_where_a_few_show_a_symmetry() -> None:
    """More than are probed, half of them with an image."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0.1, 0.9, (600, 2)) * [1, 0.5]
    mirrored = np.concatenate([points, points[:300] * [1, -1]]).tolist()
    assert count_orbits(mirrored, [1.0] * 900) == 600


def test_the_mean_of_squares_is_kept_and_points_stay_in_order() -> None:
    """sqrt(c n / N): three points of five are kept, of orbits of two, one and two."""
    points = np.array([[0.5, 0.2], [0.3, 0.9], [-0.5, 0.2], [0.1, -0.4], [-0.1, -0.4]])
    problem = Problem("few", PDE("x y", "u", lambda u: u.lap + u), BOX, [Residual(points)])
    (kept,) = one_point_per_orbit(problem, make_net(EVEN_X), problem.terms(FLOAT64), get_backend())
    assert kept.points[0].tolist() == points[[0, 1, 3]].tolist()
    assert kept.columns[:, -1].square().tolist() == pytest.approx([2 * 3 / 5, 3 / 5, 2 * 3 / 5])
    assert kept.points.is_contiguous()


def test_scaled_programs_are_the_scaled_residuals_and_their_gradients() -> None:
    problem = get_problem("burgers-inverse")
    rng = np.random.default_rng(0)
    for term in problem.terms(FLOAT64):
        program = scaled_by_column(term.program)
        assert sum(isinstance(kind, Adjoint) for kind in program.inputs) == term.program.n_residuals
        n, channels = 11, len(term.program.channels)
        jets = torch.from_numpy(rng.standard_normal((1, channels, n, 1)))
        points = torch.from_numpy(rng.standard_normal((1, n, 2)))
        columns = torch.from_numpy(rng.standard_normal((n, term.program.n_columns)))
        s = torch.from_numpy(rng.uniform(1, 2, n))
        both, coefficients = torch.cat([columns, s[:, None]], 1), torch.tensor([0.3], dtype=FLOAT64)
        plain, ours = torch_program(term.program), torch_program(program)
        r = plain.residuals(jets, points, columns, coefficients)
        scaled = ours.residuals(jets, points, both, coefficients)
        assert all(torch.allclose(s * a, b) for a, b in zip(r, scaled, strict=True))
        bar = [torch.from_numpy(rng.standard_normal(n)) for _ in r]
        expected = plain.adjoint(jets, points, columns, coefficients, [s * b for b in bar])
        for a, b in zip(expected, ours.adjoint(jets, points, both, coefficients, bar), strict=True):
            assert torch.allclose(torch.as_tensor(a), torch.as_tensor(b))


@pytest.mark.trajectory
def test_training_is_that_on_all_points() -> None:
    """Adam, and Gauss-Newton on all points, end with the weights that all points give, up to rounding."""
    problem = get_problem("laplace")
    assert problem.recipe.structure is not None
    net = PsiMLP(problem.recipe.structure, 2, seed=0, dtype=FLOAT64)
    state = AdamState(net.theta.detach().clone(), torch.empty(0, dtype=FLOAT64), 1e-3)
    engine = get_backend("cpu")
    losses = engine.train(net.plan, state, problem.terms(FLOAT64), problem.weights(FLOAT64), 30).losses
    result = fit(problem, net, Adam(30, lr=1e-3), options=Options(backend="cpu"))
    assert torch.allclose(net.theta, state.theta, rtol=1e-9, atol=1e-12)
    assert result.history["residual"][0] == pytest.approx(float(losses[0, 0]), rel=1e-10)
    found = fit(problem, net, GaussNewton(3, points="all", resample=None, balance=False))
    none = torch.empty(0, dtype=FLOAT64)
    terms, weights = problem.terms(FLOAT64), problem.weights(FLOAT64)
    final = engine.loss_and_gradient(net.plan, net.theta.detach(), none, terms, weights)
    assert list(found.losses.values()) == pytest.approx(final.losses.tolist(), rel=1e-9)


def test_terms_of_single_equations_are_folded_where_each_of_them_repeats() -> None:
    """A network that is even in y and unchanged if x and y change places: the latter exchanges two equations."""
    pde = PDE("x y", "u", lambda u: {"along_x": u.xx - u, "along_y": u.yy - u, "both": u.lap + 1})
    grid = BOX.grid(6)
    terms = [Residual(grid, equations=name, weight=2.0) for name in pde.equations]
    swap = Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))
    net = make_net(EVEN_Y, swap)
    assert check_same(Problem("one", pde, BOX, [Residual(grid)]), net) == [(36, 6)]
    assert check_same(Problem("three", pde, BOX, terms), net) == [(36, 9), (36, 9), (36, 6)]
