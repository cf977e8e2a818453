"""Unknown coefficients within bounds, as functions of free numbers, so that no step can leave them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..kernels.errors import InputError

Bounds = Mapping[str, tuple[float, float]]


class BoundedCoefficients:
    """c = z without bounds, low + e^z or high - e^z with one, low + (high - low) / (1 + e^-z) with two.

    Raises:
        InputError: bounds for a coefficient that is not there, low >= high, or a start that is not strictly inside.
    """

    def __init__(self, names: Sequence[str], starts: Mapping[str, float], bounds: Bounds) -> None:
        for name in bounds:
            if name not in names:
                raise InputError(f"bounds: the problem's unknown coefficients are {list(names)}, got {name!r}")
        self._bounds = []
        for name in names:
            low, high = bounds.get(name, (-math.inf, math.inf))
            if not low < high:
                raise InputError(f"bounds: {name}: expected low < high, got ({low}, {high})")
            if not low < starts[name] < high:
                raise InputError(
                    f"bounds: {name} starts at {starts[name]:g}, expected a start strictly between {low:g} and {high:g}"
                )
            self._bounds.append((low, high))

    def free(self, coefficients: Tensor) -> Tensor:
        """z of c."""
        z = coefficients.clone()
        for i, (low, high) in enumerate(self._bounds):
            if math.isfinite(low) and math.isfinite(high):
                z[i] = torch.log((coefficients[i] - low) / (high - coefficients[i]))
            elif math.isfinite(low):
                z[i] = torch.log(coefficients[i] - low)
            elif math.isfinite(high):
                z[i] = torch.log(high - coefficients[i])
        return z

    def bound(self, z: Tensor) -> Tensor:
        """c of z."""
        c = z.clone()
        for i, (low, high) in enumerate(self._bounds):
            if math.isfinite(low) and math.isfinite(high):
                c[i] = low + (high - low) * torch.sigmoid(z[i])
            elif math.isfinite(low):
                c[i] = low + torch.exp(z[i])
            elif math.isfinite(high):
                c[i] = high - torch.exp(z[i])
        return c

    def slopes(self, z: Tensor) -> Tensor:
        """dc / dz."""
        slopes = torch.ones_like(z)
        for i, (low, high) in enumerate(self._bounds):
            if math.isfinite(low) and math.isfinite(high):
                share = torch.sigmoid(z[i])
                slopes[i] = (high - low) * share * (1 - share)
            elif math.isfinite(low):
                slopes[i] = torch.exp(z[i])
            elif math.isfinite(high):
                slopes[i] = -torch.exp(z[i])
        return slopes
