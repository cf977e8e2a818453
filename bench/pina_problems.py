"""Problems written for PINA, and a run of its own solver and trainer on them.

The network's class is all that differs between ``pina.model.FeedForward`` and that of `psinn_fast.integrations.pina`.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation import Equation
from pina.equation.zoo import FixedValue
from pina.operator import grad, laplacian
from pina.problem import BaseProblem, InverseProblem, SpatialProblem, TimeDependentProblem
from pina.solver import BaseSolver, PhysicsInformedSingleModelSolver

VISCOSITY = 0.01 / pi
CONDUCTIVITY = 0.3


def on_square(x: Any, y: Any) -> Any:
    return CartesianDomain({"x": x, "y": y})


def in_time(x: Any, t: Any) -> Any:
    return CartesianDomain({"x": x, "t": t})


def poisson_residual(at: Any, u: Any) -> Any:
    source = 5 * pi**2 * torch.sin(pi * at["x"]) * torch.sin(2 * pi * at["y"])
    return laplacian(u, at, components=["u"], d=["x", "y"]) + source


class Poisson(SpatialProblem):
    """-lap u = 5 pi^2 sin(pi x) sin(2 pi y) on the unit square, u = 0 on its sides: u = sin(pi x) sin(2 pi y)."""

    def __init__(self) -> None:
        self.domains = {
            "inside": on_square([0, 1], [0, 1]),
            "left": on_square(0, [0, 1]),
            "right": on_square(1, [0, 1]),
            "bottom": on_square([0, 1], 0),
            "top": on_square([0, 1], 1),
        }
        sides = {side: Condition(domain=side, equation=FixedValue(0.0)) for side in self.domains if side != "inside"}
        self.conditions = {"inside": Condition(domain="inside", equation=Equation(poisson_residual)), **sides}
        super().__init__()

    output_variables: Any = ["u"]  # noqa: RUF012  # read, never changed
    conditions: Any = None
    spatial_domain = on_square([0, 1], [0, 1])


def burgers_residual(at: Any, u: Any) -> Any:
    slope = grad(u, at, components=["u"], d=["x", "t"])
    u_xx = grad(slope, at, components=["dudx"], d=["x"])
    return slope["dudt"] + u * slope["dudx"] - VISCOSITY * u_xx


class Burgers(TimeDependentProblem, SpatialProblem):
    """u_t + u u_x = 0.01/pi u_xx for |x| < 1, 0 < t < 1; u = -sin(pi x) at t = 0, u = 0 at x = -1 and 1."""

    def __init__(self) -> None:
        self.domains = {
            "inside": in_time([-1, 1], [0, 1]),
            "start": in_time([-1, 1], 0),
            "low": in_time(-1, [0, 1]),
            "high": in_time(1, [0, 1]),
        }
        self.conditions = {
            "inside": Condition(domain="inside", equation=Equation(burgers_residual)),
            "start": Condition(domain="start", equation=Equation(lambda at, u: u + torch.sin(pi * at["x"]))),
            "low": Condition(domain="low", equation=FixedValue(0.0)),
            "high": Condition(domain="high", equation=FixedValue(0.0)),
        }
        super().__init__()

    output_variables: Any = ["u"]  # noqa: RUF012  # read, never changed
    conditions: Any = None
    spatial_domain = CartesianDomain({"x": [-1, 1]})
    temporal_domain = CartesianDomain({"t": [0, 1]})


def heat_residual(at: Any, u: Any, unknown: Any) -> Any:
    u_t = grad(u, at, components=["u"], d=["t"])
    u_xx = laplacian(u, at, components=["u"], d=["x"])
    return u_t - unknown["k"] * u_xx


class HeatInverse(TimeDependentProblem, SpatialProblem, InverseProblem):
    """k of u_t = k u_xx on 0 < x, t < 1 from u = sin(pi x) exp(-k pi^2 t), k = 0.3, measured at 9 x 9 points."""

    def __init__(self) -> None:
        self.domains = {"inside": in_time([0, 1], [0, 1]), "start": in_time([0, 1], 0)}
        along = torch.linspace(0.1, 0.9, 9)
        points = LabelTensor(torch.cartesian_prod(along, along), ["x", "t"])
        values = torch.sin(pi * points["x"]) * torch.exp(-CONDUCTIVITY * pi**2 * points["t"])
        measured = LabelTensor(values.as_subclass(torch.Tensor), ["u"])
        self.conditions = {
            "inside": Condition(domain="inside", equation=Equation(heat_residual)),
            "start": Condition(domain="start", equation=Equation(lambda at, u: u - torch.sin(pi * at["x"]))),
            "measured": Condition(input=points, target=measured),
        }
        super().__init__()

    output_variables: Any = ["u"]  # noqa: RUF012  # read, never changed
    conditions: Any = None
    spatial_domain = CartesianDomain({"x": [0, 1]})
    temporal_domain = CartesianDomain({"t": [0, 1]})
    unknown_parameter_domain = CartesianDomain({"k": [0.1, 1.0]})


class Steps(Callback):
    """The loss of each step, of all points, and when it ended: what the trainer does between steps counts."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.seconds: list[float] = []

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.losses.append(float(trainer.callback_metrics["train_loss"]))
        self.seconds.append(time.perf_counter())


