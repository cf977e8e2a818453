"""Tied networks against our own dense one: does every symmetry spare the work it should?

At equal points, where a bar is set, and as `fit` trains them: on one point of each orbit (`one_point_per_orbit`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch

from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import Term
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure
from psinn_fast.problems import get_problem
from psinn_fast.training.points.point_orbits import one_point_per_orbit

from .cases import Case, thinned
from .check import Expected, compare
from .peers import TrainStep
from .section import Row, Settings, attempt
from .timing import at_most, cell, spread, time_steps

# Time of the tied step over the dense one's, by the number of symmetries (generators).
BARS = {1: 0.65, 2: 0.5}
DENSE = (2, 32, 32, 32, 1)
FOLDED = "tied, one point per orbit"
EVEN_IN_Y = Symmetry(SignedPermutation.flip(2, 1), (1,))
ODD_IN_X = Symmetry(SignedPermutation.flip(2, 0), (-1,))


def _burgers(a: int, b: int) -> Structure:
    """The published blocks with a second layer of sizes (a, a, b) instead of three equal ones: 2a + b = 32."""
    first, second, third, last = published_structure("burgers").layers
    return Structure(
        (
            SymbolLayer.of(first.weight, first.bias, rows=[16, 16]),
            SymbolLayer.of(second.weight, second.bias, rows=[a, a, b], cols=[16, 16]),
            SymbolLayer.of(third.weight, third.bias, rows=[32], cols=[a, a, b]),
            SymbolLayer.of(last.weight, last.bias, cols=[32]),
        ),
        f"burgers, {a} + {a} + {b}",
    )


def _poisson() -> Structure:
    """The published blocks, whose widths fall as 4 : 2 : 1, at one width."""
    first, second, third, last = published_structure("poisson").layers
    return Structure(
        (
            SymbolLayer.of(first.weight, first.bias, rows=[16, 16]),
            SymbolLayer.of(second.weight, second.bias, rows=[16, 16], cols=[16, 16]),
            SymbolLayer.of(third.weight, third.bias, rows=[32], cols=[16, 16]),
            SymbolLayer.of(last.weight, last.bias, cols=[32]),
        ),
        "poisson (published)",
    )


def _two(representation: str, hidden: int) -> Structure:
    return structure_from_group([EVEN_IN_Y, ODD_IN_X], [hidden] * 3, representation)


# (name, structure, number of symmetries, problem whose residual is taken)
CASES: tuple[tuple[str, Callable[[], Structure], int, str], ...] = (
    ("laplace", lambda: published_structure("laplace").with_width(16), 1, "laplace"),
    ("burgers, 12 + 12 + 8", lambda: _burgers(12, 8), 1, "laplace"),
    ("burgers, 11 + 11 + 10", lambda: _burgers(11, 10), 1, "laplace"),
    ("burgers", lambda: published_structure("burgers").with_width(16), 1, "laplace"),
    ("burgers, 12 + 12 + 8", lambda: _burgers(12, 8), 1, "burgers"),
    ("burgers", lambda: published_structure("burgers").with_width(16), 1, "burgers"),
    ("poisson", _poisson, 1, "laplace"),
    ("even and odd, regular", lambda: _two("regular", 8), 2, "laplace"),
    ("even and odd, signed", lambda: _two("signed", 16), 2, "laplace"),
)


def run(settings: Settings) -> list[Row]:
    return [
        attempt(
            {"structure": name, "symmetries": symmetries, "residual": problem},
            partial(_measure, make, symmetries, problem, settings),
        )
        for name, make, symmetries, problem in CASES
    ]


def _measure(make: Callable[[], Structure], symmetries: int, problem: str, settings: Settings) -> Row:
    structure = make()
    net = PsiMLP(structure, seed=0)
    points = settings.points(Case.points)
    steps = {
        "tied": _step(structure, problem, points, settings),
        FOLDED: _step(structure, problem, points, settings, is_folded=True),
    }
    for sizes in dict.fromkeys((DENSE, structure.layer_sizes)):
        steps[_dense_name(sizes)] = _step(Structure.dense(sizes), problem, points, settings)
    times = time_steps(steps, settings.rounds, settings.own_block)
    before, after = sum(net.plan.expanded_multiplications), sum(layer.multiplications for layer in net.plan.layers)
    dense = {name: seconds for name, seconds in times.items() if name not in ("tied", FOLDED)}
    return {
        "layers": list(structure.layer_sizes),
        "points": points,
        "points_folded": steps[FOLDED].terms[0].n_points,
        "parameters": structure.n_parameters,
        "multiplications": {"expanded": before, "lowered": after},
        "plan": net.plan.describe().splitlines(),
        "milliseconds_per_step": {name: spread(seconds * 1e3) for name, seconds in times.items()},
        "ratio": {name: at_most(times["tied"] / seconds, BARS[symmetries]) for name, seconds in dense.items()},
        "ratio_folded": {name: spread(times[FOLDED] / seconds) for name, seconds in dense.items()},
    }


def _dense_name(sizes: tuple[int, ...]) -> str:
    return "dense " + "-".join(map(str, sizes))


def _step(
    structure: Structure,
    problem: str,
    points: int,
    settings: Settings,
    is_folded: bool = False,
) -> TrainStep:
    net = PsiMLP(structure, seed=0)
    terms = [_residual(problem, points, torch.float32)]
    if is_folded:
        whole = get_problem(problem)
        folded = one_point_per_orbit(whole, net, whole.terms(), get_backend(settings.backend))[:1]
        # Fewer points than the problem has are not those of whole orbits.
        terms = folded if points == Case.points else terms
    step = TrainStep(net.plan, net.theta, terms, settings.backend)
    compare(step, _expected(structure, problem, points), structure.name)
    return step


@cache
def _expected(structure: Structure, problem: str, points: int) -> Expected:
    """Of the expanded network in float64 on the reference backend: no rewriting, no C++."""
    theta = PsiMLP(structure, seed=0).theta.double()
    return Expected.of(TrainStep(structure.expanded_plan, theta, [_residual(problem, points, torch.float64)]))


def _residual(problem: str, points: int, dtype: torch.dtype) -> Term:
    return thinned(get_problem(problem).terms(dtype)[0], points)


def table(rows: list[Row]) -> str:
    columns = f"{'structure':23}{'residual':10}{'layers':15}{'multiplications':>17}{'ms per step':>25}"
    lines = [f"{columns}  time / dense of the layers              one point per orbit"]
    for row in rows:
        start = f"{row['structure']:23}{row['residual']:10}"
        if "failure" in row:
            lines.append(f"{start}FAILED  {row['failure']}")
            continue
        counts = "{expanded} -> {lowered}".format(**row["multiplications"])
        times = cell(row["milliseconds_per_step"]["tied"])
        start += f"{'-'.join(map(str, row['layers'])):15}{counts:>17}{times:>25}"
        for name, ratio in row["ratio"].items():
            folded = f"{cell(row['ratio_folded'][name])} on {row['points_folded']:,} points"
            lines.append(f"{start}  {name.removeprefix('dense '):14}{cell(ratio):38}{folded}")
            start = " " * len(start)
    return "\n".join(lines)
