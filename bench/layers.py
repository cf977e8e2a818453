"""Tied linear layers beside nn.Linear, and a model before and after `accelerate`: ``python -m bench.layers``.

Layers: y = W x + b and the gradients for x and all weights, of widths 32 to 256 with one or two symmetries, by

- linear: nn.Linear of the same W and b;
- torch: `PsiLinear` with W put together from its independent weights;
- products: `PsiLinear` by the fewer products of its plan.

``chosen`` is which of the last two `PsiLinear` takes by its rule (`FactoredLayer.pays`). ``over_linear`` is its time
over nn.Linear's, ``over_other`` that over the way not taken.

Models: one step of Adam on a Laplace residual by nested autograd, of a model that multiplies its Sequential by a
function that is zero on the boundary.

Outputs and gradients are checked in float64 first. Rounds alternate; ratios are taken within one.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import psinn_fast as pf
from psinn_fast.networks import factored
from psinn_fast.networks.factored import FREE, Costs, FactoredLayer

from .check import WrongPeer
from .environment import environment
from .section import Row, attempt
from .timing import alternate, at_least, at_most, cell, keep_freed_memory, spread

WIDTHS, POINTS = (32, 64, 128, 256), (100, 1_000, 10_000)
MODELS = ((2, 32, 32, 32, 1), (2, 64, 64, 64, 64, 1))


def relations(width: int, symmetries: int) -> pf.SymbolLayer:
    """Of all layers that commute with flips which exchange halves, or quarters both ways."""
    n = 2**symmetries
    swaps = [pf.SignedPermutation(tuple(i ^ bit for i in range(n)), (1,) * n) for bit in (1, 2)[:symmetries]]
    return pf.layer_from_group([(swap, swap) for swap in swaps], width // n, width // n)


def priced(costs: Mapping[str, Costs], run: Callable[[], None]) -> Callable[[], None]:
    """The run with other costs, so that one way is taken in any case."""

    def with_costs() -> None:
        before = factored.MEASURED
        factored.MEASURED = dict(costs)
        try:
            run()
        finally:
            factored.MEASURED = before

    return with_costs


def pass_of(layer: nn.Module, x: Tensor, y_bar: Tensor) -> list[Tensor]:
    y = layer(x)
    return [y, *torch.autograd.grad(y, [x, *layer.parameters()], y_bar)]


def check_layer(layer: pf.PsiLinear, points: int) -> float:
    """The largest error of y and the gradient for x, both ways, relative to the largest number; in float64.

    Raises:
        WrongPeer: one is off.
    """
    layer = copy.deepcopy(layer).double()
    x = torch.randn(points, layer.in_features, dtype=torch.float64, requires_grad=True)
    expected = pass_of(layer.to_linear(), x, torch.ones(points, layer.out_features, dtype=torch.float64))
    worst = 0.0
    for costs in ({}, {"cpu": FREE}):
        found: list[Tensor] = []
        priced(costs, lambda found=found: found.extend(pass_of(layer, x, torch.ones_like(expected[0]))))()
        for own, exact in zip(found[:2], expected[:2], strict=True):
            worst = max(worst, float((own - exact).detach().abs().max() / exact.detach().abs().max()))
    if not worst <= 1e-12:
        raise WrongPeer(f"PsiLinear is off by {worst:.1e}")
    return worst


def repeated(run: Callable[[], object], times: int) -> Callable[[], None]:
    def several() -> None:
        for _ in range(times):
            run()

    return several


def measure_layer(width: int, symmetries: int, points: int, rounds: int) -> Row:
    layer = pf.PsiLinear(relations(width, symmetries), seed=0, dtype="float32")
    error = check_layer(layer, points)
    x = torch.randn(points, width, requires_grad=True)
    y_bar = torch.randn(points, width)
    # Ten million multiplications take 0.2 ms, which the clock can tell.
    times = max(1, 10_000_000 // (3 * points * width**2))
    linear = layer.to_linear()
    runs = {
        "linear": repeated(lambda: pass_of(linear, x, y_bar), times),
        "torch": priced({}, repeated(lambda: pass_of(layer, x, y_bar), times)),
        "products": priced({"cpu": FREE}, repeated(lambda: pass_of(layer, x, y_bar), times)),
    }
    keep_freed_memory()
    seconds = {way: each / times for way, each in alternate(runs, rounds, runs).items()}
    pays = FactoredLayer(layer.structure.plan.layers[0]).pays(points, "cpu")
    chosen, other = ("products", "torch") if pays else ("torch", "products")
    over_linear = seconds[chosen] / seconds["linear"]
    return {
        "error": error,
        "chosen": chosen,
        "milliseconds": {way: spread(each * 1e3) for way, each in seconds.items()},
        # Putting W together costs something in any case.
        "over_linear": at_most(over_linear, 1.0) if pays else spread(over_linear),
        "over_other": spread(seconds[chosen] / seconds[other]),
    }


class AdamStep:
    """A step of torch.optim.Adam on a loss."""

    def __init__(self, net: nn.Module, x: Tensor, loss: Callable[[], Tensor]) -> None:
        self.net, self.x, self.loss = net, x, loss
        self.optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def gradients(self) -> list[Tensor]:
        return list(
            torch.autograd.grad(self.loss(), [*self.net.parameters()], allow_unused=True, materialize_grads=True)
        )


def laplacian(net: nn.Module, x: Tensor) -> Tensor:
    """As it is written everywhere."""
    (g,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    (u_x,) = torch.autograd.grad(g[:, 0].sum(), x, create_graph=True)
    (u_y,) = torch.autograd.grad(g[:, 1].sum(), x, create_graph=True)
    return u_x[:, 0] + u_y[:, 1]


class Hard(nn.Module):
    """u = (1 - x^2) (1 - y^2) N(x, y), zero on the boundary."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.net = pf.MLP(sizes, seed=0).to_sequential()

    def forward(self, x: Tensor) -> Tensor:
        return (1 - x * x).prod(-1, keepdim=True) * self.net(x)


