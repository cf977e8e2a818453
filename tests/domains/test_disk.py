"""Disks: everything that a domain has, from one file."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import sympy
import torch

import psinn_fast as pf
from psinn_fast import PDE, Dirichlet, Disk, InputError, Neumann, Problem, Residual
from psinn_fast.pictures.canvas import Canvas
from psinn_fast.training.identity import differences, run_identity
from psinn_fast.training.metrics import ErrorMeter
from psinn_fast.training.points.held_out import HeldOut
from psinn_fast.training.points.point_orbits import one_point_per_orbit
from psinn_fast.training.points.redraw import Redraw
from psinn_fast.training.points.sampling import is_boundary_term

pytestmark = pytest.mark.verdict

DISK = Disk((0.5, -0.25), 1.5)
X, Y = sympy.symbols("x y")
U = sympy.exp(-(X**2) / 2) * sympy.cos(Y)
SOURCE = sympy.diff(U, X, 2) + sympy.diff(U, Y, 2)
VALUE, BY_X, BY_Y = (sympy.lambdify((X, Y), e, "numpy") for e in (U, sympy.diff(U, X), sympy.diff(U, Y)))
POISSON = PDE("x y", "u", lambda u, x, y: u.lap - SOURCE.subs({X: x, Y: y}))
RADIAL = PDE("x y", "u", lambda u: u.lap + 1)
RIM = DISK.boundary(200)


def flux(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """n . grad u on the rim."""
    return np.asarray((BY_X(x, y) * (x - 0.5) + BY_Y(x, y) * (y + 0.25)) / 1.5)


def poisson(*conditions: pf.Condition) -> Problem:
    inside = Residual(DISK.random(1500, seed=0))
    return Problem("poisson", POISSON, DISK, [inside, *conditions], exact=lambda p: VALUE(*p.T))


def radial(pde: PDE = RADIAL, n: int = 200) -> Problem:
    return Problem("radial", pde, DISK, [Residual(DISK.grid(41)), Dirichlet(DISK.boundary(n), u=0.0)])


@pytest.mark.trajectory
@pytest.mark.parametrize(
    "conditions",
    [
        [Dirichlet(RIM, u=VALUE)],
        [Neumann(RIM, u=flux), Dirichlet(np.array([[0.5, -0.25]]), u=VALUE)],
        [Residual(RIM, lambda u, n_x, n_y, g: u.x * n_x + u.y * n_y + u - g, g=lambda x, y: flux(x, y) + VALUE(x, y))],
    ],
    ids=["dirichlet", "neumann", "robin"],
)
def test_poisson_to_six_digits(conditions: list[pf.Condition]) -> None:
    optimizer = pf.GaussNewton(steps=120)
    found = pf.solve(poisson(*conditions), pf.Network("pinn", layers=[2, 16, 16, 1]), optimizer, seed=0)
    assert found.metrics["relative_l2"] < 1e-6
    assert found.metrics["boundary_rmse"] < 1e-6
    assert found.status == "done"


def test_points_and_normals() -> None:
    np.testing.assert_allclose(np.linalg.norm(RIM - DISK.centre, axis=1), 1.5, rtol=1e-15)
    np.testing.assert_allclose(RIM.normals, (RIM - DISK.centre) / 1.5, rtol=1e-12)
    assert (np.linalg.norm(DISK.random(300, 0) - DISK.centre, axis=1) <= 1.5).all()
    assert len(DISK.grid(101)) == pytest.approx(np.pi / 4 * 100**2, rel=0.01)
    assert DISK.parts == ("rim",)
    assert repr(Disk()) == "Disk(x in [-1, 1], y in [-1, 1])"
    for again in (copy.deepcopy(DISK), pickle.loads(pickle.dumps(DISK))):
        assert (again.boundary(7) == DISK.boundary(7)).all()
        assert (again.middle, again.radius) == (pytest.approx(DISK.middle), 1.5)
    assert Disk(coords="r s").coords == ("r", "s")


def test_training_takes_other_points() -> None:
    own = poisson(Neumann(RIM, u=flux))
    terms = own.terms(torch.float64)
    draws = Redraw(own, terms)
    draws.draw(0)
    for inside, edge in (draws.terms, HeldOut(own, 512).terms):
        assert inside is not None
        assert edge is not None
        assert DISK.inside(inside.points[0].numpy()).all()
        points, (given, *normals) = edge.points[0].numpy(), edge.columns.T.numpy()
        np.testing.assert_allclose(np.stack(normals, 1), (points - DISK.centre) / 1.5, atol=1e-14)
        np.testing.assert_allclose(given, flux(*points.T))
        assert edge.n_points == 512 // 8 or not torch.equal(edge.points, terms[1].points)
    assert [is_boundary_term(own, condition) for condition in own.conditions] == [False, True]


def test_folding() -> None:
    """One of the eight points of an orbit."""
    reflections = [
        pf.Symmetry(pf.SignedPermutation((0, 1), (1, -1)), (1,)),
        pf.Symmetry(pf.SignedPermutation((1, 0), (1, 1)), (1,)),
    ]
    structure = pf.structure_from_group(reflections, (1, 1), "regular", "even", tuple(DISK.centre))
    net = pf.PsiMLP(structure, seed=0, dtype=torch.float64)
    own = radial()
    terms = own.terms(torch.float64)
    inside, edge = one_point_per_orbit(own, net, terms, pf.get_backend("auto"))
    assert inside.n_points < 0.16 * terms[0].n_points
    assert edge.n_points == 25


def test_discover_gives_the_maps_of_the_square() -> None:
    found = pf.discover(radial(), tests=("problem",))
    assert len(found.group) == 7
    assert all(match.symmetry.character == (1,) for match in found.group)
    lopsided = PDE("x y", "u", lambda u, y: u.lap + (y + 0.25) ** 2)
    assert {match.text for match in pf.discover(radial(lopsided), tests=("problem",)).group} == {
        "x -> -x", "y -> -y", "x -> -x, y -> -y",
    }  # fmt: skip


def test_errors_and_pictures_are_of_the_disk() -> None:
    def exact(p: np.ndarray) -> np.ndarray:
        outside = np.linalg.norm(p - DISK.centre, axis=1) > 1.5 + 1e-9
        return np.where(outside, np.inf, VALUE(*p.T))  # which errors would refuse

    own = Problem("poisson", POISSON, DISK, poisson(Dirichlet(RIM, u=VALUE)).conditions, exact=exact)
    net = pf.MLP([2, 4, 1], seed=0)
    metrics = ErrorMeter(own)(net)
    assert metrics["boundary_rmse"] > 0
    points = DISK.unseen_grid(201)
    error = net(torch.from_numpy(points).float()).detach().numpy()[:, 0] - VALUE(*points.T)
    assert metrics["relative_l2"] == pytest.approx(np.linalg.norm(error) / np.linalg.norm(VALUE(*points.T)), rel=1e-5)
    canvas = Canvas(DISK, 51)
    drawn = np.isfinite(canvas.image(np.ones(len(canvas.points)))).sum()
    assert drawn == len(canvas.points) == pytest.approx(np.pi / 4 * 50**2, rel=0.02)
    assert len(pf.solution_figure(own, net).axes[0].lines) == 1


def test_checkpoints_know_the_disk() -> None:
    net = pf.MLP([2, 4, 1], seed=0)
    points = [Residual(np.array(Disk(DISK.centre, 1.0).grid(9)))]
    disks = (DISK, Disk((0.5, -0.25), 1.5), Disk((0.5, -0.25), 1.4), pf.Box(x=(-1, 2), y=(-1.75, 1.25)))
    same, again, smaller, box = (run_identity(Problem("p", RADIAL, disk, points), net, {}) for disk in disks)
    assert list(differences(same, again)) == []
    assert any(text.startswith("domain.") for text in differences(same, smaller))
    assert "domain.class: saved 'Disk', now 'Box'" in list(differences(same, box))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Disk((0, 0, 0)), "centre, coords: expected two of each"),
        (lambda: Disk(coords="x"), "centre, coords: expected two of each"),
        (lambda: Disk(radius=0), "radius: expected a finite number > 0, got 0"),
        (lambda: Disk((0, np.nan)), "centre: 1 of 2 numbers are NaN"),
        (lambda: Disk(coords="x x"), "coords: expected at least one name and no name twice"),
        (lambda: DISK.boundary(5, "edge"), r"part: expected one of \['rim'\], the parts of Disk"),
    ],
)
def test_bad_input(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
