"""Sampling, checks, metrics, pictures, discovery and checkpoints ask the domain, whatever it is."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
import torch
from domains.shapes import Ball, LShape, Ring

import psinn_fast as pf
from psinn_fast import PDE, Box, Data, Dirichlet, Domain, InputError, Neumann, Periodic, Problem, Residual
from psinn_fast.discovery.distillation import distil
from psinn_fast.discovery.student import StudentSettings
from psinn_fast.discovery.teachers import asymmetries
from psinn_fast.pictures.canvas import Canvas
from psinn_fast.pictures.solution import solution_figure
from psinn_fast.problem.checks.coverage import coverage
from psinn_fast.problem.checks.missing_conditions import missing_conditions
from psinn_fast.symmetries.symmetry_check import find_symmetries
from psinn_fast.training.identity import differences, run_identity
from psinn_fast.training.metrics import ErrorMeter
from psinn_fast.training.optimisers.marching import is_initial_value_problem, until
from psinn_fast.training.points.held_out import HeldOut
from psinn_fast.training.points.point_orbits import one_point_per_orbit
from psinn_fast.training.points.sampling import Sampler, is_boundary_term

L, RING = LShape(), Ring()
LAPLACE = PDE("x y", "u", lambda u: u.lap)
EVEN = pf.structure_from_group(
    [pf.Symmetry(pf.SignedPermutation((0, 1), (1, -1)), (1,)), pf.Symmetry(pf.SignedPermutation((1, 0), (1, 1)), (1,))],
    (1, 1),
)


def problem(domain: Domain, *conditions: Any, pde: PDE = LAPLACE, **settings: Any) -> Problem:
    made = conditions or (Residual(domain.grid(21)), Dirichlet(domain.boundary(80), u=0.0))
    return Problem("p", pde, domain, list(made), **settings)


def saddle(p: np.ndarray) -> np.ndarray:
    return np.asarray(p[:, 0] ** 2 - p[:, 1] ** 2)


def test_which_terms_are_boundary_terms() -> None:
    """By their points' parts, and arrays by the domain; whatever the kind of a residual."""
    inner, outer = RING.boundary(9, "inner"), RING.boundary(9, "outer")
    small = Ring(inner=0.6, outer=0.8)
    conditions = [
        Residual(inner), Residual(np.array(outer), lambda u: u.x), Residual(outer.astype(np.float32), lambda u: u.x),
        Residual(RING.random(9, 0)), Residual(np.array(RING.random(9, 0))), Residual(small.boundary(9)),
        Dirichlet(np.array(RING.random(9, 0)), u=0.0), Data(outer, u=0.0),
    ]  # fmt: skip
    own = problem(RING, *conditions)
    expected = [True, True, False, False, False, False, True, False]
    assert [is_boundary_term(own, c) for c in own.conditions] == expected
    assert [is_boundary_term(copy.deepcopy(own), c) for c in copy.deepcopy(own).conditions] == expected
    # The corners' box is not the domain: points on its sides are inside, or outside.
    assert not is_boundary_term(problem(L, Residual(np.array([[0.0, -1 / 3], [-0.2, 0.0]]))), Residual([[0.0, -1 / 3]]))


def test_draws_stay_inside() -> None:
    own = problem(L, Residual(L.random(500, seed=0)), Dirichlet(L.boundary(500), u=lambda x, y: x))
    sampler = Sampler(own, own.terms(torch.float64), 120, 0, fills=True)
    assert sampler.redraws == [True, True]
    sampler.refine()
    for inside, edge in (sampler.draw(1), sampler.focused(1, lambda term: term.points[0, :, :1], 1.0)):
        assert inside.n_points == 120
        assert L.inside(inside.points[0].numpy()).all()
        assert L.on_boundary(edge.points[0].numpy()).all()
        assert torch.equal(edge.columns[:, 0], edge.points[0, :, 0])
    held_inside, held_edge = HeldOut(own, 400).terms
    assert held_inside.n_points == 400
    assert L.inside(held_inside.points[0].numpy()).all()
    assert L.on_boundary(held_edge.points[0].numpy()).all()


