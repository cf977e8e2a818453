"""Partners of a periodic condition: those of parts are found by geometry, those of arrays are rows."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import numpy.typing as npt
import pytest

import psinn_fast as pf
from psinn_fast.domains import translates
from psinn_fast.training.points.held_out import HeldOut
from psinn_fast.training.points.regions import other_sites

BOX = pf.Box(x=(0, 2), y=(0, 1))
RENAMED = BOX.renamed({"x_low": "inlet", "x_high": "outlet"})
HOLED = BOX - pf.Disk((1, 0.5), 0.2)
NOTCHED = HOLED - pf.Box(x=(-0.1, 0.1), y=(0.3, 0.45)) - pf.Box(x=(1.9, 2.1), y=(0.3, 0.45))
CUBE = pf.Box(x=(-1, 1), y=(-1, 1), z=(-1, 1))
TIME = pf.Box(t=(0, 1))
LEANING = pf.Polygon([(0, 0), (1, 0), (1.5, 1), (0.5, 1)])
DENTED = CUBE - pf.Ball((-1, -0.4, 0), 0.1) - pf.Ball((1, 0.4, 0), 0.1)


def problem_on(domain: pf.Domain, *conditions: pf.Condition) -> pf.Problem:
    pde = pf.PDE(domain.coords, "u", lambda u: u.lap + 1)
    return pf.Problem("p", pde, domain, [pf.Residual(domain.random(20, seed=0)), *conditions])


@pytest.mark.parametrize(
    ("domain", "sides", "step"),
    [
        (BOX, ("x_low", "x_high"), [2, 0]),
        (RENAMED, ("inlet", "outlet"), [2, 0]),
        (HOLED, ("x_low", "x_high"), [2, 0]),
        (HOLED, ("y_high", "y_low"), [0, -1]),
        (NOTCHED, ("x_low1", "x_high1"), [2, 0]),  # of two pieces each, which come in another order
        (BOX.rotated(0.3), ("x_low", "x_high"), [2 * np.cos(0.3), 2 * np.sin(0.3)]),
        (HOLED.translated(1e6, 0), ("x_low", "x_high"), [2, 0]),
        (pf.Box(x=(0, 2e-6), y=(0, 1e-6)).renamed({"x_low": "a"}), ("a", "x_high"), [2e-6, 0]),
        (TIME * HOLED, ("x_low", "x_high"), [0, 2, 0]),
        (TIME * RENAMED, ("inlet", "outlet"), [0, 2, 0]),
        (TIME * RENAMED, ("t_low", "t_high"), [1, 0, 0]),
        (CUBE - pf.Cylinder((-2, 0.2, 0.2), (2, 0.2, 0.2), 0.3), ("x_low", "x_high"), [2, 0, 0]),
        (pf.Box(x=(0, 3)), ("x_low", "x_high"), [3]),
    ],
)  # fmt: skip
def test_parts_are_paired_by_one_step_and_so_are_other_points_of_them(
    domain: pf.Domain, sides: tuple[str, str], step: list[float]
) -> None:
    n = 30 if not domain.is_box else 9
    points, partners = (domain.boundary(n, side) for side in sides)
    for given in (partners, copy.deepcopy(partners), pickle.loads(pickle.dumps(partners))):
        around = pf.Periodic(points, given, "u")
        size = (domain.high - domain.low).max()
        np.testing.assert_array_equal(around.sites[0], points)
        np.testing.assert_allclose(around.sites[1] - around.sites[0], [step] * len(points), atol=1e-9 * size)
    problem = problem_on(domain, around)
    assert "may be drawn anew; partner = point + " in str(problem)
    unseen = HeldOut(problem, 512).terms[1]
    assert unseen is not None
    here, there = unseen.points.numpy()
    np.testing.assert_allclose(there - here, [step] * len(here), atol=1e-9 * size)
    assert domain.on_boundary(there, 1e-6).all()


@pytest.mark.parametrize("is_cut", [True, False])
def test_solids_are_moved_to_the_last_digit(is_cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their bounds are known a little less well. Where a hole was cut, and where the solid was turned."""
    monkeypatch.setattr(translates, "_PROBES", 200)
    prism = LEANING * pf.Box(z=(0, 1))
    solid = prism - pf.Ball((0.75, 0.5, 0.5), 0.2) if is_cut else prism.rotated(0.3, axis=(1, 0, 0))
    step = [0.5, 1, 0] if is_cut else [0.5, np.cos(0.3), np.sin(0.3)]
    around = pf.Periodic(solid.boundary(40, "edge1"), solid.boundary(40, "edge3"), "u u_x")
    np.testing.assert_allclose(around.sites[1] - around.sites[0], [step] * 40, atol=1e-12)


