"""Products: a shape over a time, a height, a parameter."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from domains.shapes import Ball, LShape, Ring

import psinn_fast as pf
from psinn_fast import PDE, Box, Dirichlet, Disk, Domain, InputError, Neumann, Problem, Residual
from psinn_fast.domains import shrunk
from psinn_fast.pictures.canvas import Canvas
from psinn_fast.pictures.solution import solution_figure
from psinn_fast.problem.checks.coverage import coverage
from psinn_fast.problem.checks.missing_conditions import missing_conditions
from psinn_fast.training.identity import differences, run_identity
from psinn_fast.training.metrics import ErrorMeter
from psinn_fast.training.optimisers.marching import is_initial_value_problem, until
from psinn_fast.training.points.held_out import HeldOut

DISK = Disk((1, 0), 0.5)
HEATED = Box(t=(0, 2)) * DISK
HEAT = PDE("t x y", "u", lambda u: u.t - u.lap)


def problem(domain: Domain, *conditions: Any, pde: PDE = HEAT, **settings: Any) -> Problem:
    return Problem("heat", pde, domain, list(conditions), **settings)


def heat(*conditions: Any, inside: Any = None, domain: Domain = HEATED) -> Problem:
    given = conditions or (
        Dirichlet(domain.boundary(100, "t_low"), u=1.0, name="initial"),
        Dirichlet(domain.boundary(100, "rim"), u=0.0, name="rim"),
    )
    return problem(domain, Residual(domain.random(300, 0) if inside is None else inside), *given)


@pytest.mark.parametrize(
    ("domain", "parts"),
    [
        (HEATED, ("t_low", "t_high", "rim")),
        (DISK * Box(a=(1, 4)), ("rim", "a_low", "a_high")),
        (Box(t=(0, 1)) * LShape() * Box(a=(1, 3)), None),
        (Disk() * Disk((0, 1), 2, "a b"), ("rim1", "rim2")),
    ],
    ids=["disk over a time", "disk and parameter", "four coordinates", "two disks"],
)
def test_points_normals_and_sizes(domain: Domain, parts: tuple[str, ...] | None) -> None:
    domain.check()
    assert parts is None or domain.parts == parts
    factors = domain.factors  # type: ignore[attr-defined]  # a product has them
    assert domain.coords == tuple(name for factor in factors for name in factor.coords)
    integral, d, flux = np.zeros(len(domain.coords)), len(domain.coords), 0.0
    for part in domain.parts:
        points = domain.boundary(2000, part)
        assert domain.on_boundary(points).all()
        assert len(np.unique(points, axis=0)) == len(points)
        np.testing.assert_allclose(np.linalg.norm(points.normals, axis=1), 1, rtol=1e-12)
        assert points.weights.sum() == pytest.approx(domain.measure(part))
        integral += points.weights @ points.normals
        flux += points.weights @ (points * points.normals).sum(1)
    # The divergence theorem, as far as 2,000 points of each part are even.
    surface = sum(map(domain.measure, domain.parts))
    np.testing.assert_allclose(integral, 0, atol=5e-3 * surface)
    assert flux == pytest.approx(d * domain.measure(), rel=0.01)
    assert domain.contains(domain.random(1000, 0)).all()
    anywhere = domain.from_unit(np.random.default_rng(0).random((500, d)))
    pieces = np.split(anywhere, np.cumsum([len(f.coords) for f in factors])[:-1], axis=1)
    inside = np.logical_and.reduce([f.inside(own) for f, own in zip(factors, pieces, strict=True)])
    np.testing.assert_array_equal(domain.inside(anywhere), inside)
    np.testing.assert_array_equal(domain.outside(anywhere), ~inside)


def test_sizes() -> None:
    assert HEATED.measure() == pytest.approx(np.pi / 2, rel=2e-3)
    assert HEATED.measure("rim") == pytest.approx(2 * np.pi, rel=1e-4)
    assert HEATED.measure("t_low") == pytest.approx(np.pi / 4, rel=2e-3)
    with pytest.raises(InputError, match=r"one of \['t_low', 't_high', 'rim'\]"):
        HEATED.measure("t")


def test_faces_are_even() -> None:
    """Of disks exactly; of another domain by its cells: no gap is larger than a few distances."""
    start = HEATED.boundary(4000, "t_low")
    assert (start[:, 0] == 0).all()
    radii = np.sort(np.hypot(start[:, 1] - 1, start[:, 2]))
    np.testing.assert_allclose((radii / 0.5) ** 2, (np.arange(4000) + 0.5) / 4000, atol=1e-3)
    face = (Box(t=(0, 1)) * LShape()).boundary(3000, "t_high")
    counts, *_ = np.histogram2d(face[:, 1], face[:, 2], 8, ((-1, 1), (-1, 1)))
    assert counts[:4].min() > 0.8 * 3000 / 48
    assert counts.max() < 1.2 * 3000 / 48
    assert counts[4:, 4:].sum() == 0


def test_the_shares_of_parts_do_not_depend_on_units() -> None:
    slow = Box(t=(0, 2e6)) * DISK
    assert slow.shares(slow.parts, 600) == HEATED.shares(HEATED.parts, 600) == [100, 100, 400]


def test_graded_points() -> None:
    """Their mean distance from the rim, by the density, whatever the time's unit."""
    r = np.linspace(0, 0.5, 4001)
    w = r * (1 + 19 * np.exp(-(0.5 - r) / 0.1))
    for end in (2, 2e3):
        points = (Box(t=(0, end)) * DISK).graded(4000, 0, "rim", ratio=20)
        radii = np.hypot(points[:, 1] - 1, points[:, 2])
        assert radii.mean() == pytest.approx((r * w).sum() / w.sum(), rel=5e-3)
        assert points[:, 0].mean() == pytest.approx(end / 2, rel=0.01)


