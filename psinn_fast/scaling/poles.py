"""Poles of closed forms: places of a domain at which they have no value, though no random point ever hits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..domains.domain import Domain
from ..kernels.language.channels import ChannelSet
from ..kernels.language.closed_form import ClosedForm
from ..kernels.language.program import Instruction
from ..kernels.network.ansatz import Known

# Points inside that are looked at, and on each part of the boundary.
_POINTS, _ON_PARTS = 4096, 64
# Where Newton's method starts, its steps, and which part of the largest value is zero.
_STARTS, _NEWTON, _ZERO = 64, 60, 1e-12
# Values that are so many times the largest one at random points are those beside a pole.
_BEYOND = 1e6
# So far from a zero, of the domain's size, logarithms still grow, by as much from each of these to the next; less than
# this part of the largest value is rounding.
_NEARER, _ROUNDING = (1e-3, 1e-5, 1e-7), 1e-6


def pole_of(known: Known, domain: Domain, coords: Sequence[str]) -> tuple[int, str] | None:
    """An output that is not finite somewhere in a domain, or on its boundary, and where, as text; None: none was found.

    Looked at are points inside and on the boundary, and zeros of what is divided by, or taken logarithms of.
    """
    inside = torch.from_numpy(np.array(domain.random(_POINTS, 0)))
    value = ChannelSet.closure(len(coords), ())
    values = known.jets(inside, value)[0]
    largest = torch.where(torch.isfinite(values), values, 0.0).abs().amax(0)
    # Of a box so many along each axis.
    count = max(2, min(_ON_PARTS, int(_POINTS ** (1 / max(1, len(coords) - 1))))) if domain.is_box else _ON_PARTS
    points = [inside, *(torch.from_numpy(np.array(domain.boundary(count, part))) for part in domain.parts)]
    divisors = _divisors(known) if isinstance(known, ClosedForm) else ClosedForm(len(coords), (), ())
    for register in divisors.outputs:
        near = _zeros(replace(divisors, outputs=(register,)), inside)
        points.append(near[torch.from_numpy(domain.contains(near.numpy()))])
        for row, output in torch.nonzero(_grows(known, points[-1], domain, largest))[:1].tolist():
            return output, place_of(coords, points[-1][row])
    for own in filter(len, points):
        found = known.jets(own, value)[0]
        is_pole = ~torch.isfinite(found) | (found.abs() > _BEYOND * largest.clamp(min=1e-300))
        for row, output in torch.nonzero(is_pole)[:1].tolist():
            return output, place_of(coords, own[row])
    return None


def place_of(coords: Sequence[str], point: Tensor) -> str:
    """A point (d,) as text: x = 0.5, y = 1."""
    return ", ".join(f"{name} = {x:.3g}" for name, x in zip(coords, point.tolist(), strict=True))


def _grows(known: Known, near: Tensor, domain: Domain, largest: Tensor) -> Tensor:
    """(K, n_outputs): which outputs grow towards which points without end, as logarithms do, finite beside them."""
    size, value = torch.from_numpy(np.array(domain.high - domain.low)), ChannelSet.closure(near.shape[1], ())
    away = size * torch.linspace(1, 0.6, near.shape[1], dtype=near.dtype)  # along no line that users would think of
    values = [known.jets(near + distance * away, value)[0] for distance in _NEARER]
    first, second = ((own - before).abs() for before, own in pairwise(values))
    return (second > 0.9 * first) & (second > _ROUNDING * largest)


def _divisors(known: ClosedForm) -> ClosedForm:
    """What is divided by, or taken logarithms of, as outputs."""
    instructions, found = list(known.instructions), list[int]()
    for op, a, b, _ in known.instructions:
        if op in ("reciprocal", "log", "pow"):
            found.append(a)
        elif op == "div":
            found.append(b)
        elif op == "tan":
            instructions.append(Instruction("cos", a, -1, 0.0))
            found.append(known.n_given + len(instructions) - 1)
    return replace(known, instructions=tuple(instructions), outputs=tuple(dict.fromkeys(found)))


def _zeros(divisor: ClosedForm, points: Tensor) -> Tensor:
    """(K, d): zeros of a function, by Newton's method from where it is smallest; digits of rounding are left off."""
    n = points.shape[1]
    channels = ChannelSet.closure(n, [tuple(int(i == axis) for i in range(n)) for axis in range(n)])
    sizes = divisor.values(points)[:, 0].abs()
    x = points[sizes.argsort()[:_STARTS]].clone()
    for _ in range(_NEWTON):
        jets = divisor.jets(x, channels)[:, :, 0]
        slope = jets[1:].T
        step = jets[0][:, None] * slope / slope.square().sum(1, keepdim=True).clamp(min=1e-300)
        x = torch.where(torch.isfinite(step), x - step, x)
    scale = (points.amax(0) - points.amin(0)) * 1e-9
    x = torch.cat([x, (x / scale).round() * scale])
    return x[divisor.values(x)[:, 0].abs() <= _ZERO * sizes[torch.isfinite(sizes)].amax()]
