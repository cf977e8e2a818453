"""psinn_fast: a problem as its users write it, trained by `train`, or iterated by Gauss-Newton."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
import torch

import psinn_fast as pf
from psinn_fast.cli.step_parts import multiply_adds
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import AdamState, Term

from ..suite.case import Array, Case, Data
from ..suite.channel_sets import CHANNEL_SETS, weighted
from ..suite.contestant import BETAS, EPSILON, LEARNING_RATE
from .structures import structure_of

_WAVE = 2 * np.pi

# The residuals of `suite/equations.py` in the language of this library.
EQUATIONS: dict[str, Callable[..., Any]] = {
    "laplace": lambda u: u.lap,
    "poisson": lambda u, x, y: u.lap + 2 * np.pi**2 * sympy.sin(np.pi * x) * sympy.sin(np.pi * y),
    "helmholtz": lambda u, x, y: u.lap + _WAVE**2 * (u + sympy.sin(_WAVE * x) * sympy.sin(_WAVE * y)),
    "burgers": lambda u: u.t + u * u.x - 0.01 / np.pi * u.xx,
    "korteweg-de vries": lambda u: u.t + u * u.x + 0.0025 * u.xxx,
    "biharmonic": lambda u: u.xxxx + 2 * u.xxyy + u.yyyy - 1,
    "transport": lambda u: u.x + u.y,
    "laplace 1d": lambda u: u.xx,
    "laplace 3d": lambda u: u.lap,
    "heat 3d": lambda u: u.t - u.lap,
}
EQUATIONS |= {
    name: lambda u, needs=own.needs: weighted(needs, {"u": u, **{need: getattr(u, need) for need in needs}})
    for name, own in CHANNEL_SETS.items()
}

# Of torch; Sine is ours.
MODULES: dict[str, Callable[[], torch.nn.Module]] = {
    "tanh": torch.nn.Tanh,
    "sin": pf.Sine,
    "silu": torch.nn.SiLU,
    "gelu": torch.nn.GELU,
    "softplus": torch.nn.Softplus,
}


def network_of(case: Case, data: Data) -> pf.PsiMLP:
    if case.structure is not None:
        return pf.PsiMLP(structure_of(case), seed=0)
    activation = MODULES[case.activation]
    modules: list[torch.nn.Module] = []
    for weight, bias in data.weights:
        linear = torch.nn.Linear(*weight.shape[::-1])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, activation()]
    return pf.MLP.from_sequential(torch.nn.Sequential(*modules[:-1]))


class OurStep:
    """``terms``: None for those of the problem."""

    def __init__(self, case: Case, net: pf.PsiMLP, problem: pf.Problem, terms: Sequence[Term] | None = None) -> None:
        dtype = getattr(torch, case.dtype)
        self.net = net.to(dtype)
        # What is compared with the reference is every rewriting, too.
        structure = self.net.structure
        self.plan = structure.expanded_plan if case.backend == "reference" else self.net.plan
        self._backend, self._terms = get_backend(case.backend), terms or problem.terms(dtype)
        theta = self.net.theta.detach().clone()
        self._weights = problem.weights().to(theta)
        self._state = AdamState(theta, theta.new_empty(0), LEARNING_RATE, betas=BETAS, eps=EPSILON)

    def loss_and_gradient(self) -> tuple[float, Array]:
        state = self._state
        found = self._backend.loss_and_gradient(self.plan, state.theta, state.coefficients, self._terms, self._weights)
        return float(found.losses @ self._weights.to(found.losses)), found.theta.double().numpy()

    def steps(self, count: int) -> None:
        self._backend.train(self.plan, self._state, self._terms, self._weights, count)

    def work(self) -> dict[str, Any]:
        """Of one step, and what else its cost grows with."""
        return {
            "multiply_adds": multiply_adds(self.plan, self._terms),
            "channels": max(len(term.program.channels) for term in self._terms),
            "parameters": self.net.theta.numel(),
        }


class Ours(OurStep):
    def __init__(self, case: Case, data: Data) -> None:
        equation = data.equation
        pde = pf.PDE(" ".join(equation.coordinates), "u", EQUATIONS[case.equation])
        box = pf.Box(**dict(zip(equation.coordinates, equation.box, strict=True)))
        conditions = [
            pf.Residual(torch.from_numpy(data.points)),
            pf.Dirichlet(torch.from_numpy(data.edge), u=data.values, name="edge"),
        ]
        super().__init__(case, network_of(case, data), pf.Problem("bench", pde, box, conditions))


class StepByStep(Ours):
    """Each step a call of its own, as in a loop of one's own."""

    def steps(self, count: int) -> None:
        for _ in range(count):
            super().steps(1)
