"""Boxes and their point sets."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from psinn_fast.domains import Box, PointSet, region_of
from psinn_fast.kernels.errors import InputError

BOX = Box(t=(0, 2), x=(-1, 3))


def rows(points: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(point) for point in points.tolist()}


def test_grid() -> None:
    assert BOX.grid((3, 2)).tolist() == [[0, -1], [0, 3], [1, -1], [1, 3], [2, -1], [2, 3]]
    grid = BOX.grid(11)
    assert grid.shape == (121, 2)
    assert grid.dtype == np.float64
    assert grid.min(0).tolist() == [0, -1]
    assert grid.max(0).tolist() == [2, 3]
    np.testing.assert_allclose(np.diff(np.unique(grid[:, 1])), 0.4)
    assert Box(x=(0.1, 0.3)).grid(3)[[0, -1], 0].tolist() == [0.1, 0.3]  # the ends exactly


def test_faces_and_boundary() -> None:
    low, high = BOX.face("x", "low", 5), BOX.face("x", "high", 5)
    assert low[:, 1].tolist() == [-1] * 5
    assert high[:, 1].tolist() == [3] * 5
    assert low[:, 0].tolist() == [0, 0.5, 1, 1.5, 2]
    assert BOX.face("t", "low", 5)[:, 0].tolist() == [0] * 5
    boundary = BOX.boundary(5)
    assert boundary.shape == (20, 2)
    assert rows(boundary) == rows(BOX.grid(5)) - {(t, x) for t in (0.5, 1, 1.5) for x in (0, 1, 2)}
    cube = Box(x=(0, 1), y=(0, 2), z=(0, 3))
    assert cube.face("y", "high", (2, 3)).shape == (6, 3)
    assert (cube.face("y", "high", 4)[:, 1] == 2).all()
    assert cube.boundary(3).shape == (54, 3)
    assert Box(x=(1, 2)).face("x", "high", 5).tolist() == [[2]]


@pytest.mark.parametrize("n_unseen", [2, 7, 100, 128])
@pytest.mark.parametrize("n_train", [2, 3, 11, 101, 201])
def test_unseen_points_are_not_training_points(n_unseen: int, n_train: int) -> None:
    """No coordinate value is shared, so no point is."""
    box = Box(t=(0, 1), x=(-1, 1))
    unseen, train = box.unseen_grid(n_unseen), box.grid(n_train)
    assert unseen.shape == (n_unseen**2, 2)
    for axis in range(2):
        nearest = np.abs(np.unique(unseen[:, axis])[:, None] - np.unique(train[:, axis])[None]).min()
        assert nearest > 1e-6
    assert box.contains(unseen).all()
    edge = box.unseen_boundary(n_unseen)
    assert edge.shape == (4 * n_unseen, 2)
    assert not rows(edge) & rows(box.boundary(n_train))
    on_an_end = (edge == box.low) | (edge == box.high)
    assert (on_an_end.sum(1) == 1).all()


def test_random() -> None:
    points = BOX.random(100, seed=1)
    assert points.shape == (100, 2)
    assert BOX.contains(points).all()
    assert (points == BOX.random(100, seed=1)).all()
    assert (points != BOX.random(100, seed=2)).any()
    np.testing.assert_allclose(BOX.random(1024, seed=3).mean(0), BOX.centre, atol=1e-2)
    assert BOX.random(1, seed=0).shape == (1, 2)


def test_contains_centre_and_text() -> None:
    assert BOX.centre.tolist() == [1, 1]
    assert BOX.contains(BOX.boundary(4)).all()
    assert not BOX.contains(np.array([[1.0, 1.0], [2.1, 0.0]])).all()
    assert not BOX.contains(np.array([[1.0, -1.1]])).all()
    assert not BOX.contains([[np.nan, 0.0]]).all()
    assert not BOX.contains([[1.0, np.inf], [1.0, 0.0]]).all()
    assert BOX.outside([[1.0, np.nan], [1.0, 0.0], [3.0, 0.0]]).tolist() == [True, False, True]
    assert BOX.contains([[1, 0]]).all()
    assert repr(BOX) == "Box(t=(0, 2), x=(-1, 3))"
    assert BOX.coords == ("t", "x")


@pytest.mark.parametrize(
    ("points", "boxes"),
    [
        (BOX.grid(4), [[[0, -1], [2, 3]]]),
        (BOX.random(9, seed=0), [[[0, -1], [2, 3]]]),
        (BOX.face("x", "high", 4), [[[0, 3], [2, 3]]]),
        (BOX.boundary(3), [[[0, -1], [0, 3]], [[2, -1], [2, 3]], [[0, -1], [2, -1]], [[0, 3], [2, 3]]]),
    ],
)
def test_points_know_the_region_they_stand_for(points: PointSet, boxes: list) -> None:
    for untouched in (points, copy.deepcopy(points), pickle.loads(pickle.dumps(points))):
        region = region_of(untouched)
        assert region is not None
        np.testing.assert_array_equal(region.extents, boxes)
        assert region.is_solid == (boxes == [[[0, -1], [2, 3]]])
        assert (untouched == points).all()
    # Spread over it like the points themselves.
    rng = np.random.default_rng(0)
    drawn = points.region.drawn(400, lambda n: rng.random((n, 2)))
    np.testing.assert_allclose(drawn.mean(0), np.mean(boxes, (0, 1)), atol=0.1)


_OTHER_POINTS = [
    lambda p: p[:],
    lambda p: p[::2],
    lambda p: p[p[:, 0] > 1],
    lambda p: p + 0.0,
    lambda p: -p,
    lambda p: np.copy(p),
    lambda p: p.astype(np.float32),
    lambda p: p.astype(float),
    lambda p: np.array(p),
    lambda p: np.asarray(p),
    lambda p: np.concatenate([p, p]),
    lambda p: np.vstack([p, p]),
    lambda p: p.reshape(p.shape),
    lambda p: p.view(),
    lambda p: p.T.T,
    lambda p: np.where(p > 0, p, 0),
    lambda p: np.random.default_rng(0).permutation(p),
    lambda p: copy.copy(p[::2]),
    lambda p: p[::2].copy(),
    lambda p: pickle.loads(pickle.dumps(p[::2])),
]


@pytest.mark.parametrize("other", _OTHER_POINTS)
def test_points_made_from_others_stand_for_themselves(other: Callable[[PointSet], np.ndarray]) -> None:
    points = BOX.grid(5)
    assert region_of(other(points)) is None
    assert points.region is not None  # it has not been touched


def _add(points: PointSet) -> None:
    points += 0.1


def _set(points: PointSet) -> None:
    points[3, 1] = 0.0


def _set_view(points: PointSet) -> None:
    points.T[0] **= 2


def _shuffle(points: PointSet) -> None:
    np.random.default_rng(0).shuffle(points)


@pytest.mark.parametrize("change", [_add, _set, _set_view, _shuffle])
def test_points_changed_in_place_stand_for_themselves(change: Callable[[PointSet], None]) -> None:
    points = BOX.grid(5)
    change(points)
    for changed in (points, *_copies(points)):
        assert region_of(changed) is None
        assert np.array_equal(changed, points)


def _copies(points: PointSet) -> list[PointSet]:
    return [points.copy(), copy.copy(points), copy.deepcopy(points), pickle.loads(pickle.dumps(points))]


@pytest.mark.parametrize("change", [_add, _set, _set_view, _shuffle])
def test_copies_are_what_the_points_are_until_they_are_changed(change: Callable[[PointSet], None]) -> None:
    points = BOX.boundary(5)
    for same in _copies(points):
        assert np.array_equal(same, points)
        assert same.region.parts == BOX.parts
        assert np.array_equal(same.normals, points.normals)
        assert np.array_equal(same.weights, points.weights)
        change(same)
        assert (same.region, same.normals, same.weights) == (None, None, None)
        assert points.normals is not None  # it has not been touched


def test_numbers_from_points_are_plain() -> None:
    points = BOX.grid(5)
    for value in (points[0, 0], points.max(), points.sum(), np.sum(points)):
        assert type(value) is np.float64
    for array in (points * 2, points[0], points.mean(0), np.sin(points), points == points):
        assert type(array) is np.ndarray


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Box(), r"intervals: expected at least one, e.g. Box\(x=\(-1, 1\)\)"),
        (lambda: Box(x=(1, 1)), r"x: expected a finite interval \(low, high\) with low < high, got \(1, 1\)"),
        (lambda: Box(x=(0, 1), y=(2, 1)), "y: expected a finite interval"),
        (lambda: Box(x=(0, float("inf"))), "x: expected a finite interval"),
        (lambda: Box(x=(float("nan"), 1)), "x: expected a finite interval"),
        (lambda: BOX.grid(1), "n: expected an integer >= 2, or 2 of them, got 1"),
        (lambda: BOX.grid((3, 3, 3)), r"n: expected an integer >= 2, or 2 of them, got \(3, 3, 3\)"),
        (lambda: BOX.grid((3, 2.5)), "n: expected an integer >= 2, or 2 of them"),
        (lambda: BOX.unseen_grid(0), "n: expected an integer >= 2, or 2 of them, got 0"),
        (lambda: BOX.face("t", "low", 1), "n: expected an integer >= 2, or 1 of them, got 1"),
        (lambda: BOX.face("y", "low", 3), r"coord: expected one of \['t', 'x'\], got 'y'"),
        (lambda: BOX.contains([0, 0]), r"points: expected shape \(N, 2\), got \(2,\)"),
        (lambda: BOX.contains([[0.0]]), r"points: expected shape \(N, 2\), got \(1, 1\)"),
        (lambda: BOX.contains([["0", "1"]]), "points: expected real numbers, got texts"),
        (lambda: BOX.grid(10**6), "n: 1e\\+12 points are too many, up to 5e\\+07"),
        (lambda: BOX.grid((2, 10**9)), "n: 2e\\+09 points are too many"),
        (lambda: BOX.unseen_grid(10**5), "n: 1e\\+10 points are too many"),
        (lambda: BOX.face("x", "low", 10**9), "n: 1e\\+09 points are too many"),
        (lambda: BOX.boundary(10**9), "n: 1e\\+09 points are too many"),
        (lambda: BOX.random(2**40, 0), "n: 1.1e\\+12 points are too many"),
        (lambda: BOX.face("x", "left", 3), "end: expected 'low' or 'high', got 'left'"),
    ],
)
def test_bad_input(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_points_of_another_shape_and_ends_far_from_zero() -> None:
    box = Box(x=(1e6, 1e6 + 1), y=(0, 1))
    assert repr(box) == "Box(x=(1000000, 1000001), y=(0, 1))"
    for points in ([0.0, 0.0], np.zeros(2), np.zeros((1, 3)), 0.0):
        with pytest.raises(InputError, match=r"points: expected shape \(N, 2\), got"):
            box.inside(points)
    assert box.inside([[1e6, 0.5]]).tolist() == [True]
