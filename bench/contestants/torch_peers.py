"""The step in torch: nested autograd, Taylor mode by hand, torch.compile, make_fx, torch.func."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..suite.case import Array, Case, Data
from ..suite.contestant import BETAS, EPSILON, LEARNING_RATE
from . import chain_rule


class TorchLoop:
    """A loss of a module, its gradient by autograd, and a step of an optimiser."""

    net: nn.Module
    optimizer: torch.optim.Optimizer

    def loss(self) -> Tensor:
        raise NotImplementedError

    def loss_and_gradient(self) -> tuple[float, Array]:
        loss = self.loss()
        gradients = torch.autograd.grad(loss, list(self.net.parameters()))
        return float(loss.detach()), flattened(gradients)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.optimizer.zero_grad(set_to_none=True)
            self.loss().backward()
            self.optimizer.step()


class TorchStep(TorchLoop):
    """``nn.Sequential`` of a case on its data, with torch's fused Adam."""

    def __init__(self, case: Case, data: Data) -> None:
        self.data, self.equation, dtype = data, data.equation, getattr(torch, case.dtype)
        keep_freed_memory()

        def tensor(array: Array) -> Tensor:
            return torch.from_numpy(array).to(dtype)

        modules: list[nn.Module] = []
        for weight, bias in data.weights:
            linear = nn.Linear(*weight.shape[::-1], dtype=dtype)
            linear.weight, linear.bias = nn.Parameter(tensor(weight)), nn.Parameter(tensor(bias))
            modules += [linear, nn.Tanh()]
        self.net = nn.Sequential(*modules[:-1])
        self.x, self.edge = tensor(data.points), tensor(data.edge)
        self.values = tensor(data.values)[:, None]
        self.columns = [self.x[:, axis, None] for axis in range(self.x.shape[1])]
        self.optimizer = torch.optim.Adam(self.net.parameters(), LEARNING_RATE, BETAS, EPSILON, fused=True)

    @property
    def layers(self) -> list[tuple[Tensor, Tensor]]:
        return [(module.weight, module.bias) for module in self.net.children() if isinstance(module, nn.Linear)]

    def loss(self) -> Tensor:
        residual = self.equation.residual(torch, self.columns, self.derivatives())
        return residual.square().mean() + (self.net(self.edge) - self.values).square().mean()

    def derivatives(self) -> Mapping[str, Tensor]:
        raise NotImplementedError


def flattened(gradients: Sequence[Tensor]) -> Array:
    return torch.cat([gradient.detach().double().flatten() for gradient in gradients]).numpy()


def keep_freed_memory() -> None:
    """Spare page faults, which otherwise come and go with the state of the heap: glibc returns freed memory above
    twice the largest block freed so far, so one large block is freed here."""
    torch.empty(31 << 20, dtype=torch.uint8)


class Nested(TorchStep):
    """The usual PINN: torch.autograd.grad of the gradient."""

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        self.x.requires_grad_()

    def derivatives(self) -> Mapping[str, Tensor]:
        return nested(self.equation, self.net, self.x)


def nested(equation: Any, net: Callable[[Tensor], Tensor], x: Tensor) -> dict[str, Tensor]:
    found = {"": net(x)}
    columns: dict[str, Tensor] = {}

    def derivative(name: str) -> Tensor:
        if name in found:
            return found[name]
        below = name[:-1]
        if below not in columns:
            (columns[below],) = torch.autograd.grad(derivative(below).sum(), x, create_graph=True)
        axis = equation.coordinates.index(name[-1])
        found[name] = columns[below][:, axis, None]
        return found[name]

    out = {"u": found[""]}
    for need in equation.needs:
        if need == "lap":
            out[need] = sum(
                (derivative(2 * equation.coordinates[axis]) for axis in equation.space[1:]),
                start=derivative(2 * equation.coordinates[equation.space[0]]),
            )
        else:
            out[need] = derivative(need)
    return out


