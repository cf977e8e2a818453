"""Meshes moved and renamed: the same cells at other places, with other names of parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from ...kernels.errors import InputError
from ..domain import Domain
from ..product import Product
from .mesh_domain import MeshDomain
from .simplices import along_a_curve, chained

Points = npt.NDArray[np.float64]


def is_mesh(domain: Domain) -> bool:
    """Whether it is a mesh, or a product with one."""
    return isinstance(domain, MeshDomain) or (isinstance(domain, Product) and any(map(is_mesh, domain.factors)))


def combined(operation: str, one: Domain, other: Domain) -> NoReturn:
    """
    Raises:
        InputError: always; the parts of a mesh are many facets, of which nothing but their sum is measured.
    """
    raise InputError(
        f"{type(one).__name__} {operation} {type(other).__name__}: meshes are not combined with other domains; let the "
        "mesher combine the shapes, or combine pf.Polygon, pf.Disk, pf.Ball and the like"
    )


def moved(domain: Domain, matrix: Points, step: Points) -> MeshDomain:
    """x -> matrix x + step, a rotation and a translation, of all nodes.

    Raises:
        InputError: a product with a mesh, turned about another axis than that of its other factor.
    """
    mesh = _mesh(domain)
    return MeshDomain(mesh.coords, mesh.nodes @ matrix.T + step, mesh.cells, mesh._facets, mesh._opposite)


def renamed(domain: Domain, names: Mapping[str, str]) -> MeshDomain:
    mesh = _mesh(domain)
    facets, opposite = {}, {}
    for name in dict.fromkeys(names.get(part, part) for part in mesh.parts):
        own = [part for part in mesh.parts if names.get(part, part) == name]
        facets[name] = np.concatenate([mesh._facets[part] for part in own])
        opposite[name] = np.concatenate([mesh._opposite[part] for part in own])
        if len(own) > 1 and len(mesh.coords) == 2:
            order, facets[name] = chained(facets[name])
            opposite[name] = opposite[name][order]
        elif len(own) > 1:
            order = along_a_curve(mesh.nodes[facets[name]].mean(1))
            facets[name], opposite[name] = facets[name][order], opposite[name][order]
    return MeshDomain(mesh.coords, mesh.nodes, mesh.cells, facets, opposite)


def _mesh(domain: Domain) -> MeshDomain:
    if not isinstance(domain, MeshDomain):
        raise InputError(f"{domain}: turn the mesh, and multiply it by the other domain afterwards")
    return domain