def test_boxes_stay_boxes() -> None:
    assert repr(Box(t=(0, 1)) * Box(x=(1, 2))) == "Box(t=(0, 1), x=(1, 2))"
    joined = Box(t=(0, 1)) * (Box(a=(1, 2)) * DISK)
    assert [repr(factor) for factor in joined.factors] == ["Box(t=(0, 1), a=(1, 2))", repr(DISK)]  # type: ignore[attr-defined]
    assert (Box(a=(0, 1), b=(0, 1), c=(0, 1)) * Box(d=(0, 1), e=(0, 1))).is_box


def test_symmetries_are_those_of_the_factors() -> None:
    assert len(HEATED.symmetries()) == 2 * 8 - 1
    assert len((Box(t=(0, 1)) * LShape()).symmetries()) == 2 * len(LShape().symmetries()) + 1
    np.testing.assert_allclose(HEATED.centre, [1, 1, 0])
    for g in HEATED.symmetries():
        rim = HEATED.boundary(50, "rim")
        assert HEATED.on_boundary(HEATED.centre + g(rim - HEATED.centre), 1e-6).all()


def test_copies() -> None:
    for again in (copy.deepcopy(HEATED), pickle.loads(pickle.dumps(HEATED))):
        assert again.parts == HEATED.parts
        np.testing.assert_array_equal(again.boundary(50), HEATED.boundary(50))
    with pytest.raises(AttributeError):
        HEATED.factors = ()  # type: ignore[misc]


def test_without_normals() -> None:
    tube = Box(t=(0, 1)) * Ball()
    assert tube.boundary(20, "sphere").normals is None
    assert tube.boundary(20, "t_low").normals is not None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(x=(0, 1)) * DISK, "both have the coordinate 'x'"),
        (lambda: DISK * DISK, "both have the coordinate 'x'"),
        (lambda: DISK * 2, "the product is of two domains, got 2"),
        (
            lambda: DISK * Disk(coords="a b") * Box(**dict.fromkeys("cdefg", (0, 1))),
            "up to 8 coordinates together, got 9",
        ),
        (lambda: HEATED.boundary(9, "x_low"), "expected one of"),
    ],
)
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_times_are_cut_off() -> None:
    window = shrunk(HEATED, "t", 0.0, 0.25)
    assert window is not None
    assert (window.high[0], window.parts) == (0.5, HEATED.parts)
    assert shrunk(HEATED, "x", 0.0, 0.5) is None
    own = heat()
    assert is_initial_value_problem(own)
    part = until(own, 0.25)
    assert part.domain.high[0] == 0.5
    assert all(site[:, 0].max() <= 0.5 for condition in part.conditions for site in condition.sites)
    rim = part.conditions[-1]
    assert rim.regions[0] is not None
    np.testing.assert_allclose(np.hypot(rim.sites[0][:, 1] - 1, rim.sites[0][:, 2]), 0.5)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ((), ()),
        ([("rim", 0)], ("the equation is of order 1 in t, with no condition at its ends",)),
        ([("t_high", 0), ("rim", 0)], ()),
        ([("t_low", 0)], ("the equation is of order 2 in space, with no condition on part 'rim' of the boundary",)),
    ],
)
def test_missing_conditions(conditions: Any, said: tuple[str, ...]) -> None:
    own = heat(*(Dirichlet(HEATED.boundary(100, part), u=0.0, name=part) for part, _ in conditions))
    assert missing_conditions(own) == said