def test_partners_are_drawn_together() -> None:
    """Where both parts run the same way; what was turned around is an array."""

    class Strip(Domain):
        """Between y = 0 and y = 1 + x (1 - x), with sides of one length."""

        parts = ("left", "right")

        def __init__(self) -> None:
            super().__init__(x=(0, 1), y=(0, 1.25))

        def contains(self, points):
            x, y = points.T
            return (y >= 0) & (y <= 1 + x * (1 - x))

        def boundary_at(self, part, unit):
            sign = 1.0 if part == "right" else -1.0
            return np.column_stack([0 * unit + (sign + 1) / 2, unit]), np.tile([sign, 0.0], (len(unit), 1))

    strip = Strip()
    left, right = strip.boundary(9, "left"), strip.boundary(9, "right")
    own = problem(strip, Residual(strip.grid(9)), Periodic(left, right, "u u_x"), Periodic(left, right[::-1], "u_y"))
    terms = HeldOut(own, 200).terms
    assert terms[1] is not None
    here, there = terms[1].points.numpy()
    assert not np.array_equal(here[:9], left)
    np.testing.assert_allclose(there - here, np.tile([1.0, 0.0], (len(here), 1)), atol=1e-15)
    assert "periodic1: weight 1, 9 pairs of points of left and right, may be drawn anew" in own.describe()
    assert "periodic2: weight 1, 9 pairs of points as given" in own.describe()


def test_points_between_those_of_arrays_stay_inside() -> None:
    """Neighbours on both sides of a gap that is thinner than their distance have none of the domain between them."""

    class Slotted(LShape):
        parts = ("slot",)

        def contains(self, points):
            return ~((abs(points[:, 0]) < 0.04) & (points[:, 1] > 0))

        def boundary_at(self, part, unit):
            return np.stack([0.04 + 0 * unit[:, 0], unit[:, 0]], 1), None

    grid = np.array(Box(x=(-1, 1), y=(-1, 1)).grid(20))
    term = HeldOut(problem(Slotted(), Residual(grid), Dirichlet([[1.0, 1.0]], u=0.0)), 3000).terms[0]
    assert term is not None
    assert 1000 < term.n_points < 3000
    assert not Slotted().outside(term.points[0].numpy()).any()


def test_points_outside_are_refused() -> None:
    with pytest.raises(InputError, match=r"points: 100 of 441 lie outside the domain LShape.* is \(0.1, 0.1\)"):
        problem(L, Residual(Box(x=(-1, 1), y=(-1, 1)).grid(21)))
    with pytest.raises(InputError, match="domain: expected the coordinates"):
        Problem("p", PDE("y x", "u", lambda u: u.lap), L, [Residual(L.grid(5))])
    with pytest.raises(InputError, match="points of a Rod with the coordinates"):
        problem(L, Residual(Rod().random(9, 0), outside=True))
    with pytest.raises(InputError, match=r"symmetries: x -> -x about its centre does not take LShape.* to itself"):
        problem(L, symmetries=[pf.Symmetry(pf.SignedPermutation((0, 1), (-1, 1)), (1,))])


def test_where_the_equation_holds() -> None:
    rim = Dirichlet(RING.boundary(20), u=0.0)
    assert coverage(problem(RING, Residual(RING.random(50, 0)), rim)) == ()
    half = Ring(inner=0.75)
    (text,) = coverage(problem(RING, Residual(half.random(50, 0)), rim))
    assert re.fullmatch(r"the equation holds in 5[78]% of Ring\(.*\) only", text)  # 7/12
    # Together they cover it; arrays say nothing that is sure.
    both = [Residual(half.random(50, 0)), Residual(Ring(inner=0.5, outer=0.75).grid(21))]
    assert coverage(problem(RING, *both, rim)) == ()
    assert coverage(problem(RING, Residual(np.array(half.random(50, 0))), rim)) == ()
    (text,) = coverage(problem(RING, Residual(RING.boundary(20)), rim))
    assert text == "the equation is asked for at no point inside the domain"
    square = Box(x=(-1, 1), y=(-1, 1))
    (text,) = coverage(problem(square, Residual(RING.random(50, 0)), rim))
    assert re.fullmatch(r"the equation holds in 5\d% of Box.* only", text)  # 3 pi / 16
    (text,) = missing_conditions(problem(RING, Residual(RING.random(50, 0))))
    assert "no condition on parts 'inner' and 'outer'" in text
    assert missing_conditions(problem(RING, Residual(RING.random(50, 0)), rim)) == ()


