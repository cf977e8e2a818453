"""Inputs are what they are: points, targets, exact solutions and names that could mean something else are refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import psinn_fast
from psinn_fast import (
    PDE,
    Box,
    Data,
    Dirichlet,
    Disk,
    InputError,
    Network,
    Neumann,
    Periodic,
    Problem,
    Recipe,
    Residual,
    SignedPermutation,
    Symmetry,
)
from psinn_fast.building import build_network

BOX = Box(x=(0, 1), y=(0, 2))
POINTS = BOX.random(8, seed=0)
LAPLACE = PDE("x y", "u", lambda u: u.lap)
TWO = PDE("x y", "u v", lambda u, v: [u.x + v.y])
THREE = PDE("x y", "u v w", lambda u, v, w: [u.x + v.y - w])


def problem(*conditions: Any, pde: PDE = LAPLACE, **settings: Any) -> Problem:
    return Problem("p", pde, BOX, [*(conditions or [Residual(POINTS)])], **settings)


MASKED = np.ma.array(POINTS, mask=np.zeros_like(POINTS, dtype=bool))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Residual(POINTS + 0j), "residual: points: expected real numbers, got complex numbers"),
        (lambda: Residual(MASKED), "residual: points: expected numbers, got a masked array"),
        (lambda: Residual(POINTS.astype(str)), "residual: points: expected real numbers, got texts"),
        (lambda: Residual(POINTS > 0.5), "residual: points: expected real numbers, got bools"),
        (lambda: Residual(torch.from_numpy(POINTS) * 1j), "residual: points: .*complex"),
        (lambda: Residual(POINTS.astype(object)), "residual: points: .*objects"),
        (lambda: Dirichlet(POINTS, u=np.zeros(8) + 1j), "dirichlet: target u: .*complex"),
        (lambda: Dirichlet(POINTS, u=lambda x, y: np.sqrt(-1 - x + 0j)), "dirichlet: target u: .*complex"),
        (lambda: Data(POINTS, u=MASKED[:, 0]), "data: target u: .*masked array"),
        (lambda: Data(POINTS, u=lambda x, y: np.ma.masked_less(x, 0.5)), "data: target u: .*masked array"),
        (lambda: Dirichlet(POINTS, u="1.5"), "dirichlet: target u: .*texts"),
        (lambda: Dirichlet(POINTS, u=True), "dirichlet: target u: .*bools"),
        (lambda: Dirichlet(POINTS, u=lambda x, y: x > 0.5), "dirichlet: target u: .*bools"),
        (lambda: Neumann(POINTS, [1j, 0], u=0.0), "neumann: normals: .*complex"),
        (lambda: Neumann(POINTS, np.ma.array([1.0, 0.0], mask=[0, 1]), u=0.0), "neumann: normals: .*masked array"),
        (lambda: Periodic(POINTS, MASKED, "u"), "periodic: partners: .*masked array"),
        (lambda: Residual([[True, 0.5]]), "residual: points: expected real numbers, got bools"),
        (lambda: Residual([(0.5, 0.5), np.array([True, False])]), "residual: points: .*bools"),
        (lambda: Residual([[torch.tensor(True), 0.5]]), "residual: points: .*bools"),
        (lambda: Dirichlet(POINTS[:2], u=[True, 0.5]), "dirichlet: target u: .*bools"),
        (lambda: Dirichlet(POINTS[:2], u=[0.5, np.True_]), "dirichlet: target u: .*bools"),
        (lambda: Neumann(POINTS, [True, 0.0], u=0.0), "neumann: normals: .*bools"),
        (
            lambda: PDE({"x", "y"}, "u", lambda u: u.x),
            "coords: .* got a set, which has no order",
        ),
        (lambda: PDE("x", frozenset("uv"), lambda u: u.x), "fields: .*no order"),
        (lambda: PDE({"x": 1.0}, "u", lambda u: u.x), "coords: .*got a dict, whose values would be dropped"),
        (lambda: PDE("x", {"u": 1.0}, lambda u: u.x), "fields: .*got a dict, whose values would be dropped"),
        (
            lambda: PDE("x y", "u", lambda u: psinn_fast.lap(u, {"x": 2})),
            "coords: .*got a dict, whose values would be dropped",
        ),
        (lambda: PDE("x y", "u", lambda u: psinn_fast.lap(u, {"x"})), "coords: .*got a set, which has no order"),
        (lambda: Disk(coords={"x": 1, "y": 2}), "coords: .*got a dict, whose values would be dropped"),
        (lambda: Periodic([[0.0]], [[1.0]], {"u": 1.0}), "quantities: .*got a dict, whose values would be dropped"),
        (
            lambda: psinn_fast.derivatives(
                psinn_fast.MLP([1, 2, 1]), torch.zeros(1, 1), {"u_x": 2.0}, coords="x", fields="u"
            ),
            "wanted: .*got a dict, whose values would be dropped",
        ),
        (lambda: Problem("p", LAPLACE, BOX, set()), "conditions: .*no order"),
        (lambda: Recipe(layers={2, 8, 1}), "layers: expected"),
        (lambda: Recipe(student={8, 4}), "student: .*no order"),
        (lambda: Residual(POINTS, weight="2"), "residual: weight: expected a finite number >= 0, got '2'"),
        (lambda: Residual(POINTS, weight=1 + 0j), "residual: weight: expected a finite number >= 0"),
        (lambda: Residual(POINTS, outside="no"), "residual: outside: expected True or False, got 'no'"),
        (lambda: Residual(POINTS, name=5), "name: expected a text, got 5"),
        (
            lambda: Periodic(POINTS, POINTS, [1]),
            r"periodic: quantities: expected a text or a list of texts, got \[1\]",
        ),
        (lambda: PDE("x", "u", lambda u: u, {"a": 1j}), "coefficients: a: expected a finite number, got 1j"),
        (lambda: PDE("x", "u", lambda u: u, {}, {"a": np.array([1.0])}), "unknown: a: expected a finite number"),
        (lambda: Box(x=(0, 1j)), "x: expected a finite interval"),
        (lambda: Box(x=("0", "1")), "x: expected a finite interval"),
        (lambda: Box(x=(False, True)), "x: expected a finite interval"),
        (lambda: BOX.random(True, 0), "n: expected an integer >= 1, got True"),
        (lambda: BOX.random(5, -1), "seed: expected an integer from 0"),
    ],
)
def test_other_than_real_numbers(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_numpy_and_torch_numbers_are_numbers() -> None:
    condition = Residual(torch.from_numpy(POINTS).requires_grad_(), weight=np.float32(0.5))
    assert condition.sites[0].tolist() == POINTS.tolist()
    assert condition.weight == 0.5
    targets = torch.arange(8, dtype=torch.bfloat16)
    assert Dirichlet(POINTS, u=targets).columns["u"].tolist() == list(range(8))
    assert Dirichlet(POINTS, u=np.int8(3)).columns["u"].tolist() == [3] * 8
    assert Dirichlet(POINTS, u=torch.tensor(0.5)).columns["u"].tolist() == [0.5] * 8
    pde = PDE("x", "u", lambda u, a, b: a * u - b, {"a": np.float64(2)}, {"b": torch.tensor(1.0)})
    assert (pde.coefficients, pde.unknown) == ({"a": 2.0}, {"b": 1.0})
    assert BOX.grid(np.int64(3)).shape == BOX.grid([np.int32(3), 3]).shape == BOX.grid(np.array([3, 3])).shape == (9, 2)
    assert (BOX.random(np.int64(4), np.int64(1)) == BOX.random(4, 1)).all()
    assert Box(x=np.array([0, 1])).coords == Box(x=(np.float32(0), torch.tensor(1.0))).coords


def test_points_and_targets_are_copies() -> None:
    points, values, normals = POINTS.copy(), np.zeros(8), np.tile([1.0, 0.0], (8, 1))
    partners = torch.from_numpy(POINTS[::-1].copy())
    conditions = [
        Residual(points), Dirichlet(points, u=values), Neumann(points, normals, u=values), Data(points, u=values),
        Periodic(points, partners, "u"),
    ]  # fmt: skip
    before = problem(*conditions).terms(torch.float64)
    for array in (points, values, normals, partners):
        array[:] = 0.25
    after = problem(*conditions).terms(torch.float64)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old.points, new.points)
        assert torch.equal(old.columns, new.columns)
    for condition in conditions:
        for array in (*condition.sites, *condition.columns.values()):
            assert not array.flags.writeable


def test_functions_cannot_change_the_points() -> None:
    def target(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x *= 2
        return x

    condition = Dirichlet(POINTS, u=target)
    assert condition.sites[0].tolist() == POINTS.tolist()
    assert condition.columns["u"].tolist() == (2 * POINTS[:, 0]).tolist()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (lambda x: x, "TypeError"),
        (lambda x, y: {}["missing"], "KeyError: 'missing'"),
        (lambda x, y: 1 // 0, "ZeroDivisionError"),
        (lambda x, y: x.foo, "AttributeError"),
    ],
)
def test_failing_targets_are_named(target: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=f"walls: target u: the function failed on arrays of 8 numbers.*{message}"):
        Dirichlet(POINTS, u=target, name="walls")


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (lambda y, x: x - y, r"\['y', 'x'\]"),
        (lambda t, x: t - x, r"\['t', 'x'\]"),
        (lambda y, other: y, r"\['y', 'other'\]"),
        (partial(lambda a, y, x: a * y, 2.0), r"\['y', 'x'\]"),
    ],
)
def test_targets_with_the_coordinates_in_another_order(target: Callable[..., Any], names: str) -> None:
    """They are called by position, and would take x for y without a word."""
    for condition in (Dirichlet(POINTS, u=target), Data(POINTS, u=target), Neumann(POINTS, [1.0, 0.0], u=target)):
        with pytest.raises(InputError, match=rf"target u: it is called with .*\['x', 'y'\].*parameters are {names}"):
            problem(condition)
    for fine in (
        lambda x, y: x,
        lambda a, b: a,
        lambda x, z: x,
        lambda *points: points[0],
        np.hypot,
        np.vectorize(max),
    ):
        assert problem(Dirichlet(POINTS, u=fine)).terms()[0].columns.shape == (8, 1)


def test_symmetries_are_about_the_centre_of_the_domain() -> None:
    """x -> 1 - x on [0, 1]: the network of the method pinn-post is even about 1/2, not about 0."""
    even = Symmetry(SignedPermutation.flip(2, 0), (1,))
    net = build_network(
        problem(symmetries=[even], recipe=Recipe(layers=(2, 4, 1))), Network("pinn-post", dtype="float64"), seed=1
    )
    x = torch.from_numpy(POINTS)
    torch.testing.assert_close(net(x), net(torch.stack([1 - x[:, 0], x[:, 1]], 1)), rtol=0, atol=1e-14)
    assert not torch.allclose(net(x), net(torch.stack([-x[:, 0], x[:, 1]], 1)), atol=1e-3)
    swap = Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))
    with pytest.raises(InputError, match=r"symmetries: x -> y, y -> x about its centre does not take .* to itself"):
        problem(symmetries=[swap])


@pytest.mark.parametrize(
    ("normals", "message"),
    [
        ([2.0, 0.0], r"1 of 1 have another length, the first 2 \(number 0\); divide each by its length"),
        ([0.0, 0.0], r"1 of 1 have another length, the first 0 \(number 0\)$"),
        ([1.0, 1.0], "the first 1.41421"),
        ([1.0 + 1e-5, 0.0], "another length"),
        (np.array([[1.0, 0.0]] * 6 + [[0.6, 0.6]] * 2), r"2 of 8 have another length, .* \(number 6\)"),
    ],
)
def test_normals_of_other_lengths(normals: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"neumann: normals: expected unit vectors, .*{message}"):
        Neumann(POINTS, normals, u=0.0)


def test_unit_normals_of_float32() -> None:
    angles = torch.linspace(0, 6, 8)
    normals = torch.stack([angles.cos(), angles.sin()], 1)
    assert Neumann(POINTS, normals, u=0.0).columns["normal 0"].tolist() == normals[:, 0].tolist()


FAR = np.concatenate([POINTS, [[1.5, 0.5], [0.5, -1.0]]])
ALLOWED = {"outside": True}


@pytest.mark.parametrize(
    "make",
    [
        lambda **o: Residual(FAR, **o),
        lambda **o: Dirichlet(FAR, u=0.0, **o),
        lambda **o: Data(FAR, u=0.0, **o),
        lambda **o: Neumann(FAR, [1.0, 0.0], u=0.0, **o),
        lambda **o: Periodic(np.concatenate([POINTS[1:], POINTS[:3]]), FAR, "u", **o),
    ],
)
def test_points_outside_the_domain(make: Callable[..., Any]) -> None:
    with pytest.raises(InputError) as info:
        problem(Residual(POINTS), make(name="far"))
    assert "far: points: 2 of 10 lie outside the domain Box(x=(0, 1), y=(0, 2)), the first is (1.5, 0.5); " in str(
        info.value
    )
    assert "outside=True" in str(info.value)
    assert problem(Residual(POINTS), make(**ALLOWED)).terms()[1].n_points == 10


def test_points_rounded_to_float32_are_inside() -> None:
    box = Box(x=(-0.1, 0.3))
    points = torch.linspace(-0.1, 0.3, 7)[:, None]
    assert float(points[0].double()) < -0.1
    assert Problem("p", PDE("x", "u", lambda u: u.x), box, [Residual(points)]).terms()[0].n_points == 7
    with pytest.raises(InputError, match="outside the domain"):
        Problem("p", PDE("x", "u", lambda u: u.x), box, [Residual([[0.30001]])])


def test_too_large_for_single_precision() -> None:
    def large(size: float, target: float) -> Problem:
        box = Box(x=(0, size), y=(0, 1))
        return Problem("p", LAPLACE, box, [Residual(box.grid(3)), Dirichlet(box.boundary(3), u=target)])

    for own, what in ((large(1e39, 0.0), "points"), (large(1.0, 1e39), "targets or source terms")):
        with pytest.raises(InputError, match=rf"its {what} are too large for torch.float32; use dtype='float64'"):
            own.terms(torch.float32)
        assert all(bool(torch.isfinite(term.columns).all()) for term in own.terms(torch.float64))


def test_points_of_one_coordinate_are_a_column() -> None:
    with pytest.raises(InputError, match=r"got \(3,\); of one coordinate, write points\[:, None\]"):
        Residual([0.0, 0.5, 1.0])


INVERSE = PDE("x y", "u", lambda u, nu: u.x - nu * u, unknown={"nu": 1.0})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guess": {"nu": np.nan}}, "guess: nu: expected a finite number, got nan"),
        ({"guess": {"nu": "1"}}, "guess: nu: expected a finite number, got '1'"),
        ({"guess": {"mu": 1.0}}, "guess: the unknown coefficients are .'nu'., got 'mu'"),
        ({"guess": [1.0]}, "guess: expected a mapping from name to number, got list"),
        ({"true_coefficients": {"mu": 1.0}}, "true_coefficients: the unknown coefficients are .'nu'., got 'mu'"),
        ({"true_coefficients": {"nu": np.inf}}, "true_coefficients: nu: expected a finite number, got inf"),
        ({"recipe": {"lr": 1e-3}}, "recipe: expected a Recipe, got {'lr': 0.001}"),
        ({"conditions": Residual(POINTS)}, "conditions: expected a list, got Condition"),
        ({"conditions": [POINTS]}, "conditions: expected Residual"),
        ({"conditions": [Residual(POINTS, weight=0)]}, "conditions: expected a positive weight for at least one"),
        ({"pde": lambda u: u}, "pde: expected a PDE, got <function"),
        ({"domain": [(0, 1), (0, 2)]}, "domain: expected a Domain, got .*0, 1"),
    ],
)
def test_problems_that_are_refused(settings: dict[str, Any], message: str) -> None:
    given = {"name": "p", "pde": INVERSE, "domain": BOX, "conditions": [Residual(POINTS)], **settings}
    with pytest.raises(InputError, match=message):
        Problem(**given)


OTHER_BOXES = {
    "order": Box(y=(0, 1), x=(0, 1)),
    "name": Box(x=(0, 1), z=(0, 1)),
    "names": Box(t=(0, 1), z=(0, 1)),
}


@pytest.mark.parametrize("name", OTHER_BOXES)
@pytest.mark.parametrize(
    "make",
    [
        lambda box: Residual(box.grid(4)),
        lambda box: Residual(box.random(9, seed=0), lambda u: u.x, outside=True),
        lambda box: Dirichlet(box.face(box.coords[0], "low", 5), u=0.0),
        lambda box: Data(box.boundary(5), u=0.0),
        lambda box: Neumann(box.face(box.coords[1], "high", 5), [0, 1], u=0.0),
        lambda box: Periodic(BOX.face("x", "low", 5), box.face(box.coords[0], "high", 5), "u", outside=True),
        lambda box: Periodic(copy.deepcopy(box.face(box.coords[0], "low", 5)), BOX.face("x", "high", 5), "u"),
        lambda box: Residual(pickle.loads(pickle.dumps(box.grid(4)))),
    ],
)
def test_points_of_a_box_with_other_coordinates(name: str, make: Callable[[Box], Any]) -> None:
    """The box's x would be read as the PDE's y."""
    box = OTHER_BOXES[name]
    message = r"points of a Box with the coordinates \[.*\], the PDE has \['x', 'y'\].*" + (
        "order" if name == "order" else "name"
    )
    with pytest.raises(InputError, match=message):
        problem(make(box))


def test_points_of_other_boxes_with_the_same_coordinates() -> None:
    half = Box(x=(0, 0.5), y=(0, 2))
    problem(Residual(half.grid(4)), Dirichlet(half.face("x", "low", 5), u=0.0))
    other = OTHER_BOXES["order"].grid(4)
    # What is made from a set is an array of numbers, whose columns are in whatever order its maker put them.
    for points in (other[:, ::-1], np.array(other), other[::2], other + 0.0):
        problem(Residual(points))
