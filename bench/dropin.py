"""Existing PyTorch code with only the layer swapped, `pf.derivatives`, and the fused step: ``python -m bench.dropin``.

One Adam step on mean (u_xx + u_yy)^2, or mean (lap lap u)^2, at points that require grad, by

- sequential: nn.Sequential (of the expanded sizes where weights are tied) and nested torch.autograd.grad;
- layer: the same code with `MLP` or `PsiMLP`;
- derivatives: `pf.derivatives`, loss.backward(), torch.optim.Adam;
- fuse: the code of ``layer``, fused by `pf.fuse`, in the same loop of torch;
- fuse and fit: steps as `pf.fit` takes them of the same fused loss;
- train: steps as `pf.fit` takes them of a `Problem`.

Losses and gradients are checked against nn.Sequential in float64 first. Rounds alternate; ratios are taken within one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import psinn_fast as pf

from .check import GRADIENT_TOLERANCE, WrongPeer
from .environment import environment
from .section import Row, attempt
from .timing import alternate, at_least, at_most, cell, keep_freed_memory, spread
from .training_step import TrainStep

WAYS = ("sequential", "layer", "derivatives", "fuse", "fuse and fit", "train")
# Steps of a problem that one of a fused loss may cost, and how many times faster than nn.Sequential it should be.
MOST_OF_PROBLEM, LEAST_OF_SEQUENTIAL = 1.1, 10.0
LR = 1e-3


@dataclass(frozen=True)
class Dropin:
    """``speedup``: how many times faster than ``sequential`` the layer should be.

    ``steps``: of ``train``, that ``derivatives`` may cost.
    """

    name: str
    layers: tuple[int, ...]
    points: int = 10_201
    is_tied: bool = False
    order: int = 2
    speedup: float = 1.0
    steps: float | None = None

    def network(self) -> pf.PsiMLP:
        if not self.is_tied:
            return pf.MLP(self.layers, seed=0)
        even = pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))
        hidden = self.layers[1:-1]
        return pf.PsiMLP(pf.structure_from_group([even], hidden=(1,) * len(hidden)), width=hidden[0] // 2, seed=0)


_CASES = (
    Dropin("2-8-8-16-1", (2, 8, 8, 16, 1), speedup=3.0, steps=1.6),
    Dropin("2-32-32-32-1", (2, 32, 32, 32, 1), speedup=4.0, steps=1.3),
    Dropin("Psi, 2-32-32-32-1", (2, 32, 32, 32, 1), is_tied=True, speedup=6.0, steps=1.3),
    Dropin("2-64-64-64-64-1", (2, 64, 64, 64, 64, 1), speedup=3.0, steps=1.3),
    Dropin("2-8-8-16-1", (2, 8, 8, 16, 1), points=100),
    Dropin("2-32-32-32-1", (2, 32, 32, 32, 1), points=100),
    Dropin("Psi, 2-32-32-32-1", (2, 32, 32, 32, 1), is_tied=True, points=100),
    Dropin("2-64-64-64-64-1", (2, 64, 64, 64, 64, 1), points=100),
    Dropin("2-32-32-32-1", (2, 32, 32, 32, 1), order=4, speedup=8.0),
)


def nested(net: nn.Module, x: Tensor, order: int) -> Tensor:
    """The residual as it is written everywhere."""
    u = net(x)
    for _ in range(order // 2):
        (g,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (u_x,) = torch.autograd.grad(g[:, 0].sum(), x, create_graph=True)
        (u_y,) = torch.autograd.grad(g[:, 1].sum(), x, create_graph=True)
        u = u_x[:, 0] + u_y[:, 1]
    return u


def asked(net: pf.PsiMLP, x: Tensor, order: int) -> Tensor:
    if order == 2:
        return pf.derivatives(net, x, "u_lap", coords="x y", fields="u").u_lap
    d = pf.derivatives(net, x, "u_xxxx u_xxyy u_yyyy", coords="x y", fields="u")
    return d.u_xxxx + 2 * d.u_xxyy + d.u_yyyy


class Step:
    """A step of torch.optim.Adam on a loss."""

    def __init__(self, net: nn.Module, x: Tensor, loss: Callable[[], Tensor]) -> None:
        self.net, self.x, self.loss = net, x, loss
        self.optimizer = torch.optim.Adam(net.parameters(), lr=LR, fused=True)

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def gradients(self) -> list[Tensor]:
        return list(
            torch.autograd.grad(self.loss(), [*self.net.parameters()], allow_unused=True, materialize_grads=True)
        )


def contestants(case: Dropin, dtype: torch.dtype = torch.float32) -> dict[str, Step]:
    points = 2 * torch.rand(case.points, 2, generator=torch.Generator().manual_seed(0)).to(dtype) - 1
    nets: dict[str, nn.Module] = {"sequential": case.network().to(dtype).to_sequential()}
    nets |= {way: case.network().to(dtype) for way in ("layer", "derivatives", "fuse")}
    steps = {}
    for way, net in nets.items():
        x = points.clone().requires_grad_(way != "derivatives")
        if way == "derivatives":
            assert isinstance(net, pf.PsiMLP)
            steps[way] = Step(net, x, lambda net=net, x=x: asked(net, x, case.order).square().mean())
        elif way == "fuse":
            steps[way] = Step(net, x, pf.fuse(lambda net, x: nested(net, x, case.order).square().mean(), net, x))
        else:
            steps[way] = Step(net, x, lambda net=net, x=x: nested(net, x, case.order).square().mean())
    return steps


def check(case: Dropin, steps: dict[str, Step]) -> Row:
    """Errors of the gradients, relative, against nn.Sequential in float64.

    Raises:
        WrongPeer: one is off.
    """
    own = case.network()
    exact = contestants(case, torch.float64)["sequential"].gradients()
    pairs = list(zip(exact[0::2], exact[1::2], strict=True))
    right = {"tied": own.double().structure.expand_adjoint(pairs), "free": torch.cat([g.flatten() for g in exact])}
    errors = {}
    for way, step in steps.items():
        found = torch.cat([g.flatten() for g in step.gradients()]).double()
        expected = right["free" if way == "sequential" else "tied"]
        errors[way] = float((found - expected).norm() / expected.norm())
        if not errors[way] <= GRADIENT_TOLERANCE:
            raise WrongPeer(f"{case.name}: {way}: gradient off by {errors[way]:.1e}")
    return errors


def of_problem(case: Dropin, x: Tensor) -> Callable[[], None]:
    box = pf.Box(x=(-1, 1), y=(-1, 1))
    equation = (lambda u: u.lap) if case.order == 2 else (lambda u: u.xxxx + 2 * u.xxyy + u.yyyy)
    return trained(case, pf.Problem("dropin", pf.PDE("x y", "u", equation), box, [pf.Residual(x.detach().double())]))


def trained(case: Dropin, problem: pf.Problem) -> Callable[[], None]:
    net = case.network()
    return TrainStep(net.plan, net.theta, problem.terms(), "cpu", LR).step


def measure(case: Dropin, rounds: int, block: int) -> Row:
    steps = contestants(case)
    errors = check(case, steps)
    runs: dict[str, Callable[[], None]] = dict(steps)
    loss = steps["fuse"].loss
    assert isinstance(loss, pf.Fused)
    runs["fuse and fit"] = trained(case, loss.problem)
    runs["train"] = of_problem(case, steps["layer"].x)

    def repeated(run: Callable[[], None]) -> Callable[[], None]:
        def several() -> None:
            for _ in range(block):
                run()

        return several

    keep_freed_memory()
    several = {way: repeated(run) for way, run in runs.items()}
    times = alternate(several, rounds, {way: repeated(run) for way, run in runs.items()})
    per_step = {way: seconds / block for way, seconds in times.items()}
    ratio = per_step["derivatives"] / per_step["train"]
    return {
        "gradient_error": errors,
        "milliseconds": {way: spread(seconds * 1e3) for way, seconds in per_step.items()},
        "layer_speedup": at_least(per_step["sequential"] / per_step["layer"], case.speedup),
        "derivatives_over_train": spread(ratio) if case.steps is None else at_most(ratio, case.steps),
        "fuse_over_train": spread(per_step["fuse"] / per_step["train"]),
        "fuse_and_fit_over_train": at_most(per_step["fuse and fit"] / per_step["train"], MOST_OF_PROBLEM),
        "fuse_and_fit_speedup": at_least(per_step["sequential"] / per_step["fuse and fit"], LEAST_OF_SEQUENTIAL),
        "fuse_speedup": spread(per_step["sequential"] / per_step["fuse"]),
    }


def line(row: Row) -> str:
    name = f"{row['case']:20}{row['points']:7} order {row['order']}  "
    if "failure" in row:
        return f"{name}FAILED {row['failure']}"
    times = "".join(f"{row['milliseconds'][way]['median']:9.2f}" for way in WAYS)
    return (
        f"{name}{times}  layer {cell(row['layer_speedup'], 1, 1)}  d/train {cell(row['derivatives_over_train'], 1, 2)}"
        f"  fuse/train {cell(row['fuse_and_fit_over_train'], 1, 2)}  fuse {cell(row['fuse_speedup'], 1, 1)}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.dropin", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block", type=int, default=5, help="steps per round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "dropin.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = []
    for case in _CASES:
        row: Row = {"case": case.name, "layers": case.layers, "points": case.points, "order": case.order}
        rows.append(attempt(row, lambda case=case: measure(case, options.rounds, options.block)))
        print(line(rows[-1]), flush=True)
    command = f"python -m bench.dropin --rounds {options.rounds} --block {options.block} --threads {options.threads}"
    about = {"command": command, "rounds": options.rounds, "block": options.block, **environment(options.threads)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return int(any("failure" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
