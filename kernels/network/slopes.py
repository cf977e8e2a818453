"""Trained slopes: hidden layers a(n s_l (W h + b)), by weights that are multiplied before they reach a backend.

z = n s_l (W h + b) is an affine layer with the weights n s_l W and the biases n s_l b. So theta = (s, v) of a network
with slopes is theta' = f v of one without, where f is n s_l for the parameters of hidden layer l and 1 for those of the
last one. Relations are those of v: a common factor keeps them.

Source: Jagtap, Kawaguchi & Karniadakis 2020, doi 10.1098/rspa.2020.0334.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Slopes:
    """theta (H + P,) of a network with H slopes -> theta' (P,) of the one without.

    Args:
        factor: n.
        bounds: H + 1 numbers, between which lie the entries of v that belong to the hidden layers.
    """

    factor: float
    bounds: tuple[int, ...]

    @property
    def number(self) -> int:
        return len(self.bounds) - 1

    def apply(self, theta: Tensor) -> Tensor:
        """theta', differentiable to any order."""
        first, last = self.bounds[0], self.bounds[-1]
        slopes, own = theta[: self.number], theta[self.number :]
        return torch.cat([own[:first], own[first:last] * self._by_parameter(slopes), own[last:]])

    def pull_back(self, theta: Tensor, inner_bar: Tensor) -> Tensor:
        """Gradients (..., H + P) for theta from those for theta', (..., P)."""
        first, last = self.bounds[0], self.bounds[-1]
        slopes, own = theta[: self.number], theta[self.number :]
        own_bar = inner_bar.clone()
        own_bar[..., first:last] *= self._by_parameter(slopes)
        slopes_bar = [self.factor * (inner_bar[..., a:b] @ own[a:b]) for a, b in pairwise(self.bounds)]
        return torch.cat([torch.stack(slopes_bar, -1), own_bar], -1)

    def _by_parameter(self, slopes: Tensor) -> Tensor:
        scaled = self.factor * slopes
        return torch.cat([scaled[k].expand(b - a) for k, (a, b) in enumerate(pairwise(self.bounds))])
