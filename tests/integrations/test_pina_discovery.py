"""Which symmetries a solution has, asked of networks that PINA trained."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch

pytest.importorskip("pina.model", reason="the package pina-mathlab is not installed")

from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation.zoo import FixedLaplacian
from pina.optim import TorchOptimizer
from pina.problem import SpatialProblem
from pina.solver import PhysicsInformedSingleModelSolver

import psinn_fast as pf
from psinn_fast.integrations.pina import FeedForward, PsiFeedForward

pytestmark = pytest.mark.usefixtures("float64")


class Laplace(SpatialProblem):
    """lap u = 0 for |x|, |y| < 1, u = x^3 - 3 x y^2 on the sides."""

    output_variables = ["u"]  # noqa: RUF012
    conditions = None
    spatial_domain = CartesianDomain({"x": [-1, 1], "y": [-1, 1]})

    def __init__(self) -> None:
        self.domains = {"inside": self.spatial_domain}
        along, one = torch.linspace(-1, 1, 21), torch.ones(21)
        sides = [(along, one), (along, -one), (one, along), (-one, along)]
        x, y = (torch.cat(columns)[:, None] for columns in zip(*sides, strict=True))
        given = LabelTensor(torch.cat([x, y], 1), ["x", "y"]), LabelTensor(x**3 - 3 * x * y**2, ["u"])
        self.conditions = {
            "inside": Condition(domain="inside", equation=FixedLaplacian(0.0)),
            "sides": Condition(input=given[0], target=given[1]),
        }
        super().__init__()


def trained(model: torch.nn.Module) -> Trainer:
    """By L-BFGS, two epochs of 150 iterations."""
    problem = Laplace()
    problem.discretise_domain(15, "grid")
    lbfgs = TorchOptimizer(torch.optim.LBFGS, max_iter=150, history_size=50, line_search_fn="strong_wolfe")
    solver = PhysicsInformedSingleModelSolver(problem, model, optimizer=lbfgs)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's
        trainer = Trainer(solver, max_epochs=2, accelerator="cpu", **quiet)
        trainer.train()
    return trainer


@pytest.mark.trajectory
def test_discovery_from_networks_trained_by_pina() -> None:
    teachers = []
    for seed in range(2):
        torch.manual_seed(seed)
        teachers.append(trained(FeedForward(2, 1, layers=[12, 12])).solver.model)
    box = pf.Box(x=(-1, 1), y=(-1, 1))
    found = pf.discover(box, teachers, tests="teacher")
    signs = {match.text: match.symmetry.character for match in found.group}
    assert signs == {"x -> -x": (-1,), "y -> -y": (1,), "x -> -x, y -> -y": (-1,)}
    of_pina = pf.discover(box, [teacher.to_feed_forward() for teacher in teachers], tests="teacher")
    assert of_pina.structure == found.structure
    tied = trained(PsiFeedForward(found.structure, width=6, seed=0))
    assert float(tied.callback_metrics["train_loss"]) < 0.02  # of u = 0 it is 1.4