@dataclass(frozen=True)
class Run:
    trainer: Trainer
    losses: list[float]
    seconds_per_step: float


@dataclass(frozen=True)
class Example:
    """``points`` inside, and ``edge`` on each of the other domains."""

    name: str
    problem: Callable[[], BaseProblem]
    layers: tuple[int, ...]
    points: int
    edge: int

    def run(
        self,
        network: Callable[..., Any],
        steps: int,
        share: float = 1.0,
        layers: tuple[int, ...] = (),
        solver: Callable[..., BaseSolver] = PhysicsInformedSingleModelSolver,
        checkpoint: Path | None = None,
    ) -> Run:
        """PINA's solver and trainer, one seed, one run."""
        solving, found = self.solver(network, share, layers, solver), Steps()
        trainer = train(solving, steps, found, checkpoint)
        return Run(trainer, found.losses, (found.seconds[-1] - found.seconds[0]) / max(1, steps - 1))

    def solver(
        self,
        network: Callable[..., Any],
        share: float = 1.0,
        layers: tuple[int, ...] = (),
        kind: Callable[..., BaseSolver] = PhysicsInformedSingleModelSolver,
    ) -> BaseSolver:
        """With ``network(inputs, outputs, layers=hidden)`` on that share of the usual points; one seed, one solver."""
        torch.manual_seed(0)
        problem = self.problem()
        inputs, *hidden, outputs = layers or self.layers
        model = network(inputs, outputs, layers=hidden)
        for name in problem.domains:
            most = self.points if name == "inside" else self.edge
            problem.discretise_domain(max(4, round(share * most)), "random", domains=name)
        return kind(problem, model)


def train(solver: BaseSolver, steps: int, callback: Callback, checkpoint: Path | None = None) -> Trainer:
    """All points are one batch: an epoch is a step."""
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    with warnings.catch_warnings():
        # Lightning's, of settings of PINA and of torch that it will not have for long.
        warnings.simplefilter("ignore")
        trainer = Trainer(solver, max_epochs=steps, accelerator="cpu", callbacks=[callback], **quiet)
        trainer.train(ckpt_path=checkpoint, weights_only=False)
    return trainer


# Lightning says at every run which devices it found, and that it ended.
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

EXAMPLES = (
    Example("Poisson", Poisson, (2, 32, 32, 32, 1), 10_000, 250),
    Example("Burgers", Burgers, (2, *[20] * 8, 1), 10_000, 200),
    Example("heat, inverse", HeatInverse, (2, 32, 32, 32, 1), 10_000, 200),
    Example("Poisson, few points", Poisson, (2, 32, 32, 32, 1), 400, 20),
)