def test_metrics_and_pictures() -> None:
    """Where the domain is, and nowhere else: an exact solution that is infinite elsewhere is none of their business."""

    def exact(p: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.where(np.hypot(*p.T) < 0.49, np.inf, saddle(p))

    own = problem(RING, exact=exact)
    net = pf.MLP([2, 4, 1], seed=0)
    metrics = ErrorMeter(own)(net)
    points, edge = RING.unseen_grid(201), RING.unseen_boundary(201)
    u = net(torch.from_numpy(points).float()).detach().double().numpy()[:, 0]
    assert metrics["rmse"] == pytest.approx(np.sqrt(((u - exact(points)) ** 2).mean()), rel=1e-5)
    u = net(torch.from_numpy(edge).float()).detach().double().numpy()[:, 0]
    assert metrics["boundary_rmse"] == pytest.approx(np.sqrt(((u - exact(edge)) ** 2).mean()), rel=1e-5)
    canvas = Canvas(RING, 41)
    image = canvas.image(np.ones(len(canvas.points)))
    assert np.isnan(image[20, 20])
    assert np.isnan(image[0, 0])
    assert image[20, 35] == 1
    figure = solution_figure(own, net)
    assert [len(axis.lines) for axis in figure.axes[:3]] == [2, 2, 2]
    image = np.asarray(figure.axes[0].images[0].get_array())
    assert np.isnan(image[len(image) // 2, image.shape[1] // 2])


def test_a_picture_beside_a_hole() -> None:
    """Of three coordinates the third is where there is something."""

    class Upper(Ball):
        def contains(self, points):
            return ((points**2).sum(1) <= 1) & (points[:, 2] >= 0.1)

    canvas = Canvas(Upper(), 21)
    assert len(canvas.points) > 0
    assert Upper().inside(canvas.points).all()


def test_a_domain_without_parts() -> None:
    class Blob(Ring):
        parts = ()

        def contains(self, points):
            return (points**2).sum(1) <= 0.9

    own = problem(Blob(), Residual(Blob().grid(9)), exact=saddle)
    metrics = ErrorMeter(own)(pf.MLP([2, 4, 1], seed=0))
    assert metrics["boundary_rmse"] is None
    assert metrics["rmse"] > 0
    assert len(Blob().symmetries()) == 7


def test_folding() -> None:
    """One eighth of an even grid, and of points on both circles."""
    own = problem(RING, Residual(RING.grid(40)), Dirichlet(RING.boundary(120), u=0.0))
    terms = own.terms(torch.float64)
    net = pf.PsiMLP(EVEN.with_width(2), seed=0, dtype=torch.float64)
    engine = pf.get_backend("reference")
    folded = one_point_per_orbit(own, net, terms, engine)
    assert folded[0].n_points < 0.16 * terms[0].n_points
    assert folded[1].n_points == 15
    none = torch.zeros(0, dtype=torch.float64)
    for term, few in zip(terms, folded, strict=True):
        whole, part = (engine.residual_jacobian(net.plan, net.theta.detach(), none, own)[0] for own in (term, few))
        assert float(part.square().mean()) == pytest.approx(float(whole.square().mean()), rel=1e-10)


def test_symmetries_of_problems_and_functions() -> None:
    verdicts = {s.text: s.verdict for s in pf.problem_symmetries(problem(L)) if s.symmetry.character == (1,)}
    assert verdicts == {"x -> y, y -> x": "holds"}
    assert len([s for s in pf.problem_symmetries(problem(RING)) if s.verdict == "holds"]) == 14  # both signs

    def only_inside(p: np.ndarray) -> np.ndarray:
        return np.where(L.outside(p), np.nan, p[:, 0] * p[:, 1])[:, None]

    assert [found.text for found in find_symmetries(only_inside, L)] == ["x -> y, y -> x"]
    nets = [pf.MLP([2, 4, 1], seed=seed) for seed in (0, 1)]
    assert len(asymmetries(problem(L), nets, L.symmetries())) == 1


@pytest.mark.parametrize("n", [120, 121])
def test_symmetries_of_functions_on_a_boundary(n: int) -> None:
    """Whether points have counterparts or not: values and normals are known at the mapped points."""

    def g(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(x**2 * y)

    inner, outer = RING.boundary(n, "inner"), RING.boundary(n, "outer")
    own = problem(
        RING,
        Residual(RING.random(400, 0), weight=lambda x, y: 2 + x),
        Dirichlet(inner, u=g),
        Neumann(outer, u=lambda x, y: 1e-3 * x, name="flux"),
        Residual(outer, lambda u, n_x, n_y, g: u.x * n_x + u.y * n_y + u - g, g=g, name="robin"),
    )
    names = ("y -> -y", "x -> -x")
    found = {(s.text, s.symmetry.character[0]): s for s in pf.problem_symmetries(own) if s.text in names}
    assert {key: s.verdict for key, s in found.items()} == dict.fromkeys(found, "broken")
    assert found["x -> -x", 1].reason.startswith("flux: at")
    own = problem(RING, *own.conditions[:2], Neumann(outer, u=g), own.conditions[3])
    found = {(s.text, s.symmetry.character[0]): s for s in pf.problem_symmetries(own) if s.text in names}
    assert [key for key, s in found.items() if s.verdict == "holds"] == [("y -> -y", -1), ("x -> -x", 1)]
    assert {s.verdict for s in found.values()} == {"holds", "broken"}


def test_students_imitate_inside() -> None:
    teacher = pf.MLP([2, 4, 1], seed=0, dtype=torch.float64)
    found = distil(problem(L), teacher, settings=StudentSettings((4,), starts=1, steps=20, grid=9, threshold=0.1))
    assert found.imitation_error[0] < 1


class Rod(Domain):
    """x in [0, 1], from t = 0 on, until it is cut."""

    parts = ("start", "left", "right")

    def __init__(self, last: float = 2.0) -> None:
        super().__init__(t=(0, last), x=(0, 1))

    def contains(self, points):
        return np.ones(len(points), dtype=bool)

    def boundary_at(self, part, unit):
        t, x = unit.T[0] * self.high[0], unit.T[0]
        if part == "start":
            return np.stack([0 * x, x], 1), np.tile([-1.0, 0.0], (len(x), 1))
        side = float(part == "right")
        return np.stack([t, side + 0 * t], 1), np.tile([0.0, 2 * side - 1], (len(t), 1))


class Cut(Rod):
    def shrunk(self, coord, origin, factor):
        assert (coord, origin) == ("t", 0.0)
        return Cut(factor * self.high[0])


@pytest.mark.parametrize("kind", [Rod, Cut])
def test_windows_of_time(kind: type[Rod]) -> None:
    """Where a domain can be cut off, training may go on in windows; where it cannot, it does not."""
    rod = kind()
    pde = PDE("t x", "u", lambda u: u.t - 0.1 * u.xx)
    own = problem(
        rod,
        Residual(rod.grid(9)),
        Dirichlet(rod.boundary(9, "start"), u=lambda t, x: np.sin(np.pi * x)),
        Dirichlet(rod.boundary(9, "left"), u=lambda t, x: t),
        Neumann(rod.boundary(9, "right"), u=0.0),
        pde=pde,
    )
    assert is_initial_value_problem(own) == (kind is Cut)
    if kind is Cut:
        window = until(own, 0.25)
        assert window.domain.high.tolist() == [0.5, 1]
        inside, start, left, _ = window.conditions
        assert inside.regions[0].domain.high[0] == inside.sites[0][:, 0].max() == 0.5
        assert np.array_equal(start.sites[0], own.conditions[1].sites[0])
        assert np.array_equal(left.columns["u"], left.sites[0][:, 0])


def test_a_window_that_is_no_domain() -> None:
    rod = type("Wrong", (Rod,), {"shrunk": lambda self, *_: Box(x=(0, 1))})()
    with pytest.raises(
        InputError, match=r"Wrong.shrunk.*: expected a domain of the coordinates \['t', 'x'\] .* got Box"
    ):
        problem(rod, Residual(rod.grid(9)), pde=PDE("t x", "u", lambda u: u.t - u.xx))


def test_jumps_where_the_domain_is() -> None:
    """A source that jumps in the notch jumps nowhere."""

    def sign(s: sympy.Expr) -> sympy.Expr:
        return s / abs(s)

    def source(at: float) -> Problem:
        return problem(L, Residual(L.grid(41), lambda u, x, y: sympy.diff(u * sign(x + y - at), x)))

    source(1.5)
    with pytest.raises(InputError, match="jumps at"):
        source(-0.5)


def test_checkpoints_tell_domains_apart() -> None:
    net = pf.MLP([2, 4, 1], seed=0)
    points = [Residual(np.array(RING.grid(9))), Dirichlet(np.array(RING.boundary(9)), u=0.0)]
    Other = type("Other", (Ring,), {})
    identities = [run_identity(problem(d, *points), net, {}) for d in (RING, Ring(), Ring(inner=0.4), Other())]
    assert list(differences(identities[0], identities[1])) == []
    assert list(differences(identities[0], identities[2])) == ["domain.points inside and on its parts: other numbers"]
    assert "domain.class: saved 'Ring', now 'Other'" in list(differences(identities[0], identities[3]))


@pytest.mark.trajectory
@pytest.mark.pictures
def test_runs_on_a_domain_are_resumed(tmp_path: Path) -> None:
    network, again = pf.Network(layers=[2, 4, 1]), pf.Options(resume=True)
    whole = pf.solve(problem(RING), network, pf.Adam(60))
    pf.solve(problem(RING), network, pf.Adam(30), out=tmp_path)
    resumed = pf.solve(problem(RING), network, pf.Adam(60), out=tmp_path, options=again)
    assert torch.equal(resumed.net.theta, whole.net.theta)
    other = problem(Ring(inner=0.4), *problem(RING).conditions)
    with pytest.raises(pf.CheckpointError, match="points inside and on its parts"):
        pf.solve(other, network, pf.Adam(60), out=tmp_path, options=again)