class Taylor(TorchStep):
    """By hand, features first, which is the faster way in eager torch."""

    def derivatives(self) -> Mapping[str, Tensor]:
        return chain_rule.derivatives(torch, self.equation, self.layers, self.x, features_first=True)

    def loss(self) -> Tensor:
        return taylor_loss(self.layers, self.x, self.edge, self.values, self.equation, True)


def taylor_loss(layers: Any, x: Tensor, edge: Tensor, values: Tensor, equation: Any, features_first: bool) -> Tensor:
    columns = [x[:, axis] for axis in range(x.shape[1])]
    d = chain_rule.derivatives(torch, equation, layers, x, features_first)
    residual = equation.residual(torch, columns, {name: value.flatten() for name, value in d.items()})
    misfit = chain_rule.values(torch, layers, edge, features_first).flatten() - values.flatten()
    return residual.square().mean() + misfit.square().mean()


# Parameters, first and second moments, steps done, data.
State = tuple[list[Tensor], list[Tensor], list[Tensor], Tensor, tuple[Tensor, Tensor, Tensor]]


class CompiledTaylor(TorchStep):
    """Loss, way back and Adam in one graph of torch.compile. The faster of points and features first is taken.

    Compiling the loss alone, or one product for all channels stacked, was slower on each of three machines
    (results/cpu_zen3.json, cpu_zen4.json, cpu_xeon.json).
    """

    TRIAL = 10

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        self._initial = [parameter.detach().clone() for parameter in self.net.parameters()]
        best = np.inf
        for features_first in (True, False):
            compiled = torch.compile(partial(adam_step, self.equation, features_first), dynamic=False)
            seconds, state = np.inf, self._start()
            for count in (3, self.TRIAL):
                started = time.perf_counter()
                _steps(compiled, state, count)
                seconds = time.perf_counter() - started
            if seconds < best:
                best, self._step, self._features_first = seconds, compiled, features_first
        self._state = self._start()

    def _start(self) -> State:
        parameters = [value.clone() for value in self._initial]
        first, second = ([torch.zeros_like(value) for value in parameters] for _ in BETAS)
        # Of shape (1,): what a compiled graph adds to a number of shape () in float64 is lost (torch 2.13).
        return parameters, first, second, self.x.new_zeros(1), (self.x, self.edge, self.values)

    def loss_and_gradient(self) -> tuple[float, Array]:
        """By a step from moments that are 0, which leaves (1 - beta_1) times the gradient in the first."""
        state = self._state[0], *self._start()[1:]
        before = [value.clone() for value in state[0]]
        with torch.no_grad():
            loss = float(self._step(*state))
        for parameter, value in zip(state[0], before, strict=True):
            parameter.copy_(value)
        return loss, flattened(state[1]) / (1 - BETAS[0])

    def steps(self, count: int) -> None:
        _steps(self._step, self._state, count)


def _steps(step: Callable[..., Tensor], state: State, count: int) -> None:
    with torch.no_grad():
        for _ in range(count):
            step(*state)


