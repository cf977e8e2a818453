"""A step of Adam on the flow past a cylinder, at 20,486 points as in the paper: ``python -m bench.flow_step``.

Contestants: nn.Sequential with nested torch.autograd.grad; ours as `fit` takes it; each for 2-40-40-40-3 and for the
expanded layers of the published Psi-NN, and our Psi-NN itself, at all points and at one point of each orbit, which is
where `fit` trains it. Losses and gradients are checked in float64 first. Rounds alternate; ratios are taken within one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import psinn_fast as pf
from psinn_fast.kernels import get_backend
from psinn_fast.networks.published import published_structure
from psinn_fast.problems import get_problem
from psinn_fast.training.points.point_orbits import one_point_per_orbit

from .check import Expected, compare
from .environment import environment
from .section import Row
from .timing import at_least, at_most, cell, spread, time_steps
from .training_step import Step, TorchStep, TrainStep

POINTS = 20_486
PINN = (2, 40, 40, 40, 3)
LR, MU, WEIGHT = 1e-3, 0.02, 2.0
# The PINN: times faster than nested autograd. The Psi-NN: its time over that of the dense network of its layers.
LEAST_OF_NESTED, MOST_OF_DENSE = 10.0, 1.0


def flow_problem(points: int) -> pf.Problem:
    """The built-in one, its residual at so many points: low-discrepancy ones above the axis and their mirror images."""
    problem = get_problem("cylinder")
    drawn = np.asarray(problem.domain.random(2 * points, seed=0))
    above = drawn[drawn[:, 1] > 0][: points // 2]
    both = np.concatenate([above, above * [1, -1]])
    return replace(problem, conditions=[pf.Residual(both), *problem.conditions[1:]])


class NestedFlowStep(TorchStep):
    """The usual PINN of this problem, in plain torch."""

    def __init__(self, net: nn.Sequential, problem: pf.Problem, dtype: torch.dtype = torch.float32) -> None:
        self.net = net.to(dtype)
        residual, *parts = problem.terms(dtype)
        self.x = residual.points[0].clone().requires_grad_()
        self.points = {part.name: part.points[0] for part in parts}
        y = self.points["inlet"][:, 1]
        self.inflow = torch.stack([4 * (0.2 + y) * (0.2 - y) / 0.4**2, 0 * y], 1)
        self.pressure = torch.tensor(problem.exact_at(problem.conditions[-1].sites[0])[:, 2], dtype=dtype)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=LR, fused=True)

    def loss(self) -> Tensor:
        out = self.net(self.x)
        u, v = out[:, 0], out[:, 1]
        du, dv, dp = (torch.autograd.grad(out[:, i].sum(), self.x, create_graph=True)[0] for i in range(3))
        lap_u, lap_v = (
            sum(
                (torch.autograd.grad(d[:, i].sum(), self.x, create_graph=True)[0][:, i] for i in range(2)),
                start=u.new_zeros(()),
            )
            for d in (du, dv)
        )
        momentum_x = u * du[:, 0] + v * du[:, 1] + dp[:, 0] - MU * lap_u
        momentum_y = u * dv[:, 0] + v * dv[:, 1] + dp[:, 1] - MU * lap_v
        continuity = du[:, 0] + dv[:, 1]
        inside = momentum_x.square().mean() + momentum_y.square().mean() + continuity.square().mean()
        return inside + WEIGHT * self.misfits()

    def misfits(self) -> Tensor:
        names = ["inlet", "cylinder", "walls", "outlet"]  # at the cylinder, one evaluation for speed and pressure
        points = [self.points[name] for name in names]
        inlet, cylinder, walls, outlet = self.net(torch.cat(points)).split([len(own) for own in points])
        return (
            (inlet[:, :2] - self.inflow).square().sum(1).mean()
            + cylinder[:, :2].square().sum(1).mean()
            + walls[:, :2].square().sum(1).mean()
            + (cylinder[:, 2] - self.pressure).square().mean()
            + outlet[:, 2].square().mean()
        )


def ours(net: pf.PsiMLP, problem: pf.Problem, is_folded: bool = False) -> TrainStep:
    engine = get_backend("cpu")
    terms = problem.terms()
    if is_folded:
        terms = one_point_per_orbit(problem, net, terms, engine)
    return TrainStep(net.plan, net.theta, terms, engine, LR, problem.weights())


def expected_of(net: pf.PsiMLP, problem: pf.Problem) -> Expected:
    """Of the network in float64 on the reference backend, without any rewriting."""
    plan, theta = net.structure.expanded_plan, net.theta.detach().double()
    return Expected.of(TrainStep(plan, theta, problem.terms(torch.float64), lr=LR, weights=problem.weights()))


def contestants(problem: pf.Problem) -> tuple[dict[str, Step], dict[str, float]]:
    """Steps by name, and the relative errors of their gradients.

    Raises:
        WrongPeer: one is off.
    """
    psi = pf.PsiMLP(published_structure("flow"), width=20, seed=0)
    steps: dict[str, Step] = {}
    errors: dict[str, float] = {}
    for sizes in (PINN, psi.structure.layer_sizes):
        name, net = "-".join(map(str, sizes)), pf.MLP(sizes, seed=0)
        expected = Expected.of(NestedFlowStep(net.double().to_sequential(), problem, torch.float64))
        net = pf.MLP(sizes, seed=0)
        for way, step in (("nested", NestedFlowStep(net.to_sequential(), problem)), ("ours", ours(net, problem))):
            steps[f"{way} {name}"] = step
            errors[f"{way} {name}"] = compare(step, expected, f"{way} {name}")
    expected = expected_of(psi, problem)
    for name, is_folded in (("psi", False), ("psi, one point per orbit", True)):
        steps[name] = ours(psi, problem, is_folded)
        errors[name] = compare(steps[name], expected, name)
    return steps, errors


def measure(points: int, rounds: int, block: int) -> Row:
    problem = flow_problem(points)
    steps, errors = contestants(problem)
    times = time_steps(steps, rounds, block)
    narrow, wide = (name.removeprefix("ours ") for name in steps if name.startswith("ours"))
    speedup = {name: times[f"nested {name}"] / times[f"ours {name}"] for name in (narrow, wide)}
    dense = times[f"ours {wide}"]
    return {
        "points": [term.n_points for term in problem.terms()],
        "gradient_error": errors,
        "milliseconds_per_step": {name: spread(seconds * 1e3) for name, seconds in times.items()},
        "speedup_over_nested": {narrow: at_least(speedup[narrow], LEAST_OF_NESTED), wide: spread(speedup[wide])},
        "psi_over_dense": {
            name: at_most(times[name] / dense, MOST_OF_DENSE) for name in ("psi", "psi, one point per orbit")
        },
    }


def table(row: Row) -> str:
    lines = [f"{'step':32}{'ms per step':>24}{'gradient error':>16}"]
    lines += [
        f"{name:32}{cell(times):>24}{row['gradient_error'][name]:>16.1e}"
        for name, times in row["milliseconds_per_step"].items()
    ]
    lines += [
        f"ours over nested, {name}: {cell(found, digits=1)}" for name, found in row["speedup_over_nested"].items()
    ]
    lines += [f"{name} over dense: {cell(found, digits=2)}" for name, found in row["psi_over_dense"].items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.flow_step", description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block", type=int, default=3, help="steps per round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "flow_step.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    row = measure(options.points, options.rounds, options.block)
    print(table(row))
    command = f"python -m bench.flow_step --rounds {options.rounds} --block {options.block} --threads {options.threads}"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    about = {"command": command, "rounds": options.rounds, "block": options.block, **environment(options.threads)}
    options.out.write_text(json.dumps({**about, **row}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
