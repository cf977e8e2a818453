"""PINA's own solvers and trainer on both networks: one line changed, the same losses."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("pina.model", reason="the package pina-mathlab is not installed")

import pina
import pina.solver

from bench.pina_problems import EXAMPLES, Example, Run
from psinn_fast.integrations.pina import FeedForward, PsiFeedForward
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group

THEIRS = pina.model.FeedForward
# A hundredth of the usual points: the kernels take them from half as many as the widest layer has neurons on.
SHARE, LAYERS = 0.01, (2, 12, 12, 1)
POISSON, BURGERS, HEAT, _ = EXAMPLES


pytestmark = pytest.mark.usefixtures("float64")


def difference(ours: Run, theirs: Run) -> float:
    return float(np.abs(np.array(ours.losses) / np.array(theirs.losses) - 1).max())


@pytest.mark.parametrize("example", [POISSON, BURGERS, HEAT], ids=lambda example: example.name)
def test_the_same_losses_for_a_hundred_steps(example: Example) -> None:
    theirs, ours = (example.run(kind, 100, SHARE, LAYERS) for kind in (THEIRS, FeedForward))
    assert len(theirs.losses) == 100
    assert theirs.losses[-1] < 0.99 * theirs.losses[0]
    assert difference(ours, theirs) < 1e-9  # rounding errors grow with the steps; 1e-5 is promised
    if example is HEAT:
        found, right = (run.trainer.solver.problem.unknown_parameters["k"].item() for run in (ours, theirs))
        assert (
            abs(found - HEAT.run(FeedForward, 1, SHARE, LAYERS).trainer.solver.problem.unknown_parameters["k"].item())
            > 0.02
        )
        assert found == pytest.approx(right, rel=1e-9)


@pytest.mark.parametrize("kind", ["SelfAdaptive", "Competitive", "Gradient", "RBA", "Causal"])
def test_other_solvers(kind: str) -> None:
    """The residual's gradient, of order three; weights per point; a second network as the opponent; windows of time."""
    middle = "" if kind in ("SelfAdaptive", "Competitive") else "SingleModel"
    solver = getattr(pina.solver, f"{kind}PhysicsInformed{middle}Solver")
    if kind == "Causal":
        solver = partial(solver, regularized_conditions=["inside"])
    theirs, ours = (BURGERS.run(network, 10, SHARE, LAYERS, solver) for network in (THEIRS, FeedForward))
    assert difference(ours, theirs) < 1e-9


def test_checkpoints(tmp_path: Path) -> None:
    """Lightning's: a run is resumed, and the weights of PINA's own network are read."""
    whole = BURGERS.run(FeedForward, 8, SHARE, LAYERS)
    first = BURGERS.run(FeedForward, 5, SHARE, LAYERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first.trainer.save_checkpoint(tmp_path / "ours.ckpt")
        resumed = BURGERS.run(FeedForward, 8, SHARE, LAYERS, checkpoint=tmp_path / "ours.ckpt")
        assert resumed.losses == whole.losses[5:]
        theirs = BURGERS.run(THEIRS, 5, SHARE, LAYERS).trainer
        theirs.save_checkpoint(tmp_path / "theirs.ckpt")
        solver = pina.solver.PhysicsInformedSingleModelSolver.load_from_checkpoint(
            tmp_path / "theirs.ckpt",
            problem=theirs.solver.problem,
            model=FeedForward(2, 1, layers=[12, 12]),
            weights_only=False,
        )
    points = theirs.solver.problem.discretised_domains["inside"]
    assert torch.allclose(solver(points).tensor, theirs.solver(points).tensor, rtol=1e-12, atol=1e-14)
    assert solver(points).labels == ["u"]


def test_a_structure_keeps_its_symmetry() -> None:
    """Burgers: u is odd in x, the first of the problem's input_variables."""
    odd = structure_from_group([Symmetry(SignedPermutation.flip(2, 0), (-1,))], hidden=(1, 1))
    run = BURGERS.run(lambda inputs, outputs, layers: PsiFeedForward(odd, layers[0] // 2), 20, SHARE, LAYERS)
    assert run.losses[-1] < run.losses[0]
    points = run.trainer.solver.problem.discretised_domains["inside"]
    assert run.trainer.solver.problem.input_variables == ["x", "t"]
    mirrored = points.tensor * torch.tensor([-1.0, 1.0])
    net = run.trainer.solver.model
    assert torch.allclose(net(mirrored), -net(points.tensor), rtol=0, atol=1e-14)