def test_partners_that_are_drawn_are_on_the_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a difference was too small to be found; here because it is looked for at a few points."""
    monkeypatch.setattr(translates, "_PROBES", 1)
    around = pf.Periodic(DENTED.boundary(40, "x_low"), DENTED.boundary(40, "x_high"), "u", name="around")
    text = r"around: partners: of 2000 points drawn on x_low, \d+ have .* not on the boundary.*: x_high is not quite"
    with pytest.raises(pf.InputError, match=text):
        other_sites(around, 2000, np.random.default_rng(0))


@pytest.mark.trajectory
def test_a_periodic_channel_is_solved() -> None:
    """u'' + 10 y = 0 across it, the same along it: with partners upside down something else comes out."""
    pde = pf.PDE("x y", "u", lambda u, y: u.lap + 10 * y)
    short = pf.Box(x=(0, 0.5), y=(0, 1)).renamed({"x_low": "inlet", "x_high": "outlet"})
    around = pf.Periodic(short.boundary(15, "inlet"), short.boundary(15, "outlet"), "u u_x")
    walls = [pf.Dirichlet(short.boundary(20, wall), u=0.0, name=wall) for wall in ("y_low", "y_high")]
    problem = pf.Problem("channel", pde, short, [pf.Residual(short.random(150, seed=0)), *walls, around])
    solution = pf.solve(problem, pf.Network("pinn", layers=[2, 8, 1]), pf.GaussNewton(30))
    places = np.array(short.random(200, seed=3))
    true = 10 / 6 * (places[:, 1] - places[:, 1] ** 3)
    assert np.linalg.norm(solution(places)[:, 0] - true) < 0.03 * np.linalg.norm(true)


def tunnel(x: float, y: float) -> pf.Cylinder:
    return pf.Cylinder((x - 0.5, y, 0.2), (x + 0.5, y, 0.2), 0.2)


SECTOR = pf.Polygon([(0, 0), (1, 0), (0.5, 0.75**0.5)])


@pytest.mark.parametrize(
    ("domain", "sides", "n"),
    [
        (SECTOR, ("edge1", "edge3"), 9),
        (SECTOR, ("edge1", "edge3"), 1),
        (HOLED, ("x_low", "y_low"), 9),
        (HOLED, ("x_low", "rim"), 1),
        (BOX - pf.Box(x=(-1, 0.1), y=(0.3, 0.5)), ("x_low1", "x_high1"), 9),
        (CUBE - pf.Cylinder((-2, 0.2, 0.2), (0, 0.2, 0.2), 0.3), ("x_low", "x_high"), 30),
        (TIME * HOLED, ("t_low", "rim"), 9),
        # What differs a little.
        (DENTED, ("x_low", "x_high"), 40),
        (CUBE - tunnel(-1, 0.2) - tunnel(1, 0.21), ("x_low", "x_high"), 60),
        (BOX - pf.Disk((0, 0.5), 0.1) - pf.Disk((2, 0.503), 0.1), ("x_low", "x_high"), 9),
        (pf.Polygon([(0, 0), (1, 0), (1, 1.001), (0, 1)]), ("edge2", "edge4"), 9),
        (pf.Polygon([(0, 0), (1, 0), (1, 1.001), (1, 2), (0, 2), (0, 1)]), ("edge2", "edge6"), 9),
    ],
)  # fmt: skip
def test_parts_that_no_step_takes_to_each_other_are_refused(domain: pf.Domain, sides: tuple[str, str], n: int) -> None:
    text = rf"around: partners: no one step takes {sides[0]} to {sides[1]}, the first rows are \(.*np.array\(points\)"
    with pytest.raises(pf.InputError, match=text):
        pf.Periodic(*(domain.boundary(n, side) for side in sides), "u", name="around")


def test_rows_of_arrays_stay_what_they_are() -> None:
    points, partners = HOLED.boundary(9, "x_low"), HOLED.boundary(9, "x_high")
    moved = pf.Periodic(points, np.array(points) + np.array([2, 0]), "u")
    assert "9 pairs of points as given; partner = point + (2, 0)" in str(problem_on(HOLED, moved))
    turned = pf.Periodic(SECTOR.boundary(9, "edge1"), np.array(SECTOR.boundary(9, "edge3"))[::-1], "u")
    assert "as given; partner - point from (" in str(problem_on(SECTOR, turned))
    pairs: list[tuple[npt.ArrayLike, npt.ArrayLike]] = [
        (np.array(points), np.array(partners)), (points, np.array(partners)), (np.array(points), partners),
        (points, partners[::-1]), (BOX.random(9, seed=0), BOX.random(9, seed=1)),
    ]  # fmt: skip
    for one, other in pairs:
        np.testing.assert_array_equal(pf.Periodic(one, other, "u").sites[1], other)
