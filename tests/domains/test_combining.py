"""Operators and motions of domains: what is refused in every dimension; the matrices of rotations; measures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from domains.shapes import Ball, LShape

from psinn_fast import Box, Disk, InputError
from psinn_fast.domains.combining import rotation


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Disk() - 3, "Disk - int: the difference is of two domains, got 3"),
        (lambda: Disk() | np.ones(2), r"Disk \| ndarray: the union is of two domains"),
        (lambda: Disk() & Disk(coords="y x"), r"Disk & Disk: expected domains in one order, got \['x', 'y'\] and"),
        (lambda: Disk() & Box(x=(0, 1)), r"Disk & Box: expected domains with one set of coordinates"),
        (lambda: Box(x=(0, 1)) - Box(x=(0, 0.5)), "domains of two and three coordinates are combined"),
        (lambda: Disk().translated(1), r"expected 2 numbers, one for each of \['x', 'y'\], e.g. translated\(0.5, 0\)"),
        (lambda: Disk().translated((1, 0)), "expected 2 numbers"),
        (lambda: Disk().translated(1, np.nan), "Disk.translated: step: 1 of 2 numbers are NaN"),
        (lambda: Disk().rotated(np.inf), "Disk.rotated: angle: expected a finite number"),
        (lambda: Disk().rotated(45), "angle: expected radians, up to 2 pi, got 45; if it is degrees, math.radians"),
        (lambda: Disk().rotated("1"), "Disk.rotated: angle: expected a finite number"),
        (lambda: Disk().rotated(1.0, 0.0), "about: expected a point of 2 numbers, got 0.0"),
        (lambda: Disk().rotated(1.0, axis=(0, 0, 1)), "axis: a plane domain turns about a point, expected None"),
        (lambda: Disk().renamed({"edge": "wall"}), r"Disk.renamed: 'edge' is none of its parts \['rim'\]"),
        (lambda: Disk().renamed({"rim": 1}), r"Disk.renamed: expected a dictionary of names"),
        (lambda: Disk().renamed("wall"), r"Disk.renamed: expected a dictionary of names"),
        (lambda: Disk().measure("wall"), r"part: expected one of \['rim'\]"),
    ],
)
def test_bad_input(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_rotations() -> None:
    quarter = rotation("", math.pi / 2, 2, None)
    assert quarter.tolist() == [[0, -1], [1, 0]]
    assert rotation("", -7 * math.pi / 2, 2, None).tolist() == quarter.tolist()
    np.testing.assert_allclose(rotation("", 1.0, 3, (0, 0, 2))[:2, :2], rotation("", 1.0, 2, None), atol=1e-16)
    turned = rotation("", 2 * math.pi / 3, 3, [1, 1, 1])
    np.testing.assert_allclose(turned @ [1, 0, 0], [0, 1, 0], atol=1e-15)
    for axis in (None, (0, 0, 0), (1, 0), 2):
        with pytest.raises(InputError, match="Ball: axis: expected"):
            rotation("Ball", 1.0, 3, axis)


def test_measures() -> None:
    box = Box(x=(0, 2), y=(1, 4), z=(0, 0.5))
    assert box.measure() == 3.0
    assert [box.measure(part) for part in ("x_low", "y_high", "z_low")] == [1.5, 1.0, 6.0]
    assert Box(x=(0, 2)).measure("x_high") == 1.0
    assert LShape().measure() == pytest.approx(3, rel=1e-3)
    assert LShape().measure("left") == pytest.approx(2, rel=1e-12)
    assert Ball().measure() == pytest.approx(4 / 3 * np.pi, rel=1e-3)


def test_boxes_stay_boxes() -> None:
    moved = Box(t=(0, 1), x=(0, 1), y=(-1, 1), z=(2, 3)).translated(1, 0, 0.5, -2)
    assert repr(moved) == "Box(t=(1, 2), x=(0, 1), y=(-0.5, 1.5), z=(0, 1))"
    assert moved.is_box
    assert Box(x=(0, 1)).translated(2).high.tolist() == [3]


def test_shapes_of_a_class_of_ones_own_say_how_they_are_renamed_and_moved() -> None:
    with pytest.raises(InputError, match=r"LShape is not known as curves; .*; a class of your own names its parts"):
        LShape().renamed({"left": "inlet"})
    with pytest.raises(InputError, match=r"LShape is not known as curves; .* its place where it is made"):
        LShape().translated(1, 0)
    over_a_time = (Box(t=(0, 1)) * LShape()).renamed({"left": "inlet"})
    assert over_a_time.parts[-1] == "inlet"
    np.testing.assert_array_equal(over_a_time.boundary(9, "inlet")[:, 1], [-1] * 9)
