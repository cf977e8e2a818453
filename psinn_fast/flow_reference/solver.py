"""Steady incompressible Navier-Stokes by finite elements: Taylor-Hood P2-P1 on quadratic triangles, Newton's method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import bmat
from scipy.sparse.linalg import splu

from ..kernels.errors import InputError, PsinnFastError
from .channel import PARTS, Channel
from .interpolation import Interpolation
from .mesh import EDGES, Mesh

Numbers = npt.NDArray[np.float64]

_STEPS, _CONVERGED = 20, 1e-11
# Exact for u . grad u . w in triangles with straight edges (degree 5).
_DEGREE = 6


def finite_elements() -> Any:
    """The package skfem.

    Raises:
        InputError: it is not installed.
    """
    try:
        import skfem
    except ImportError as error:
        raise InputError('the reference flow is computed by scikit-fem: pip install "psinn_fast[cfd]"') from error
    return skfem


@dataclass(frozen=True)
class Flow:
    """A steady flow on a mesh.

    Args:
        velocity: (N, 2), at the nodes.
        pressure: (n_corners,), linear in every triangle.
        forces: (N, 2), the momentum equation's residual: what holds the nodes at which the velocity is given.
        steps: of Newton's method.
    """

    channel: Channel
    mesh: Mesh
    velocity: Numbers
    pressure: Numbers
    forces: Numbers
    steps: int

    @cached_property
    def interpolation(self) -> Interpolation:
        """u, v, p at any points, as they are in the elements."""
        ends = np.empty((len(self.mesh.nodes) - self.mesh.n_corners, 2), dtype=np.int64)
        ends[self.mesh.triangles[:, 3:] - self.mesh.n_corners] = self.mesh.triangles[:, EDGES]
        pressure = np.concatenate([self.pressure, self.pressure[ends].mean(1)])
        return Interpolation(self.mesh.nodes, self.mesh.triangles, np.column_stack([self.velocity, pressure]))


class Spaces:
    """P2 velocities and P1 pressures on a mesh: node k has the unknowns 2 k and 2 k + 1, corner k the pressure k."""

    def __init__(self, mesh: Mesh) -> None:
        fem = finite_elements()
        straight = fem.MeshTri(
            np.ascontiguousarray(mesh.nodes[: mesh.n_corners].T), np.ascontiguousarray(mesh.triangles[:, :3].T)
        )
        numbers = fem.CellBasis(straight, fem.ElementTriP2()).element_dofs
        if not np.array_equal(numbers.T, mesh.triangles):
            raise PsinnFastError("this version of scikit-fem numbers edges otherwise than the mesh does")
        self.mesh = fem.MeshTri2(np.ascontiguousarray(mesh.nodes.T), straight.t)
        self.velocity = fem.CellBasis(self.mesh, fem.ElementVector(fem.ElementTriP2()), intorder=_DEGREE)
        self.pressure = self.velocity.with_element(fem.ElementTriP1())

    def edges(self, chosen: npt.NDArray[np.bool_]) -> tuple[Any, Any]:
        """Velocities and pressures on the edges between nodes of which all are chosen."""
        fem = finite_elements()
        edges = np.flatnonzero(chosen[self.mesh.facets].all(0))
        edges = np.intersect1d(edges, self.mesh.boundary_facets())
        velocity = fem.FacetBasis(self.mesh, fem.ElementVector(fem.ElementTriP2()), facets=edges, intorder=_DEGREE)
        return velocity, velocity.with_element(fem.ElementTriP1())


def solve_flow(channel: Channel, mesh: Mesh, start: Flow | None = None) -> Flow:
    """The steady flow of density 1: mu lap u - u . grad u = grad p, div u = 0; u given at inlet, walls and cylinder.

    Its weak form mu (grad u, grad w) + (u . grad u, w) - (p, div w) leaves mu u_n - p n = 0 free at the outlet, so that
    p = 0 there where the flow is developed (v = 0, u_x = 0); and on the axis of a half, where v = 0, it leaves u_y = 0.

    Args:
        start: of Newton's method, a flow in the same channel on another mesh; else the flow without inertia.

    Raises:
        PsinnFastError: Newton's method does not converge.
    """
    spaces = Spaces(mesh)
    n_velocities, n = 2 * len(mesh.nodes), 2 * len(mesh.nodes) + mesh.n_corners
    diffusion, divergence = _stokes(channel, spaces)
    fixed, values = _given(channel, mesh)
    free = np.setdiff1d(np.arange(n), fixed)
    x = np.zeros(n)
    if start is not None:
        found = start.interpolation(mesh.nodes)
        x[:n_velocities], x[n_velocities:] = found[:, :2].ravel(), found[: mesh.n_corners, 2]
    x[fixed] = values
    steps, with_inertia, has_converged = 0, start is not None, False
    while not has_converged:
        if steps == _STEPS:
            raise PsinnFastError(f"Newton's method has not converged in {_STEPS} steps; start from a slower flow")
        inertia, force = _inertia(spaces, x[:n_velocities], with_inertia)
        matrix = bmat([[diffusion + inertia, divergence.T], [divergence, None]], format="csr")
        residual = matrix @ x - np.concatenate([force, np.zeros(n - n_velocities)])
        change = -splu(matrix[free][:, free].tocsc()).solve(residual[free])
        x[free] += change
        has_converged = with_inertia and np.abs(change).max() < _CONVERGED * np.abs(x).max()
        steps, with_inertia = steps + 1, True
    velocity, pressure = x[:n_velocities], x[n_velocities:]
    inertia, force = _inertia(spaces, velocity, True)
    forces = (diffusion + inertia) @ velocity + divergence.T @ pressure - force
    return Flow(channel, mesh, velocity.reshape(-1, 2), pressure, forces.reshape(-1, 2), steps)


def _given(channel: Channel, mesh: Mesh) -> tuple[npt.NDArray[np.int64], Numbers]:
    """Numbers and values of the unknown velocities that are given."""
    tags = channel.tags(mesh.nodes)
    held = np.flatnonzero(tags & (PARTS["inlet"] | PARTS["walls"] | PARTS["cylinder"]))
    inlet = (tags[held] & PARTS["inlet"]) > 0
    along = np.where(inlet, channel.inflow(mesh.nodes[held, 1]), 0.0)
    across = np.union1d(held, np.flatnonzero(tags & PARTS["axis"]))
    return np.concatenate([2 * held, 2 * across + 1]), np.concatenate([along, np.zeros(len(across))])


def _stokes(channel: Channel, spaces: Spaces) -> tuple[Any, Any]:
    """mu (grad u, grad w) and -(q, div u)."""
    fem = finite_elements()
    from skfem.helpers import ddot, div, grad

    diffusion = fem.BilinearForm(lambda u, w, _: channel.mu * ddot(grad(u), grad(w)))
    divergence = fem.BilinearForm(lambda u, q, _: -q * div(u))
    return diffusion.assemble(spaces.velocity), divergence.assemble(spaces.velocity, spaces.pressure)


def _inertia(spaces: Spaces, velocity: Numbers, with_inertia: bool) -> tuple[Any, Numbers]:
    """(u . grad u, w) linearised about a velocity: its matrix A and vector f, with inertia A u - f there; or zeros."""
    fem = finite_elements()
    from skfem.helpers import dot, grad, mul

    if not with_inertia:
        return 0 * fem.BilinearForm(lambda u, w, _: dot(u, w)).assemble(spaces.velocity), np.zeros(len(velocity))
    before = spaces.velocity.interpolate(velocity)
    matrix = fem.BilinearForm(lambda u, w, at: dot(mul(grad(u), at.v) + mul(grad(at.v), u), w))
    vector = fem.LinearForm(lambda w, at: dot(mul(grad(at.v), at.v), w))
    return matrix.assemble(spaces.velocity, v=before), vector.assemble(spaces.velocity, v=before)
