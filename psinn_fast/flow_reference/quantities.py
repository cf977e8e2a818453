"""What a flow does: drag by two formulas, lift, pressure difference, fluxes; how far two flows are apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .channel import PARTS
from .solver import Flow, Spaces, finite_elements

Numbers = npt.NDArray[np.float64]


def quantities(flow: Flow) -> dict[str, float]:
    """Of a flow on a mesh:

    - drag, lift: 2 F / (mean speed^2 * diameter), of the force that holds the cylinder's nodes: the residual of the
      momentum equation for a w that is 1 on the cylinder and falls to 0 in the first triangles, which converges faster
      than the stress (John and Matthies 2001). Of a half the drag is that of the whole, the lift 0.
    - drag_by_stress: of mu u_n - p n integrated over the cylinder.
    - pressure_difference: at the cylinder's front less that at its back.
    - flux_in, flux_out: of the whole channel.
    """
    channel, mesh = flow.channel, flow.mesh
    spaces, tags = Spaces(mesh), channel.tags(mesh.nodes)
    both = 2 if channel.is_half else 1
    per_force = 2 / (channel.mean_speed**2 * 2 * channel.radius)
    on = {part: (tags & bit) > 0 for part, bit in PARTS.items()}
    drag, lift = -per_force * flow.forces[on["cylinder"]].sum(0)
    front, back = (
        flow.pressure[np.hypot(mesh.nodes[: mesh.n_corners, 0] - x, mesh.nodes[: mesh.n_corners, 1]).argmin()]
        for x in (channel.centre - channel.radius, channel.centre + channel.radius)
    )
    return {
        "drag": float(both * drag),
        "drag_by_stress": both * per_force * _force(flow, spaces, on["cylinder"]),
        "lift": 0.0 if channel.is_half else float(lift),
        "pressure_difference": float(front - back),
        "flux_in": -both * _flux(flow, spaces, on["inlet"]),
        "flux_out": both * _flux(flow, spaces, on["outlet"]),
    }


def changes(coarse: Flow, fine: Flow) -> dict[str, float]:
    """By field: ||coarse - fine|| / ||fine||, in L2 over the channel."""
    fem = finite_elements()
    spaces = Spaces(fine.mesh)
    mass = fem.BilinearForm(lambda u, w, _: u * w)
    corners = fine.mesh.n_corners
    found = coarse.interpolation(fine.mesh.nodes)
    quadratic = mass.assemble(spaces.velocity.with_element(fem.ElementTriP2()))
    linear = mass.assemble(spaces.pressure)
    pairs = {
        "u": (quadratic, found[:, 0], fine.velocity[:, 0]),
        "v": (quadratic, found[:, 1], fine.velocity[:, 1]),
        "p": (linear, found[:corners, 2], fine.pressure),
    }
    return {name: _norm(m, a - b) / _norm(m, b) for name, (m, a, b) in pairs.items()}


def outlet(flow: Flow) -> dict[str, float]:
    """The largest |p|, |v| and |mu u_x| at the outlet, which developed flow has not."""
    tags = flow.channel.tags(flow.mesh.nodes)
    at = np.flatnonzero(tags & PARTS["outlet"])
    velocity, _ = Spaces(flow.mesh).edges((tags & PARTS["outlet"]) > 0)
    slopes = velocity.interpolate(flow.velocity.ravel()).grad[0, 0]
    return {
        "p": float(np.abs(flow.pressure[at[at < flow.mesh.n_corners]]).max()),
        "v": float(np.abs(flow.velocity[at, 1]).max()),
        "mu u_x": float(flow.channel.mu * np.abs(slopes).max()),
    }


def _norm(mass: object, values: Numbers) -> float:
    return float(np.sqrt(values @ (mass @ values)))  # type: ignore[operator]  # a sparse matrix


def _force(flow: Flow, spaces: Spaces, chosen: npt.NDArray[np.bool_]) -> float:
    """Along x, of the fluid on a part of the boundary; normals point out of the fluid."""
    fem = finite_elements()
    velocity, pressure = spaces.edges(chosen)
    force = fem.Functional(
        lambda at: -(flow.channel.mu * (at.u.grad[0, 0] * at.n[0] + at.u.grad[0, 1] * at.n[1]) - at.p * at.n[0])
    )
    u, p = velocity.interpolate(flow.velocity.ravel()), pressure.interpolate(flow.pressure)
    return float(force.assemble(velocity, u=u, p=p))


def _flux(flow: Flow, spaces: Spaces, chosen: npt.NDArray[np.bool_]) -> float:
    fem = finite_elements()
    velocity, _ = spaces.edges(chosen)
    flux = fem.Functional(lambda at: at.u[0] * at.n[0] + at.u[1] * at.n[1])
    return float(flux.assemble(velocity, u=velocity.interpolate(flow.velocity.ravel())))
