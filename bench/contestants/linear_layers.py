"""A tied linear layer, y = W x + b and the gradients for x and all weights: nn.Linear of the same W and b, and ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

import psinn_fast as pf
from psinn_fast.networks import factored
from psinn_fast.networks.factored import FREE, Costs, FactoredLayer

from ..suite.case import Array, Case
from ..suite.contestant import Contestant
from .torch_peers import flattened, keep_freed_memory

# By how many symmetries there are.
SYMMETRIES = {"one symmetry": 1, "two symmetries": 2}


def relations(width: int, symmetries: int) -> pf.SymbolLayer:
    """Of all layers that commute with flips which exchange halves, or quarters both ways."""
    n = 2**symmetries
    swaps = [pf.SignedPermutation(tuple(i ^ bit for i in range(n)), (1,) * n) for bit in (1, 2)[:symmetries]]
    return pf.layer_from_group([(swap, swap) for swap in swaps], width // n, width // n)


class Pass:
    """Forwards and backwards through a layer; nothing is trained. The loss that is checked is the mean of y^2."""

    def __init__(self, case: Case) -> None:
        keep_freed_memory()
        random, dtype = np.random.default_rng(0), getattr(torch, case.dtype)
        x, y_bar = (
            torch.from_numpy(random.standard_normal((case.points, width)).astype(np.float32)).to(dtype)
            for width in case.layers
        )
        self.x, self.y_bar = x.requires_grad_(), y_bar
        self.tied = pf.PsiLinear(relations(case.layers[0], SYMMETRIES[case.structure or ""]), seed=0).to(dtype)
        self.layer: nn.Module = self.tied

    def loss_and_gradient(self) -> tuple[float, Array]:
        """For x, then for the independent weights and biases."""
        loss = self.layer(self.x).square().mean()
        x_bar, *gradients = torch.autograd.grad(loss, [self.x, *self.layer.parameters()])
        return float(loss.detach()), flattened([x_bar, *self.of_independent(gradients)])

    def of_independent(self, gradients: list[Tensor]) -> list[Tensor]:
        return gradients

    def steps(self, count: int) -> None:
        inputs = [self.x, *self.layer.parameters()]
        for _ in range(count):
            torch.autograd.grad(self.layer(self.x), inputs, self.y_bar)


class Linear(Pass):
    """nn.Linear, which knows no relations."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.layer = self.tied.to_linear()

    def of_independent(self, gradients: list[Tensor]) -> list[Tensor]:
        expanded = [tensor for tensor in self.tied.expanded() if tensor is not None]
        return list(torch.autograd.grad(expanded, list(self.tied.parameters()), gradients))


class Ours(Pass):
    """`PsiLinear`, by the way that its rule takes (`FactoredLayer.pays`)."""

    def work(self) -> dict[str, Any]:
        pays = FactoredLayer(self.tied.structure.plan.layers[0]).pays(len(self.x), "cpu")
        return {"chosen": "products" if pays else "gathered"}


class Priced(Pass):
    """`PsiLinear` with other costs, so that one way is taken in any case."""

    def __init__(self, costs: Mapping[str, Costs], case: Case) -> None:
        super().__init__(case)
        self._costs = dict(costs)

    def loss_and_gradient(self) -> tuple[float, Array]:
        with patch.object(factored, "MEASURED", self._costs):
            return super().loss_and_gradient()

    def steps(self, count: int) -> None:
        with patch.object(factored, "MEASURED", self._costs):
            super().steps(count)


CONTESTANTS: dict[str, Callable[[Case], Contestant]] = {
    "ours": Ours,
    "linear": Linear,
    "gathered": partial(Priced, {}),
    "products": partial(Priced, {"cpu": FREE}),
}