def test_missing_conditions_by_arrays_and_regions() -> None:
    rim = Dirichlet(HEATED.boundary(100, "rim"), u=0.0)
    start = np.array(HEATED.boundary(200, "t_low"))
    assert missing_conditions(heat(Dirichlet(start, u=0.0), rim)) == ()
    half = Dirichlet(start[start[:, 1] < 1], u=0.0)
    (text,) = missing_conditions(heat(half, rim))
    assert text.startswith("the equation is of order 1 in t, with no condition at its ends where x is in [")
    waves = PDE("t x y", "u", lambda u: u.t.t - u.lap)
    own = problem(
        HEATED, Residual(HEATED.random(300, 0)), Dirichlet(HEATED.boundary(99, "t_low"), u=0.0), rim, pde=waves
    )
    assert missing_conditions(own)[0] == "the equation is of order 2 in t, with only 1 condition at its ends"
    assert "the equation is of order 1 in t" in str(pf.fit(heat(rim), pf.MLP([3, 4, 1], seed=0), pf.Adam(1)).warnings)


def test_coverage() -> None:
    early = Box(t=(0, 1)) * DISK
    small = Box(t=(0, 2)) * Disk((1, 0), 0.25)
    times = ("the equation holds on t in [0, 1] only, of [0, 2]",)
    assert coverage(heat()) == ()
    assert coverage(heat(inside=early.random(300, 0))) == times
    (text,) = coverage(heat(inside=np.array(early.random(500, 0))))
    assert text.startswith("the equation holds on t in [0, 0.99")
    (text,) = coverage(heat(inside=small.random(300, 0)))
    assert "of Box(t=(0, 2)) * Disk" in text
    assert coverage(heat(inside=np.array(HEATED.random(500, 0)))) == ()


def test_pictures_show_the_shape() -> None:
    canvas = Canvas(HEATED, 41)
    assert (canvas.axes, canvas.place) == ([1, 2], "t = 1")
    np.testing.assert_array_equal(canvas.points[:, 0], 1.0)
    assert len(canvas.points) == pytest.approx(np.pi / 4 * 40**2, rel=0.03)
    figure = solution_figure(heat(), pf.MLP([3, 4, 1], seed=0))
    axis = next(own for own in figure.axes if own.get_title() == "u: network at t = 2")
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("x", "y")
    np.testing.assert_allclose(np.hypot(axis.lines[0].get_xdata() - 1, axis.lines[0].get_ydata()), 0.5)  # type: ignore[operator, arg-type]
    ring = Canvas(Box(t=(0, 1)) * Ring(), 21)
    assert len(ring.points) > 100


def test_training_and_checkpoints_know_the_product() -> None:
    own = heat(
        Neumann(HEATED.boundary(100, "rim"), u=0.0), Dirichlet(HEATED.boundary(100, "t_low"), u=lambda t, x, y: x)
    )
    for term, part in zip(HeldOut(own, 300).terms, (None, "rim", "t_low"), strict=True):
        assert term is not None
        points = term.points[0].numpy()
        assert HEATED.inside(points).all() if part is None else HEATED.on_boundary(points).all()
    net = pf.MLP([3, 4, 1], seed=0)
    inside = [Residual(np.array(HEATED.random(9, 0)), outside=True)]
    others = (HEATED, Box(t=(0, 2)) * Disk((1, 0), 0.5), Box(t=(0, 2)) * Ring((1.0, 0.0), 0.01, 0.5))
    same, again, ring = (run_identity(problem(domain, *inside), net, {}) for domain in others)
    assert list(differences(same, again)) == []
    assert any("domain" in text for text in differences(same, ring))
    assert ErrorMeter(problem(HEATED, *inside, exact=lambda p: p[:, 0]))(net)["boundary_rmse"] > 0


