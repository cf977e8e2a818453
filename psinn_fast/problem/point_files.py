"""Clouds of points from the files of meshes, by meshio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..domains import opened
from ..kernels import checks
from ..kernels.errors import InputError
from ..language.names import Names, normal
from ..storage.files import as_path
from .table import Table, refuse_unknown, table_of, wanted_columns

# Files of tables, of which meshio reads none.
_TABLES = (".csv", ".tsv", ".txt", ".npz")


def read_points(path: str | Path, columns: Names | None = None, *, skip_missing: bool = False) -> Table:
    """The nodes of any file that meshio reads (PLY, VTK, gmsh and others) as a table, whether there are cells or not.

        cloud = pf.read_points("scan.ply")
        wall = cloud["wall"] == 1
        pf.Neumann(cloud.points("x y z")[wall], cloud.points("nx ny nz")[wall], u=0.0)

    Its columns are the coordinates "x", "y" and "z", as many as there are; what the file knows of each point, such as
    normals, tags and measured values, by its own names, vectors as "name_x", "name_y", "name_z"; and for each set of
    points a column of ones and zeros.

    Args:
        columns: names of those to read, in this order; others may lack numbers. None: all.
        skip_missing: leave out points of which a number is missing (NaN) or infinite; `Table.skipped` says how many
            they were. Otherwise the first one is an error.

    Raises:
        InputError: meshio is not installed (extra ``psinn_fast[mesh]``); the file cannot be read, or has no
            points; what it knows of them is not finite, or has the names of coordinates; it has no such column.
    """
    where, wanted = as_path("path", path), wanted_columns(columns)
    checks.flag("skip_missing", skip_missing)
    if where.suffix.lower() in _TABLES:
        raise InputError(f"{where}: read_points reads files of meshes and clouds of points; pf.read_table reads tables")
    mesh = opened(where, "read_points")
    points = np.asarray(mesh.points)
    if points.ndim != 2 or not len(points):
        raise InputError(f"{where}: it has no points")
    found: list[tuple[str, Any]] = list(zip("xyz", points.T, strict=False))
    for name, values in mesh.point_data.items():
        array = np.asarray(values).reshape(len(points), -1)
        ends = (
            [""]
            if array.shape[1] == 1
            else [f"_{'xyz'[i] if array.shape[1] < 4 else i}" for i in range(array.shape[1])]
        )
        found += [(f"{name}{end}", column) for end, column in zip(ends, array.T, strict=True)]
    for name, numbers in mesh.point_sets.items():
        found.append((str(name), np.isin(np.arange(len(points)), np.asarray(numbers, dtype=np.int64)).astype(float)))
    names = [normal(name) for name, _ in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{where}: {twice[0]!r} stands for {names.count(twice[0])} columns of its points")
    refuse_unknown(where, wanted or (), names)
    known = dict(zip(names, (column for _, column in found), strict=True))
    chosen = {name: checks.real_array(f"{where}: column {name!r}", known[name]) for name in wanted or names}
    return table_of(where, chosen, skip_missing)
