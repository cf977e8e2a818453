"""PINA as its tutorials write a PINN: a problem with conditions on given points, `PhysicsInformedSingleModelSolver`,
`Trainer`.

Settings: all points are one batch; Lightning's ``barebones`` mode, which switches off logging, checkpoints, the
progress bar and the summary; torch's fused Adam; ``fast_grad``, the operator without checks, for each derivative once.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation import Equation as PinaEquation
from pina.model import FeedForward
from pina.operator import fast_grad
from pina.optim import TorchOptimizer
from pina.problem import SpatialProblem, TimeDependentProblem
from pina.solver import PhysicsInformedSingleModelSolver

from ..suite.case import Array, Case, Data
from ..suite.contestant import BETAS, EPSILON, LEARNING_RATE
from ..suite.equations import Equation
from .torch_peers import keep_freed_memory

# Lightning says at every run which devices it found, and that it ended.
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def derivatives(equation: Equation, at: Any, u: Any) -> Mapping[str, Any]:
    space = [equation.coordinates[axis] for axis in equation.space]
    wanted = {need: [2 * name for name in space] if need == "lap" else [need] for need in equation.needs}
    names = [name for own in wanted.values() for name in own]
    gradients: dict[str, Any] = {}

    def of(name: str) -> Any:
        if not name:
            return u
        below = name[:-1]
        if below not in gradients:
            after = sorted({other[len(below)] for other in names if other.startswith(below) and other != below})
            function = of(below)
            gradients[below] = fast_grad(function, at, function.labels, after)
        return gradients[below][f"d{of(below).labels[0]}d{name[-1]}"]

    return {"u": u, **{need: sum(map(of, own[1:]), start=of(own[0])) for need, own in wanted.items()}}


def posed(data: Data, dtype: torch.dtype) -> Any:
    """PINA's inputs are the coordinates of space, then time."""
    equation = data.equation
    space = {equation.coordinates[axis]: list(equation.box[axis]) for axis in equation.space}
    time = {name: list(ends) for name, ends in zip(equation.coordinates, equation.box, strict=True) if name == "t"}

    def labelled(points: Array) -> Any:
        columns = [equation.coordinates.index(name) for name in (*space, *time)]
        return LabelTensor(torch.from_numpy(points[:, columns]).to(dtype), [*space, *time])

    def residual(at: Any, u: Any) -> Any:
        columns = [at[name] for name in equation.coordinates]
        return equation.residual(torch, columns, derivatives(equation, at, u))

    given = LabelTensor(torch.from_numpy(data.values[:, None]).to(dtype), ["u"])
    members = {
        "output_variables": ["u"],
        "spatial_domain": CartesianDomain(space),
        "conditions": {
            "inside": Condition(input=labelled(data.points), equation=PinaEquation(residual)),
            "edge": Condition(input=labelled(data.edge), target=given),
        },
    }
    if not time:
        return type("Posed", (SpatialProblem,), members)()
    members["temporal_domain"] = CartesianDomain(time)
    return type("Posed", (TimeDependentProblem, SpatialProblem), members)()


class Kept(Callback):
    """The loss and the gradient of a step."""

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.gradients = [parameter.grad.double().numpy() for parameter in pl_module.model.parameters()]

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.loss = float(outputs["loss"])

    def flat(self) -> Array:
        return np.concatenate([gradient.ravel() for gradient in self.gradients])


class PINA:
    """Each call of `steps` is a run of the trainer, in which an epoch is a step; it starts Adam anew."""

    def __init__(self, case: Case, data: Data) -> None:
        keep_freed_memory()
        dtype = getattr(torch, case.dtype)
        problem = posed(data, dtype)
        inputs, *hidden, outputs = case.layers
        self.model = FeedForward(inputs, outputs, layers=hidden, func=torch.nn.Tanh).to(dtype)
        self._order = [data.equation.coordinates.index(name) for name in problem.input_variables]
        (first, bias), *others = data.weights
        with torch.no_grad():
            linear = [layer for layer in self.model.modules() if isinstance(layer, torch.nn.Linear)]
            for layer, own in zip(linear, [(first[:, self._order], bias), *others], strict=True):
                layer.weight.copy_(torch.from_numpy(own[0]))
                layer.bias.copy_(torch.from_numpy(own[1]))
        adam = TorchOptimizer(torch.optim.Adam, lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, fused=True)
        self._solver = PhysicsInformedSingleModelSolver(problem, self.model, optimizer=adam)

    def _train(self, count: int, callbacks: list[Callback]) -> None:
        with warnings.catch_warnings():
            # That nothing is logged, and of settings of PINA and of torch that Lightning will not have for long.
            warnings.simplefilter("ignore")
            quiet = {"barebones": True, "enable_progress_bar": False}
            Trainer(self._solver, max_epochs=count, accelerator="cpu", callbacks=callbacks, **quiet).train()

    def loss_and_gradient(self) -> tuple[float, Array]:
        """By a step of the trainer, which is taken back."""
        kept, before = Kept(), [parameter.detach().clone() for parameter in self.model.parameters()]
        self._train(1, [kept])
        with torch.no_grad():
            for parameter, value in zip(self.model.parameters(), before, strict=True):
                parameter.copy_(value)
        first, *others = kept.gradients
        first = first[:, np.argsort(self._order)]
        return kept.loss, np.concatenate([gradient.ravel() for gradient in (first, *others)])

    def steps(self, count: int) -> None:
        self._train(count, [])
