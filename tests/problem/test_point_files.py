"""Clouds of points from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest

import psinn_fast as pf
from psinn_fast import InputError, read_points

POINTS = np.array([[0, 0, 1], [1, 0, 1], [0, 2, 1]], dtype=float)
NORMALS = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float)


def written(folder: Path, suffix: str, points: Any = POINTS, **data: Any) -> Path:
    path = folder / f"cloud{suffix}"
    meshio.Mesh(points, [("vertex", np.arange(len(points))[:, None])], **data).write(path)
    return path


def test_points_normals_and_tags(tmp_path: Path) -> None:
    cloud = read_points(written(tmp_path, ".vtu", point_data={"tag": np.array([0, 1, 1]), "n": NORMALS}))
    assert cloud.names == ("x", "y", "z", "tag", "n_x", "n_y", "n_z")
    wall = cloud["tag"] == 1
    condition = pf.Neumann(cloud.points("x y z")[wall], cloud.points("n_x n_y n_z")[wall], u=0.0)
    np.testing.assert_array_equal(condition.sites[0], POINTS[1:])


def test_sets_of_points(tmp_path: Path) -> None:
    path = tmp_path / "cloud.inp"
    meshio.Mesh(POINTS, [("triangle", [[0, 1, 2]])], point_sets={"wall": np.array([0, 2])}).write(path)
    assert read_points(path)["wall"].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": np.zeros(3)}, "'x' stands for 2 columns of its points"),
        ({"T": np.array([1, np.nan, 3])}, r"cloud\.vtu: column 'T': 1 of 3 numbers are NaN"),
    ],
)
def test_refused(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_points(written(tmp_path, ".vtu", point_data=data))
    with pytest.raises(InputError, match="cannot be read"):
        read_points(tmp_path / "none.vtu")