@pytest.mark.trajectory
def test_heat_on_a_disk() -> None:
    """u = exp(-k^2 t) J0(k r), k the first zero of J0."""
    from scipy.special import j0, jn_zeros

    k = float(jn_zeros(0, 1)[0])
    domain = Box(t=(0, 0.25)) * Disk()

    def exact(p: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(-(k**2) * p[:, 0]) * j0(k * np.hypot(p[:, 1], p[:, 2])))

    def start(t: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(j0(k * np.hypot(x, y)))

    own = problem(
        domain,
        Residual(domain.random(800, 0)),
        Dirichlet(domain.boundary(300, "t_low"), u=start, name="initial"),
        Dirichlet(domain.boundary(300, "rim"), u=0.0, name="rim"),
        exact=exact,
    )
    found = pf.solve(own, pf.Network("pinn", layers=[3, 12, 12, 1]), pf.GaussNewton(steps=40), seed=0)
    assert found.metrics["relative_l2"] < 1e-3
    assert torch.isfinite(found.net.theta).all()


def test_what_is_combined_and_moved_factor_by_factor_stays_a_product() -> None:
    """Times stay intervals, so that missing initial conditions are told of."""
    time, hole = Box(t=(0, 2)), Disk((1, 0), 0.2)
    cut = HEATED - time * hole
    ring = DISK - hole
    whole = Box(t=(0, 2), x=(0, 2), y=(-1, 1))
    for domain, parts, volume in (
        (cut, ("t_low", "t_high", "rim1", "rim2"), 2 * ring.measure()),
        (HEATED & whole, ("t_low", "t_high", "rim"), 2 * DISK.measure()),
        (whole - Box(t=(0, 2), x=(0.5, 1), y=(0, 3)), None, 7),
        (whole.rotated(0.3, axis=(1, 0, 0)), whole.parts, 8),
        (whole - HEATED, (*whole.parts, "rim"), 8 - 2 * DISK.measure()),
        (HEATED.renamed({"rim": "wall", "t_low": "start"}) - time * hole, ("start", "t_high", "wall", "rim"), None),
        (HEATED.translated(1, 3, 0), HEATED.parts, HEATED.measure()),
        (cut.rotated(0.5, axis=(-2, 0, 0)), cut.parts, cut.measure()),
        (time * ring * Box(a=(0, 1)) - time * Disk((1.3, 0), 0.1) * Box(a=(0, 1)), None, None),
    ):
        assert domain.interval_axes[0] == 0
        assert parts is None or domain.parts == parts
        assert volume is None or domain.measure() == pytest.approx(volume, rel=1e-12)
        domain.check()
    moved = HEATED.translated(1, 3, 0)
    np.testing.assert_array_equal([moved.low, moved.high], [[1, 3.5, -0.5], [3, 4.5, 0.5]])
    eccentric = time * (Disk() - Disk((0.5, 0), 0.2))
    for sign in (1, -1):
        turned = eccentric.rotated(np.pi / 2, (0, 0, 0), (sign, 0, 0))
        assert not turned.contains(np.array([[1, 0, 0.5 * sign]]))[0]
        assert turned.contains(np.array([[1, 0, -0.5 * sign]]))[0]
    rim = Dirichlet(moved.boundary(100, "rim"), u=0.0)
    assert missing_conditions(problem(moved, Residual(moved.random(300, 0)), rim))
    with pytest.raises(InputError, match=r"are called \['start', 't_high'\] in the one and \['t_low', 't_high'\]"):
        HEATED.renamed({"t_low": "start"}) | time * hole


def test_lost_times_are_told() -> None:
    with pytest.warns(UserWarning, match=r"'t' is no longer one interval.*Box\(t=...\) \* \(A - B\)"):
        Box(t=(0, 2), x=(0, 2), y=(0, 2)) - pf.Ball((1, 1, 1), 0.2, "t x y")
    for name in ("tau", "time"):
        moving = pf.Ball((1, 1, 1), 0.2, f"{name} x y")
        with pytest.warns(UserWarning, match=rf"'{name}' is no longer one interval.*Box\({name}=...\) \* \(A - B\)"):
            Box(**{name: (0, 2)}, x=(0, 2), y=(0, 2)) - moving
    with pytest.warns(UserWarning, match="'s' is no longer one interval"):
        Box(s=(0, 2)) * DISK - pf.Ball((1, 1, 0), 0.2, "s x y")
    # Directions in space, and what is still an interval, or was none, are nothing to be told.
    height = Disk((0, 0), 1) * Box(z=(-1, 1))
    for domain in (
        height - pf.Ball((0, 0, 0), 0.5),
        pf.Ball((1, 1, 1), 0.5, "s x y") - pf.Ball((1, 1, 1), 0.2, "s x y"),
    ):
        assert not domain.interval_axes


@pytest.mark.parametrize("name", ["tau", "s"])
def test_times_may_have_any_name(name: str) -> None:
    """If the PDE says so: initial conditions are missed, windows of time end with it, shapes are cut in space."""
    domain = Box(**{name: (0, 2)}) * DISK
    pde = PDE(f"{name} x y", "u", lambda u: getattr(u, name) - u.lap, time=name)
    rim = Dirichlet(domain.boundary(100, "rim"), u=0.0, name="rim")
    inside = Residual(domain.random(300, 0))
    assert any(f"of order 1 in {name}" in text for text in missing_conditions(problem(domain, inside, rim, pde=pde)))
    start = Dirichlet(domain.boundary(100, f"{name}_low"), u=1.0, name="initial")
    whole = problem(domain, inside, rim, start, pde=pde)
    assert is_initial_value_problem(whole)
    assert until(whole, 0.5).domain.high.tolist() == [1.0, 1.5, 0.5]
    assert (domain - Box(**{name: (0, 2)}) * Disk((1, 0), 0.2)).interval_axes == (0,)
    box = Box(**{name: (0, 2)}, x=(0, 2), y=(0, 2))
    assert (box - Box(**{name: (0, 2)}, x=(0, 1), y=(0, 1))).interval_axes == ((0,) if name == "tau" else ())
