"""One Gauss-Newton iteration, Jacobian to solved step: Laplace, 10,201 points, 321 parameters, float64.

Ours (`residual_jacobian`, Gram matrix by chunks, Cholesky) on the published Psi-NN and on the dense network of its
expanded layers; and the usual way, torch.func's vmap(jacrev) of nested derivatives, with the same algebra after it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from psinn_fast import MLP, PsiMLP, get_problem
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import Term
from psinn_fast.training.least_squares import linearise
from psinn_fast.training.residuals import Residuals

from .gpu.laplace.case import thinned
from .section import Row, Settings, attempt
from .timing import alternate, at_least

_DAMPING = 1e-3
# Rows of the peer's Jacobian at a time: all at once take gigabytes.
_ROWS = 1_024


def run(settings: Settings) -> list[Row]:
    problem = get_problem("laplace")
    assert problem.recipe.structure is not None
    psi = PsiMLP(problem.recipe.structure, 8, seed=0, dtype=torch.float64)
    dense = MLP(psi.structure.layer_sizes, seed=0, dtype=torch.float64)
    term = thinned(problem.terms(torch.float64)[0], settings.points(10_201))
    runs = {"psi": _ours(psi, term, settings.backend), "dense": _ours(dense, term, settings.backend)}
    runs["torch.func"] = _torch_func(psi, term)
    row: Row = {
        "points": term.n_points,
        "parameters": {"psi": psi.theta.numel(), "dense": dense.theta.numel()},
    }
    return [attempt(row, lambda: _measure(runs, settings))]


def _measure(runs: dict[str, Callable[[], Tensor]], settings: Settings) -> Row:
    ours, theirs = runs["psi"](), runs["torch.func"]()
    difference = float((ours - theirs).norm() / theirs.norm())
    if not difference < 1e-6:
        raise ValueError(f"the step differs from torch.func's by {difference:.1e}")

    seconds = alternate({name: partial(_discard, step) for name, step in runs.items()}, settings.rounds)
    return {
        "difference": difference,
        "milliseconds": {name: sorted(1e3 * values)[len(values) // 2] for name, values in seconds.items()},
        "torch.func/psi": at_least(seconds["torch.func"] / seconds["psi"], 10.0),
        "dense/psi": at_least(seconds["dense"] / seconds["psi"], 10.0),
    }


def _discard(step: Callable[[], Tensor]) -> None:
    step()


def _ours(net: PsiMLP, term: Term, backend: str) -> Callable[[], Tensor]:
    residuals = Residuals(get_backend(backend), net.plan, [term], [1.0])
    x = net.theta.detach()

    def step() -> Tensor:
        equations = linearise(get_backend(backend), lambda: residuals.chunks(x), residuals.rows, x, _DAMPING)
        equations.damp(_DAMPING, torch.ones_like(x))
        return equations.step()

    return step


def _torch_func(net: PsiMLP, term: Term) -> Callable[[], Tensor]:
    theta, points = net.theta.detach(), term.points[0]
    scale = term.n_points**-0.5

    def field(parameters: Tensor, point: Tensor) -> Tensor:
        h = point
        *hidden, (weight, bias) = net.structure.expand(parameters)
        for hidden_weight, hidden_bias in hidden:
            h = torch.tanh(hidden_weight @ h + hidden_bias)
        return (weight @ h + bias)[0]

    def residual(parameters: Tensor, point: Tensor) -> Tensor:
        second = torch.func.hessian(field, argnums=1)(parameters, point)
        return scale * second.diagonal().sum()

    rows = torch.func.vmap(torch.func.jacrev(residual), (None, 0))
    values = torch.func.vmap(residual, (None, 0))

    def step() -> Tensor:
        n = theta.numel()
        gram, gradient = theta.new_zeros(n, n), theta.new_zeros(n)
        for part in points.split(_ROWS):
            jacobian, r = rows(theta, part), values(theta, part)
            gram.addmm_(jacobian.T, jacobian)
            gradient.addmv_(jacobian.T, r)
        gram.diagonal().add_(_DAMPING)
        return -torch.cholesky_solve(gradient[:, None], torch.linalg.cholesky(gram))[:, 0]

    return step


def table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        if "failure" in row:
            lines.append(f"FAILED  {row['failure']}")
            continue
        for name, value in row["milliseconds"].items():
            lines.append(f"{name:12}{value:10.1f} ms")
        for name in ("torch.func/psi", "dense/psi"):
            ratio = row[name]
            verdict = "meets" if ratio["met"] else "MISSES"
            lines.append(f"{name:16}{ratio['median']:6.1f} times, {verdict} {ratio['bar']:g}")
    return "\n".join(lines)
