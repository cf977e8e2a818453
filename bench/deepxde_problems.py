"""Problems written for DeepXDE, with any network of its interface: what the suite and tests train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import deepxde as dde
import numpy as np
import torch
from torch import Tensor

Condition = Callable[[Any, Any], bool]


@dataclass(frozen=True)
class Setting:
    """What a script gives to DeepXDE besides the network."""

    data: Any
    output_transform: Callable[[Tensor, Tensor], Tensor] | None = None
    variables: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Example:
    """``make(share)``: with that share of the usual number of points, which is ``points`` inside."""

    name: str
    layers: tuple[int, ...]
    points: int
    make: Callable[[float], Setting]

    def model(self, network: Callable[..., Any], share: float = 1.0, layers: tuple[int, ...] = ()) -> Any:
        """A compiled model, by ``network(layer_sizes, activation, initializer)``; one seed, one model."""
        dde.config.set_random_seed(0)
        setting = self.make(share)
        net = network([*(layers or self.layers)], "tanh", "Glorot uniform")
        if setting.output_transform is not None:
            net.apply_output_transform(setting.output_transform)
        model = dde.Model(setting.data, net)
        model.compile("adam", lr=1e-3, external_trainable_variables=setting.variables, verbose=0)
        return model


def _of(share: float, *numbers: int) -> list[int]:
    return [max(4, round(share * number)) for number in numbers]


def _anywhere(_x: Any, on_boundary: Any) -> bool:
    return bool(on_boundary)


def _side(axis: int, value: float) -> Condition:
    return lambda x, on_boundary: bool(on_boundary and np.isclose(x[axis], value))


def poisson_robin(share: float) -> Setting:
    """-lap u = f on the unit square, u = sin(pi x) e^y, Dirichlet but for a Robin condition u_n = g - u at x = 1."""
    square = dde.geometry.Rectangle([0, 0], [1, 1])

    def solution(x: Any) -> Any:
        return np.sin(np.pi * x[:, :1]) * np.exp(x[:, 1:])

    def equation(x: Tensor, u: Tensor) -> Tensor:
        lap = dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1)
        return lap - (1 - np.pi**2) * torch.sin(np.pi * x[:, :1]) * torch.exp(x[:, 1:])

    right = _side(0, 1.0)

    def flux(x: Any, u: Tensor) -> Tensor:
        exact = torch.as_tensor(-np.pi * np.exp(x[:, 1:]))
        return exact.to(u) - u

    conditions = [
        dde.icbc.DirichletBC(square, solution, lambda x, on: bool(on) and not right(x, on)),
        dde.icbc.RobinBC(square, flux, right),
    ]
    inside, edge = _of(share, 2500, 400)
    return Setting(dde.data.PDE(square, equation, conditions, num_domain=inside, num_boundary=edge, num_test=100))


def line_robin(share: float) -> Setting:
    """u'' = 2 on (-1, 1), u = (x + 1)^2: Dirichlet on the left, u_n = u on the right; a handful of points."""
    line = dde.geometry.Interval(-1, 1)
    conditions = [
        dde.icbc.DirichletBC(line, lambda x: (x + 1) ** 2, _side(0, -1.0)),
        dde.icbc.RobinBC(line, lambda _x, u: u, _side(0, 1.0)),
    ]
    return Setting(dde.data.PDE(line, lambda x, u: dde.grad.hessian(u, x) - 2, conditions, 16, 2, num_test=100))


def burgers(share: float) -> Setting:
    """u_t + u u_x = 0.01/pi u_xx, u = -sin(pi x) at first, 0 at the ends."""
    line, time = dde.geometry.Interval(-1, 1), dde.geometry.TimeDomain(0, 1)
    both = dde.geometry.GeometryXTime(line, time)

    def equation(x: Tensor, u: Tensor) -> Tensor:
        u_x, u_t = (dde.grad.jacobian(u, x, i=0, j=j) for j in (0, 1))
        return u_t + u * u_x - 0.01 / np.pi * dde.grad.hessian(u, x, i=0, j=0)

    conditions = [
        dde.icbc.DirichletBC(both, lambda x: np.zeros((len(x), 1)), _anywhere),
        dde.icbc.IC(both, lambda x: -np.sin(np.pi * x[:, :1]), lambda _x, initial: bool(initial)),
    ]
    inside, ends, start = _of(share, 2540, 80, 160)
    return Setting(
        dde.data.TimePDE(both, equation, conditions, num_domain=inside, num_boundary=ends, num_initial=start)
    )


def allen_cahn(share: float) -> Setting:
    """u_t = 0.001 u_xx + 5 (u - u^3); first and boundary values are in the output transform."""
    both = dde.geometry.GeometryXTime(dde.geometry.Interval(-1, 1), dde.geometry.TimeDomain(0, 1))

    def equation(x: Tensor, u: Tensor) -> Tensor:
        u_t = dde.grad.jacobian(u, x, i=0, j=1)
        return u_t - 0.001 * dde.grad.hessian(u, x, i=0, j=0) - 5 * (u - u**3)

    def transform(x: Tensor, u: Tensor) -> Tensor:
        place, time = x[:, :1], x[:, 1:]
        return place**2 * torch.cos(np.pi * place) + time * (1 - place**2) * u

    inside, ends, start = _of(share, 8000, 400, 800)
    data = dde.data.TimePDE(both, equation, [], num_domain=inside, num_boundary=ends, num_initial=start)
    return Setting(data, transform)


def helmholtz(share: float) -> Setting:
    """lap u + k^2 u = k^2 sin(k x) sin(k y), k = 2 pi, u = 0 on the boundary: u = -sin(k x) sin(k y)."""
    square, k = dde.geometry.Rectangle([0, 0], [1, 1]), 2 * np.pi

    def equation(x: Tensor, u: Tensor) -> Tensor:
        lap = dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1)
        return lap + k**2 * u - k**2 * torch.sin(k * x[:, :1]) * torch.sin(k * x[:, 1:])

    edge = dde.icbc.DirichletBC(square, lambda _x: 0.0, _anywhere)
    inside, around = _of(share, 2500, 400)
    return Setting(dde.data.PDE(square, equation, [edge], num_domain=inside, num_boundary=around, num_test=100))


def navier_stokes_inverse(share: float) -> Setting:
    """Viscosity and the factor of convection, from velocities of a decaying vortex of Taylor and Green."""
    square, time = dde.geometry.Rectangle([0, 0], [np.pi, np.pi]), dde.geometry.TimeDomain(0, 1)
    both = dde.geometry.GeometryXTime(square, time)
    convection, viscosity = dde.Variable(0.0), dde.Variable(0.0)

    def equation(x: Tensor, fields: Tensor) -> list[Tensor]:
        speed = [fields[:, 0:1], fields[:, 1:2]]
        first = [[dde.grad.jacobian(fields, x, i=i, j=j) for j in range(3)] for i in range(2)]
        residuals = []
        for i, (by_x, by_y, by_t) in enumerate(first):
            lap = sum(dde.grad.hessian(fields, x, component=i, i=j, j=j) for j in (0, 1))
            pressure = dde.grad.jacobian(fields, x, i=2, j=i)
            residuals.append(by_t + convection * (speed[0] * by_x + speed[1] * by_y) + pressure - viscosity * lap)
        return [*residuals, first[0][0] + first[1][1]]

    inside, edge, start, measured = _of(share, 700, 200, 100, 3000)
    places = np.random.default_rng(0).uniform([0, 0, 0], [np.pi, np.pi, 1], (measured, 3))
    x, y, t = places.T[:, :, None]
    decay = np.exp(-0.2 * t)
    seen = [np.cos(x) * np.sin(y) * decay, -np.sin(x) * np.cos(y) * decay]
    conditions = [dde.icbc.PointSetBC(places, values, component=i) for i, values in enumerate(seen)]
    data = dde.data.TimePDE(
        both, equation, conditions, num_domain=inside, num_boundary=edge, num_initial=start, anchors=places
    )
    return Setting(data, variables=[convection, viscosity])


def heat_neumann(share: float) -> Setting:
    """u_t = 0.3 u_xx between insulated ends, u = cos(pi x) at first."""
    both = dde.geometry.GeometryXTime(dde.geometry.Interval(0, 1), dde.geometry.TimeDomain(0, 1))

    def equation(x: Tensor, u: Tensor) -> Tensor:
        return dde.grad.jacobian(u, x, i=0, j=1) - 0.3 * dde.grad.hessian(u, x, i=0, j=0)

    conditions = [
        dde.icbc.NeumannBC(both, lambda x: np.zeros((len(x), 1)), _anywhere),
        dde.icbc.IC(both, lambda x: np.cos(np.pi * x[:, :1]), lambda _x, initial: bool(initial)),
    ]
    inside, ends, start = _of(share, 2540, 80, 160)
    return Setting(
        dde.data.TimePDE(both, equation, conditions, num_domain=inside, num_boundary=ends, num_initial=start)
    )


EXAMPLES = (
    Example("Poisson, Dirichlet and Robin", (2, 50, 50, 50, 1), 2500, poisson_robin),
    Example("Burgers", (2, 20, 20, 20, 1), 2540, burgers),
    Example("Allen-Cahn, hard conditions", (2, 20, 20, 20, 1), 8000, allen_cahn),
    Example("Helmholtz", (2, 50, 50, 50, 1), 2500, helmholtz),
    Example("Navier-Stokes, inverse", (3, 50, 50, 50, 50, 3), 700, navier_stokes_inverse),
    Example("heat, Neumann", (2, 20, 20, 20, 1), 2540, heat_neumann),
    Example("Poisson on a line, 20 points", (1, 50, 50, 50, 1), 16, line_robin),
)
