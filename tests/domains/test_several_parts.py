"""Points of several parts of a boundary, by a list of their names."""

from __future__ import annotations

import numpy as np
import pytest
from domains.shapes import LShape

from psinn_fast import Ball, Box, Cylinder, Dirichlet, Disk, Domain, InputError, Mean, Polygon

CHANNEL = Box(x=(0, 2), y=(0, 1)) - Disk((1, 0.5), 0.25)


@pytest.mark.parametrize(
    ("domain", "parts"),
    [
        (CHANNEL, ["rim", "y_low", "x_high"]),
        (Polygon([(0, 0), (3, 0), (0, 4)]), ["edge3", "edge1"]),
        (LShape(), ["left", "bottom"]),
        (Box(t=(0, 1)) * Disk(), ["t_low", "rim"]),
        (Ball() - Cylinder((0, 0, -2), (0, 0, 2), 0.5), ["side", "sphere"]),
    ],
)
def test_points_are_shared_out_by_size(domain: Domain, parts: list[str]) -> None:
    n = 600
    points = domain.boundary(n, parts)
    assert points.shape == (n, len(domain.coords))
    assert points.region.parts == tuple(parts)
    assert points.region.domain is domain
    whole = domain.boundary(n, tuple(parts))
    np.testing.assert_array_equal(points, whole)
    one_by_one = [domain.boundary(own, part) for part, own in zip(parts, domain.shares(parts, n), strict=True)]
    np.testing.assert_allclose(points, np.concatenate(one_by_one), atol=1e-12)
    np.testing.assert_allclose(points.normals, np.concatenate([own.normals for own in one_by_one]), atol=1e-12)
    assert points.weights.sum() == pytest.approx(sum(map(domain.measure, parts)), rel=1e-12)
    rng = np.random.default_rng(0)
    others = points.region.drawn(n, lambda count: rng.random((count, len(domain.coords))))
    assert domain.on_boundary(others, 1e-6).all()


def test_faces_of_a_box_have_as_many_points_each() -> None:
    box = Box(x=(0, 2), y=(0, 1))
    points = box.boundary(5, ["y_high", "x_low"])
    np.testing.assert_array_equal(points, np.concatenate([box.boundary(5, "y_high"), box.boundary(5, "x_low")]))
    assert points.normals.tolist() == [[0, 1]] * 5 + [[-1, 0]] * 5
    assert points.weights.sum() == pytest.approx(3)
    assert Mean(points, lambda u: u, 0.0).regions[0].parts == ("y_high", "x_low")


def test_one_name_in_a_list_is_that_part_and_all_names_are_all() -> None:
    for domain in (CHANNEL, LShape(), Box(x=(0, 1), y=(0, 1)), Disk()):
        part = domain.parts[0]
        np.testing.assert_array_equal(domain.boundary(20, [part]), domain.boundary(20, part))
        np.testing.assert_array_equal(domain.boundary(20, domain.parts), domain.boundary(20))
    walls = Dirichlet(CHANNEL.boundary(60, ["y_low", "y_high"]), u=0.0)
    assert walls.regions[0].parts == ("y_low", "y_high")
    assert (abs(walls.sites[0][:, 1] - 0.5) == 0.5).all()


@pytest.mark.parametrize("domain", [CHANNEL, LShape(), Box(x=(0, 1), y=(0, 1)), Disk(), Ball()])
@pytest.mark.parametrize(
    ("part", "message"),
    [
        ([], r"part: expected names of parts in a list, or None for all parts, got \[\]"),
        ([None], "part: expected names of parts in a list"),
        ([["x_low"]], "part: expected names of parts in a list"),
        ({"x_low"}, r"part: expected one of \[.*\{'x_low'\}"),
        (np.array(["x_low", "x_high"]), r"part: expected one of \["),
        ("x_low, x_high", r"part: expected one of \[.*'x_low, x_high'"),
        (0, r"part: expected one of \[.*got 0"),
        (["nothing"], r"part: expected one of \[.*got 'nothing'"),
    ],
)
def test_what_is_no_list_of_parts(domain: Domain, part: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        domain.boundary(10, part)
    with pytest.raises(InputError, match=r"part: expected"):
        domain.measure(part)
    with pytest.raises(InputError, match=r"part: expected no name twice"):
        domain.boundary(10, [domain.parts[0]] * 2)
