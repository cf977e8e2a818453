"""Weight penalties of the student loss: value and (sub)gradient with respect to theta, without autograd."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .. import checks
from ..errors import InputError
from ..network.plan import Plan

KINDS = ("l2", "l1", "growl")


@dataclass(frozen=True)
class Regularizer:
    """Penalty on the independent weights W_l of every layer (biases are free), for Liu et al. 2025.

    Args:
        kind:
            ``"l2"``: strength * sum_l ||W_l||_F (the norm itself, not its square).
            ``"l1"``: strength * sum of |w|.
            ``"growl"``: strength * sum_l sum_i lambda_i ||W_l[:, i]||_2 over the columns (all weights that leave one
            neuron), sorted by descending norm, with lambda_i = (p - i + 1) / p for i = 1..p.
        strength: finite, not negative; 1e-3 in the paper.

    Raises:
        InputError: unknown kind, or a strength that is negative or not finite.

    Source: Liu et al. 2025, doi 10.1038/s41467-025-64624-3.
    """

    kind: str
    strength: float

    def __post_init__(self) -> None:
        checks.choice("kind", self.kind, KINDS)
        object.__setattr__(self, "strength", checks.number("strength", self.strength, least=0))

    def value_and_gradient(self, plan: Plan, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Penalty (a scalar tensor) and its gradient (theta's shape; 0 where the penalty has a kink).

        Raises:
            InputError: theta does not fit the plan, or growl on a layer that is not dense.
        """
        if theta.shape != (plan.n_parameters,):
            raise InputError(f"theta: expected shape ({plan.n_parameters},), got {tuple(theta.shape)}")
        theta = theta.detach()
        if plan.slopes is not None:  # it is one of weights alone
            n = plan.slopes.number
            value, gradient = self.value_and_gradient(plan.without_slopes, theta[n:])
            return value, torch.cat([torch.zeros_like(theta[:n]), gradient])
        if self.kind == "growl":
            return self._growl(plan, theta)
        member = membership(plan, theta)
        if self.kind == "l1":
            is_weight = member.sum(0) * self.strength
            return is_weight @ theta.abs(), is_weight * theta.sign()
        norms = (member @ theta.square()).sqrt()
        return self.strength * norms.sum(), theta * (_inverse(norms, self.strength) @ member)

    def check(self, plan: Plan) -> None:
        """Raises InputError if the penalty has no meaning for the plan: growl on a layer that is not dense."""
        for number, shape in enumerate(plan.dense_shapes, start=1):
            if self.kind == "growl" and shape is None:
                raise InputError(
                    f"kind: 'growl' needs dense layers (a student), but layer {number} of the plan is tied"
                )

    def _growl(self, plan: Plan, theta: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = theta.new_zeros(()), torch.zeros_like(theta)
        self.check(plan)
        for part, shape in zip(plan.weight_slices, plan.dense_shapes, strict=True):
            assert shape is not None
            weight = theta[part].view(shape)
            norms, order = torch.linalg.vector_norm(weight, dim=0).sort(descending=True, stable=True)
            p = shape[1]
            scale = torch.arange(p, 0, -1, dtype=theta.dtype, device=theta.device) * (self.strength / p)
            value = value + scale @ norms
            per_column = torch.empty_like(norms).scatter(0, order, _inverse(norms, scale))
            gradient[part] = (weight * per_column).view(-1)
        return value, gradient


def _inverse(norms: Tensor, scale: Tensor | float) -> Tensor:
    """scale / norm, and 0 at norm 0 (the subgradient of least length). NaN stays NaN."""
    return torch.where(norms == 0, torch.zeros_like(norms), scale / norms)


def membership(plan: Plan, like: Tensor) -> Tensor:
    """(layers, parameters) matrix with 1 where theta's entry is a weight of the layer: all layers in one product."""
    bounds = tuple((part.start, part.stop) for part in plan.weight_slices)
    return _membership(bounds, plan.n_parameters, like.dtype, like.device)


@lru_cache(maxsize=16)
def _membership(
    bounds: tuple[tuple[int, int], ...], n_parameters: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    member = torch.zeros(len(bounds), n_parameters, dtype=dtype, device=device)
    for layer, (start, stop) in enumerate(bounds):
        member[layer, start:stop] = 1
    return member
