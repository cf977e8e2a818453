"""PINA."""

from __future__ import annotations

import warnings
from math import pi
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation import Equation
from pina.model import FeedForward
from pina.operator import grad, laplacian
from pina.problem import SpatialProblem
from pina.solver import PhysicsInformedSingleModelSolver

from .posed import Given

LIBRARY = "pina-mathlab"


def laplace(at: Any, u: Any) -> Any:
    return laplacian(u, at, components=["u"], d=["x", "y"])


def poisson(at: Any, u: Any) -> Any:
    modes = [(k, torch.sin(k * pi * at["x"]) * torch.sin(k * pi * at["y"])) for k in range(1, 5)]
    return laplacian(u, at, components=["u"], d=["x", "y"]) - sum((-1) ** (k + 1) * k**2 / 2 * m for k, m in modes)


def burgers(at: Any, u: Any) -> Any:
    slope = grad(u, at, components=["u"], d=["t", "x"])
    u_xx = grad(slope, at, components=["dudx"], d=["x"])
    return slope["dudt"] + u * slope["dudx"] - 0.01 / pi * u_xx


def helmholtz(at: Any, u: Any) -> Any:
    source = torch.sin(2 * pi * at["x"]) * torch.sin(2 * pi * at["y"])
    return laplacian(u, at, components=["u"], d=["x", "y"]) + (2 * pi) ** 2 * (u + source)


EQUATIONS = {"laplace": laplace, "poisson": poisson, "burgers": burgers, "helmholtz": helmholtz}


def solve(given: Given, equation: Any) -> Any:
    names = list(given.posed.coordinates)
    box = dict(zip(names, map(list, given.posed.box), strict=True))
    inside, edge = (LabelTensor(torch.from_numpy(points), names) for points in (given.points, given.edge))

    class Problem(SpatialProblem):
        output_variables: Any = ["u"]  # noqa: RUF012 (PINA asks for attributes of the class)
        spatial_domain: Any = CartesianDomain(box)
        conditions: Any = {  # noqa: RUF012 (likewise)
            "inside": Condition(input=inside, equation=Equation(equation)),
            "edge": Condition(input=edge, target=LabelTensor(torch.from_numpy(given.values), ["u"])),
        }

    inputs, *hidden, outputs = given.layers
    model = FeedForward(inputs, outputs, layers=hidden, func=torch.nn.Tanh)
    solver = PhysicsInformedSingleModelSolver(Problem(), model)
    callbacks = [Record(given)]
    quiet = {"barebones": True, "enable_progress_bar": False}
    Trainer(solver, max_epochs=given.steps, accelerator="cpu", callbacks=callbacks, **quiet).train()
    return model


class Record(Callback):
    def __init__(self, given: Given) -> None:
        self._given = given

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        names = list(self._given.posed.coordinates)

        def predict(points: Any) -> Any:
            with torch.no_grad():
                return pl_module(LabelTensor(torch.from_numpy(points), names)).numpy()

        if self._given.record(trainer.global_step, predict):
            trainer.should_stop = True


# Of PINA's own warnings some come at every step.
warnings.filterwarnings("ignore", message=".*barebones", category=UserWarning)
