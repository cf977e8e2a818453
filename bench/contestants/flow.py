"""The flow past a cylinder: nn.Sequential with nested torch.autograd.grad; ours, dense, or tied as published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

import psinn_fast as pf
from psinn_fast.kernels import get_backend
from psinn_fast.networks.published import published_structure
from psinn_fast.problems import get_problem
from psinn_fast.training.points.point_orbits import one_point_per_orbit

from ..suite.case import Case
from ..suite.contestant import BETAS, EPSILON, LEARNING_RATE, Contestant, NotServed
from .ours import OurStep
from .torch_peers import TorchLoop, keep_freed_memory

MU, WEIGHT = 0.02, 2.0
PUBLISHED = "flow (published)"


@cache
def flow_problem(points: int) -> pf.Problem:
    """The built-in one, its residual at so many points: low-discrepancy ones above the axis and their mirror images."""
    problem = get_problem("cylinder")
    drawn = np.asarray(problem.domain.random(2 * points, seed=0))
    above = drawn[drawn[:, 1] > 0][: points // 2]
    both = np.concatenate([above, above * [1, -1]])
    return replace(problem, conditions=[pf.Residual(both), *problem.conditions[1:]])


def network_of(case: Case) -> pf.PsiMLP:
    """
    Raises:
        ValueError: the case has other layers than its structure, or another structure.
    """
    if case.structure is None:
        return pf.MLP(case.layers, seed=0)
    net = pf.PsiMLP(published_structure("flow"), width=case.layers[-2] // 2, seed=0)
    if case.structure != PUBLISHED or net.structure.layer_sizes != case.layers:
        raise ValueError(f"the flow has {PUBLISHED} with layers {net.structure.layer_sizes}, got {case.name}")
    return net


class Nested(TorchLoop):
    """The usual PINN of this problem, in plain torch."""

    def __init__(self, case: Case) -> None:
        if case.structure is not None:
            raise NotServed("torch, nested autograd has no tied networks")
        keep_freed_memory()
        dtype, problem = getattr(torch, case.dtype), flow_problem(case.points)
        self.net = network_of(case).to(dtype).to_sequential()
        residual, *parts = problem.terms(dtype)
        self.x = residual.points[0].clone().requires_grad_()
        self.points = {part.name: part.points[0] for part in parts}
        y = self.points["inlet"][:, 1]
        self.inflow = torch.stack([4 * (0.2 + y) * (0.2 - y) / 0.4**2, 0 * y], 1)
        self.pressure = torch.tensor(problem.exact_at(problem.conditions[-1].sites[0])[:, 2], dtype=dtype)
        self.optimizer = torch.optim.Adam(self.net.parameters(), LEARNING_RATE, BETAS, EPSILON, fused=True)

    def loss(self) -> Tensor:
        out = self.net(self.x)
        u, v = out[:, 0], out[:, 1]
        du, dv, dp = (torch.autograd.grad(out[:, i].sum(), self.x, create_graph=True)[0] for i in range(3))
        lap_u, lap_v = (
            sum(
                (torch.autograd.grad(d[:, i].sum(), self.x, create_graph=True)[0][:, i] for i in range(2)),
                start=u.new_zeros(()),
            )
            for d in (du, dv)
        )
        momentum_x = u * du[:, 0] + v * du[:, 1] + dp[:, 0] - MU * lap_u
        momentum_y = u * dv[:, 0] + v * dv[:, 1] + dp[:, 1] - MU * lap_v
        continuity = du[:, 0] + dv[:, 1]
        inside = momentum_x.square().mean() + momentum_y.square().mean() + continuity.square().mean()
        return inside + WEIGHT * self.misfits()

    def misfits(self) -> Tensor:
        names = ["inlet", "cylinder", "walls", "outlet"]  # at the cylinder, one evaluation for speed and pressure
        points = [self.points[name] for name in names]
        inlet, cylinder, walls, outlet = self.net(torch.cat(points)).split([len(own) for own in points])
        return (
            (inlet[:, :2] - self.inflow).square().sum(1).mean()
            + cylinder[:, :2].square().sum(1).mean()
            + walls[:, :2].square().sum(1).mean()
            + (cylinder[:, 2] - self.pressure).square().mean()
            + outlet[:, 2].square().mean()
        )


class Ours(OurStep):
    """As `fit` takes it, at all points."""

    def __init__(self, case: Case) -> None:
        super().__init__(case, network_of(case), flow_problem(case.points))


class OnePointPerOrbit(OurStep):
    """Where `fit` trains a tied network."""

    def __init__(self, case: Case) -> None:
        net, problem, engine = network_of(case), flow_problem(case.points), get_backend(case.backend)
        terms = one_point_per_orbit(problem, net, problem.terms(getattr(torch, case.dtype)), engine)
        super().__init__(case, net, problem, terms)


CONTESTANTS: dict[str, Callable[[Case], Contestant]] = {
    "ours": Ours,
    "one point per orbit": OnePointPerOrbit,
    "nested": Nested,
}
