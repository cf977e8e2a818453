"""DeepXDE, PyTorch backend."""

from __future__ import annotations

import os
from typing import Any

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch

from .posed import Given

LIBRARY = "deepxde"


def laplace(x: Any, u: Any) -> Any:
    return dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1)


def poisson(x: Any, u: Any) -> Any:
    lap = dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1)
    source = [(-1) ** (k + 1) * k**2 / 2 * torch.sin(k * np.pi * x).prod(1, keepdim=True) for k in range(1, 5)]
    return lap - sum(source)


def burgers(x: Any, u: Any) -> Any:
    u_t, u_x = dde.grad.jacobian(u, x, i=0, j=0), dde.grad.jacobian(u, x, i=0, j=1)
    return u_t + u * u_x - 0.01 / np.pi * dde.grad.hessian(u, x, i=1, j=1)


def helmholtz(x: Any, u: Any) -> Any:
    lap = dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1)
    k = 2 * np.pi
    return lap + k**2 * u + k**2 * torch.sin(k * x).prod(1, keepdim=True)


EQUATIONS = {"laplace": laplace, "poisson": poisson, "burgers": burgers, "helmholtz": helmholtz}


def solve(given: Given, equation: Any) -> Any:
    geometry = dde.geometry.PointCloud(given.points)
    edge = dde.icbc.PointSetBC(given.edge, given.values)
    data = dde.data.PDE(geometry, equation, edge, anchors=given.points, num_test=1)
    net = dde.nn.FNN(given.layers, "tanh", "Glorot uniform")
    model = dde.Model(data, net)
    model.compile("adam", lr=1e-3)
    model.train(iterations=given.steps, display_every=given.steps, callbacks=[Record(given)])
    return model


class Record(dde.callbacks.Callback):
    def __init__(self, given: Given) -> None:
        super().__init__()
        self._record = given.record

    def on_epoch_end(self) -> None:
        if self._record(self.model.train_state.step, self.model.predict):
            self.model.stop_training = True