def adam_step(
    equation: Any,
    features_first: bool,
    parameters: list[Tensor],
    first: list[Tensor],
    second: list[Tensor],
    done: Tensor,
    data: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """The loss before the step. Parameters, moments and the count of steps are changed in place."""

    def loss(parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
        layers = list(zip(parameters[::2], parameters[1::2], strict=True))
        value = taylor_loss(layers, *data, equation, features_first)
        return value, value

    gradients, value = torch.func.grad(loss, has_aux=True)(parameters)
    adam(parameters, first, second, done, gradients)
    return value


def adam(
    parameters: Sequence[Tensor],
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    done: Tensor,
    gradients: Sequence[Tensor],
    rate: float = LEARNING_RATE,
) -> None:
    """Of plain operations, for compilers; in place."""
    done.add_(1)
    bias_1, bias_2 = 1 - BETAS[0] ** done, 1 - BETAS[1] ** done
    for parameter, m, v, gradient in zip(parameters, first, second, gradients, strict=True):
        m.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
        v.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        parameter.sub_(rate * (m / bias_1) / ((v / bias_2).sqrt() + EPSILON))


class MakeFx(TorchStep):
    """Nested autograd and its way back traced by make_fx into one graph, then compiled: torch.compile alone refuses
    double backward (pytorch issue 91469)."""

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        from torch.fx.experimental.proxy_tensor import make_fx

        shapes = [parameter.shape for parameter in self.net.parameters()]

        def whole(parameters: list[Tensor], x: Tensor, edge: Tensor, values: Tensor) -> tuple[Tensor, ...]:
            x = x.detach().requires_grad_()
            own = [parameter.detach().requires_grad_() for parameter in parameters]
            layers = list(zip(own[::2], own[1::2], strict=True))

            def net(points: Tensor) -> Tensor:
                return chain_rule.values(torch, layers, points, False)

            columns = [x[:, axis, None] for axis in range(x.shape[1])]
            residual = self.equation.residual(torch, columns, nested(self.equation, net, x))
            loss = residual.square().mean() + (net(edge) - values).square().mean()
            return (loss, *torch.autograd.grad(loss, own))

        self._parameters = list(self.net.parameters())
        example = [torch.empty(shape, dtype=self.x.dtype).uniform_(-1, 1) for shape in shapes]
        graph = make_fx(whole)(example, self.x, self.edge, self.values)
        self._whole = torch.compile(graph, dynamic=False)
        self._loss_and_gradients()

    def _loss_and_gradients(self) -> tuple[Tensor, Sequence[Tensor]]:
        with torch.no_grad():
            loss, *gradients = self._whole(self._parameters, self.x, self.edge, self.values)
        return loss, gradients

    def loss_and_gradient(self) -> tuple[float, Array]:
        loss, gradients = self._loss_and_gradients()
        return float(loss), flattened(gradients)

    def steps(self, count: int) -> None:
        for _ in range(count):
            for parameter, gradient in zip(self._parameters, self._loss_and_gradients()[1], strict=True):
                parameter.grad = gradient
            self.optimizer.step()


class Func(TorchStep):
    """torch.func: vmap of forward over reverse at each point."""

    def derivatives(self) -> Mapping[str, Tensor]:
        parameters: dict[str, Tensor] = dict(self.net.named_parameters())
        found = torch.func.vmap(lambda point: self.at(parameters, point))(self.x)
        return {name: value[:, None] for name, value in found.items()}

    def at(self, parameters: dict[str, Tensor], point: Tensor) -> dict[str, Tensor]:
        """u and derivatives at one point, ()."""
        from torch.func import functional_call, grad, jvp

        equation = self.equation

        def u(point: Tensor) -> Tensor:
            found: Tensor = functional_call(self.net, parameters, (point,))
            return found.squeeze(-1)

        def along(function: Callable[[Tensor], Tensor], axis: int) -> Callable[[Tensor], Tensor]:
            def derivative(point: Tensor) -> Tensor:
                direction = torch.zeros_like(point)
                direction[axis] = 1
                return jvp(function, (point,), (direction,))[1]

            return derivative

        def of(name: str) -> Callable[[Tensor], Tensor]:
            axis = equation.coordinates.index(name[0])
            gradient = grad(u)

            def first(point: Tensor) -> Tensor:
                return gradient(point)[axis]

            function: Callable[[Tensor], Tensor] = first
            for letter in name[1:]:
                function = along(function, equation.coordinates.index(letter))
            return function

        out = {"u": u(point)}
        for need in equation.needs:
            names = [2 * equation.coordinates[axis] for axis in equation.space] if need == "lap" else [need]
            out[need] = sum((of(name)(point) for name in names[1:]), start=of(names[0])(point))
        return out
