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
        (
            {"T": np.array([1, np.nan, 3])},
            r"cloud\.vtu: column 'T': the number at index 1 is nan; correct the file, .* skip_missing=True",
        ),
    ],
)
def test_refused(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_points(written(tmp_path, ".vtu", point_data=data))
    with pytest.raises(InputError, match="cannot be read"):
        read_points(tmp_path / "none.vtu")


def test_points_that_lack_numbers_are_left_out_if_that_is_asked_for(tmp_path: Path) -> None:
    """As of `read_table`."""
    path = written(tmp_path, ".vtu", point_data={"T": np.array([1, np.nan, 3]), "p": np.array([1, 2, np.inf])})
    cloud = read_points(path, skip_missing=True)
    assert (cloud.rows, cloud.skipped, cloud["T"].tolist()) == (1, 2, [1])
    np.testing.assert_array_equal(cloud.points("x y z"), POINTS[:1])
    some = read_points(path, "p y x", skip_missing=True)
    assert (some.names, some.skipped) == (("p", "y", "x"), 1)
    whole = read_points(path, ["x", "y", "z"])  # which lack none
    assert (whole.rows, whole.skipped) == (3, 0)
    with pytest.raises(InputError, match=r"columns: .*cloud\.vtu has the columns \['x', 'y', 'z', 'T', 'p'\], got 'q'"):
        read_points(path, "x q")
    for wrong in ("", "x x"):
        with pytest.raises(InputError, match="columns: expected at least one name and none twice"):
            read_points(path, wrong)
    with pytest.raises(InputError, match="skip_missing: expected"):
        read_points(path, skip_missing=1)
    none = written(tmp_path, ".vtk", point_data={"T": np.full(3, np.nan)})
    with pytest.raises(InputError, match="expected at least one row of numbers; all 3 rows lack numbers"):
        read_points(none, skip_missing=True)


def test_tables_are_not_clouds(tmp_path: Path) -> None:
    (tmp_path / "cloud.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match=r"cloud\.csv: read_points reads .*; pf\.read_table reads tables"):
        read_points(tmp_path / "cloud.csv")
