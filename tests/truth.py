"""Residuals through the traced program, and what they are by nested autograd, for random networks in float64."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from helpers import mlp, nested_autograd, random_points, random_theta, relative_error
from torch import Tensor

import psinn_fast as pf
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure

N = 7


class Truth:
    """A random network's fields at random points: ``d("u", "xxy")`` by nested autograd, ``d.x`` the coordinate."""

    def __init__(self, coords: str, fields: str, low: float = -1.0) -> None:
        self.coords, self.fields = coords.split(), fields.split()
        self.structure = Structure.dense([len(self.coords), 5, 4, len(self.fields)])
        self.points = (random_points(N, len(self.coords)) + 1) / 2 * (1 - low) + low

    def __call__(self, field: str, steps: str = "") -> Tensor:
        x = self.points.clone().requires_grad_()
        value = mlp(self.structure, random_theta(self.structure, 0), x)[:, self.fields.index(field)]
        return nested_autograd(value, x, [steps.count(name) for name in self.coords]).detach()

    def lap(self, field: str, names: str, then: str = "") -> Tensor:
        return sum((self(field, 2 * name + then) for name in names), torch.zeros(N, dtype=torch.float64))

    def __getattr__(self, name: str) -> Tensor:
        return self.points[:, self.coords.index(name)]


def residuals(pde: pf.PDE, truth: Truth, residual: Callable[..., Any] | None = None) -> Tensor:
    """Of the random network at its points: (N, m)."""
    return residuals_at(truth.points, pde, truth.structure, residual)


def residuals_at(
    points: Tensor, pde: pf.PDE, structure: Structure, residual: Callable[..., Any] | None = None
) -> Tensor:
    """Of the structure's random network, by the reference backend: (N, m)."""
    box = pf.Box(**dict.fromkeys(pde.coords, (-1, 1)))
    terms = pf.Problem("p", pde, box, [pf.Residual(points.numpy(), residual), *of_everything(pde, points)]).terms(
        torch.float64
    )
    coefficients = torch.tensor(list(pde.unknown.values()), dtype=torch.float64)
    theta = random_theta(structure, 0)
    return ReferenceBackend().residual_jacobian(lower(structure.layers), theta, coefficients, terms[0])[0]


def of_everything(pde: pf.PDE, points: Tensor) -> list[pf.Condition]:
    """Terms that hold every field and every unknown coefficient: a problem without them is refused."""
    fields = pf.Data(points.numpy(), **dict.fromkeys(pde.fields, 0.0), name="fields")
    return [fields, *(pf.Residual(points.numpy(), coefficient(name), name="unknown") for name in pde.unknown)]


def coefficient(name: str) -> Callable[..., Any]:
    """A residual that is this coefficient."""

    def residual(**given: Any) -> Any:
        return given[name]

    residual.__signature__ = inspect.Signature([inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)])  # type: ignore[attr-defined]
    return residual


def check(
    coords: str,
    fields: str,
    residual: Callable[..., Any],
    expected: Callable[[Truth], Any],
    low: float = -1.0,
    **options: Any,
) -> None:
    truth = Truth(coords, fields, low)
    found = residuals(pf.PDE(coords, fields, residual, **options), truth)
    wanted = expected(truth)
    wanted = torch.stack(list(wanted), 1) if isinstance(wanted, (list, tuple)) else wanted[:, None]
    assert found.shape == wanted.shape
    # Two exact methods in float64, derivatives up to order 4: rounding errors of some hundred operations.
    assert relative_error(found, wanted) < 1e-10
