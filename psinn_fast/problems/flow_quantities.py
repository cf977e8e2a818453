"""What a flow around the cylinder does: drag, pressure difference, fluxes, from a network's values and derivatives."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import numpy.typing as npt

from ..flow_reference import PAPER, reference_flow
from ..problem.quantities import At, Quantity

Points = npt.NDArray[np.float64]

# Points around the cylinder, where the trapezoid rule converges exponentially; across the channel, by Gauss's.
_AROUND, _ACROSS = 256, 64
_DIAMETER = 2 * PAPER.radius


def drag_coefficient(at: At) -> float:
    """2 F / (mean speed^2 * diameter), F the integral of (-p n + mu (grad u + grad u^T) n)_x over the cylinder, n out
    of it."""
    angle = 2 * math.pi * np.arange(_AROUND) / _AROUND
    n_x, n_y = np.cos(angle), np.sin(angle)
    d = at(np.stack([PAPER.centre + PAPER.radius * n_x, PAPER.radius * n_y], 1), "p u_x u_y v_x")
    stress = -d.p * n_x + PAPER.mu * (2 * d.u_x * n_x + (d.u_y + d.v_x) * n_y)
    return float(2 * math.pi * PAPER.radius * stress.mean() * 2 / (PAPER.mean_speed**2 * _DIAMETER))


def pressure_difference(at: At) -> float:
    """p at the cylinder's front less p at its back."""
    ends = [[PAPER.centre - PAPER.radius, 0.0], [PAPER.centre + PAPER.radius, 0.0]]
    front, back = at(ends, "p").p
    return float(front - back)


def flux(at: At, x: float) -> float:
    """The integral of u across the channel at x, where there is no cylinder."""
    nodes, weights = np.polynomial.legendre.leggauss(_ACROSS)
    half = (PAPER.above + PAPER.below) / 2
    y = half * nodes + (PAPER.above - PAPER.below) / 2
    return float(half * weights @ at(np.stack([np.full(_ACROSS, x), y], 1), "u").u)


def flow_quantities() -> dict[str, Quantity]:
    """Beside those of the reference flow; fluxes through the inlet, the middle of the channel and the outlet."""
    known = reference_flow().quantities
    return {
        "drag": Quantity(drag_coefficient, known["drag"]),
        "pressure_difference": Quantity(pressure_difference, known["pressure_difference"]),
        "flux_in": Quantity(partial(flux, x=0.0), known["flux_in"]),
        "flux_middle": Quantity(partial(flux, x=PAPER.length / 2), known["flux_in"]),
        "flux_out": Quantity(partial(flux, x=PAPER.length), known["flux_out"]),
    }
