"""DeepXDE, PyTorch backend, as its documentation writes a PINN: ``dde.data.PDE``, ``PointSetBC``, ``Model.train``.

Settings tried: differentiation in reverse (the default) and forward mode (`dde.config.set_default_autodiff`), of
which the faster one in a short trial is taken. Adam is torch's fused one. The PyTorch backend compiles nothing
(`set_default_xla_jit` is for others). Losses are neither printed nor kept between steps, and one test point is the
least that the library takes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch

from ..suite.case import Array, Case, Data
from ..suite.contestant import BETAS, EPSILON, LEARNING_RATE
from ..suite.equations import Equation
from .torch_peers import keep_freed_memory

NEVER = 10**9


def derivatives(equation: Equation, x: Any, u: Any) -> Mapping[str, Any]:
    """u and the derivatives by `dde.grad`, which remembers what it has computed.

    In forward mode u and its derivatives are pairs of values and functions, of which the residual takes the values.
    """

    def of(name: str) -> Any:
        axes = [equation.coordinates.index(letter) for letter in name]
        found = u
        while axes:
            if len(axes) == 1:
                found = dde.grad.jacobian(found, x, i=0, j=axes.pop())
            else:
                found = dde.grad.hessian(found, x, i=axes.pop(), j=axes.pop())
        return found

    def values(found: Any) -> Any:
        return found[0] if isinstance(found, tuple) else found

    out = {"u": values(u)}
    for need in equation.needs:
        names = [2 * equation.coordinates[axis] for axis in equation.space] if need == "lap" else [need]
        out[need] = sum((values(of(name)) for name in names[1:]), start=values(of(names[0])))
    return out


class DeepXDE:
    """`Model.train` evaluates the losses once before the first step and once after the last, without a way back."""

    TRIAL = 10

    def __init__(self, case: Case, data: Data) -> None:
        dde.config.set_default_float(case.dtype)
        torch.set_default_device(None)  # DeepXDE moves it where there is a GPU
        keep_freed_memory()
        self._case, self._data = case, data
        seconds = {mode: self._trial(mode) for mode in ("reverse", "forward")}
        self._start(min(seconds, key=lambda mode: seconds[mode]))

    def _trial(self, mode: str) -> float:
        self._start(mode)
        self.steps(2)
        started = time.perf_counter()
        self.steps(self.TRIAL)
        return time.perf_counter() - started

    def _start(self, mode: str) -> None:
        dde.config.set_default_autodiff(mode)
        data, equation = self._data, self._data.equation

        def pde(x: Any, u: Any) -> Any:
            return equation.residual(
                torch, [x[:, axis, None] for axis in range(x.shape[1])], derivatives(equation, x, u)
            )

        geometry = dde.geometry.PointCloud(data.points, boundary_points=data.edge)
        edge = dde.icbc.PointSetBC(data.edge, data.values[:, None])
        problem = dde.data.PDE(geometry, pde, edge, anchors=data.points, num_test=1)
        self.net = dde.nn.FNN(list(self._case.layers), "tanh", "Glorot uniform")
        with torch.no_grad():
            for layer, (weight, bias) in zip(self.net.linears, data.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))
        optimizer = torch.optim.Adam(self.net.parameters(), LEARNING_RATE, BETAS, EPSILON, fused=True)
        self.model = dde.Model(problem, self.net)
        self.model.compile(optimizer, verbose=0)

    def loss_and_gradient(self) -> tuple[float, Array]:
        loss = self.model.outputs_losses_train(*self.model.data.train_next_batch())[1].sum()
        gradients = torch.autograd.grad(loss, list(self.net.parameters()))
        return float(loss.detach()), np.concatenate([gradient.double().numpy().ravel() for gradient in gradients])

    def steps(self, count: int) -> None:
        self.model.train(iterations=count, display_every=NEVER, verbose=0)