def loss(model: nn.Module, x: Tensor) -> Tensor:
    return (laplacian(model, x) + 1).square().mean()


def measure_model(sizes: Sequence[int], points: int, rounds: int, block: int) -> Row:
    x = (2 * torch.rand(points, 2, generator=torch.Generator().manual_seed(0)) - 1).requires_grad_()
    exact_x = x.detach().double().requires_grad_()
    steps, gradients = dict[str, AdamStep](), dict[str, list[Tensor]]()
    for way in ("model", "accelerated"):
        model, exact = Hard(sizes), Hard(sizes).double()
        for each in (model, exact) if way == "accelerated" else ():
            pf.accelerate(each)
        gradients[way] = AdamStep(exact, exact_x, lambda exact=exact: loss(exact, exact_x)).gradients()
        steps[way] = AdamStep(model, x, lambda model=model: loss(model, x))
    expected, found = (torch.cat([g.flatten() for g in each]) for each in gradients.values())
    error = float((found - expected).norm() / expected.norm())
    if not error <= 1e-10:
        raise WrongPeer(f"accelerate: gradient off by {error:.1e}")
    keep_freed_memory()
    runs = {way: repeated(step, block) for way, step in steps.items()}
    seconds = {way: each / block for way, each in alternate(runs, rounds, runs).items()}
    return {
        "gradient_error": error,
        "milliseconds": {way: spread(each * 1e3) for way, each in seconds.items()},
        "speedup": at_least(seconds["model"] / seconds["accelerated"], 3.0 if points > 1_000 else 1.0),
    }


def line(row: Row) -> str:
    if "failure" in row:
        return f"{row['case']:24}{row['points']:7}  FAILED {row['failure']}"
    times = "".join(f"{way} {each['median']:.3f}  " for way, each in row["milliseconds"].items())
    if "speedup" in row:
        said = f"speedup {cell(row['speedup'], 1, 1)}"
    else:
        ratios = (f"over {way} {cell(row[f'over_{way}'], 1, 2)}" for way in ("linear", "other"))
        said = f"{row['chosen']}: {', '.join(ratios)}"
    return f"{row['case']:24}{row['points']:7}  {times}{said}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.layers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block", type=int, default=3, help="steps of a model per round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does the script work")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "layers.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rounds = options.rounds
    cases: list[tuple[Row, Callable[[], Row]]] = []
    for symmetries in (1, 2):
        for width in WIDTHS[:1] if options.quick else WIDTHS:
            for points in POINTS[:1] if options.quick else POINTS:
                row: Row = {"case": f"width {width}, symmetries {symmetries}", "points": points}
                cases.append((row, lambda w=width, s=symmetries, n=points: measure_layer(w, s, n, rounds)))
    for sizes in MODELS[:1] if options.quick else MODELS:
        for points in (50,) if options.quick else (100, 10_201):
            row = {"case": f"accelerate {'-'.join(map(str, sizes))}", "points": points}
            cases.append((row, lambda s=sizes, n=points: measure_model(s, n, rounds, options.block)))
    rows = []
    for row, measure in cases:
        rows.append(attempt(row, measure))
        print(line(rows[-1]), flush=True)
    command = f"python -m bench.layers --rounds {rounds} --block {options.block} --threads {options.threads}"
    about = {"command": command, "rounds": rounds, "block": options.block, **environment(options.threads)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return int(any("failure" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
