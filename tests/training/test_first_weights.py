"""Where the residual has no value for every u, networks that `solve` makes start where it has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
import torch

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    DivergedError,
    GaussNewton,
    Network,
    Problem,
    PsiMLP,
    Residual,
    SignedPermutation,
    Symmetry,
    build_network,
    fit,
    get_backend,
    solve,
    structure_from_group,
)
from psinn_fast.kernels.language.torch_program import undefined
from psinn_fast.training.optimisers.marquardt import Marquardt
from psinn_fast.training.optimisers.multi_start import redrawn

TIME = Box(t=(0, 1))
SQUARE = Box(x=(-1, 1), y=(-1, 1))
LATER = np.linspace(0, 1, 11)[:, None]


def decay(residual: Callable[..., Any], u: float, exact: Callable[..., Any] | None = None, **unknown: Any) -> Problem:
    conditions = [Residual(TIME.grid(41)), Dirichlet([[0.0]], u=u)]
    if unknown:
        assert exact is not None
        conditions.append(Data(LATER, u=exact(LATER[:, 0])))
    return Problem("decay", PDE("t", "u", residual, unknown=unknown), TIME, conditions, exact=exact)


def gompertz() -> Problem:
    return decay(lambda u: u.t - u * sympy.log(u), 2.0, lambda t: np.exp(np.log(2) * np.exp(t)))


def power() -> Problem:
    return decay(lambda u, k, n: u.t + k * u**n, 1.0, lambda t: (1 + 0.7 * t) ** (-1 / 0.7), k=0.5, n=1.0)


PROBLEMS = {
    "log": gompertz,
    "root": lambda: decay(lambda u: u.t + u ** sympy.Rational(1, 3), 1.0, lambda t: (1 - 2 * t / 3) ** 1.5),
    "reciprocal": lambda: decay(lambda u: u.t - sympy.exp(1 / u - 1), 1.0),
    "power": power,
    "plane": lambda: Problem(
        "plane",
        PDE("x y", "u", lambda u: u.lap - sympy.log(u)),
        SQUARE,
        [Residual(SQUARE.grid(9)), Dirichlet(SQUARE.boundary(9), u=1.0)],
    ),
    "nothing given": lambda: Problem(
        "pair",
        PDE("t", "u k", lambda u, k: [u.t + k * u, sympy.log(k) - k.t]),
        TIME,
        [Residual(TIME.grid(21)), Dirichlet([[0.0]], u=1.0)],
    ),
    "zero given": lambda: decay(lambda u: u.t - sympy.sqrt(u + 0.1), 0.0),
}


def is_finite(problem: Problem, net: PsiMLP) -> bool:
    run = Marquardt(problem, net, GaussNewton(points="all"), get_backend("cpu"))
    return bool(torch.isfinite(run.residuals.vector(run.x)).all() and np.isfinite(run.residuals.traces(run.x)).all())


@pytest.mark.parametrize("name", PROBLEMS)
def test_networks_start_where_residuals_have_values(name: str) -> None:
    problem = PROBLEMS[name]()
    fields = len(problem.pde.fields)
    layers = [len(problem.pde.coords), 8, 8, fields]
    made = [build_network(problem, Network("pinn", layers=layers, dtype="float64"), seed=seed) for seed in range(8)]
    drawn = [MLP(net.structure, seed=seed, dtype=torch.float64) for seed, net in enumerate(made)]
    assert not all(is_finite(problem, net) for net in drawn)
    assert all(is_finite(problem, net) for net in made)
    others = [redrawn(made[0], problem, 0, number, get_backend()) for number in range(1, 9)]
    assert all(is_finite(problem, net) for net in others)
    for net, own in zip(made, drawn, strict=True):
        last = net.structure.n_parameters - net.structure.layers[-1].n_parameters
        assert torch.equal(net.theta[:last], own.theta[:last])
        assert torch.equal(net.theta, own.theta) == is_finite(problem, own)
        ratio = net.theta[last:-fields] / own.theta[last:-fields]
        assert min(abs(ratio.detach() / power - 1).max() for power in (1, 1e-1, 1e-2, 1e-3, 1e-4)) < 1e-9


@pytest.mark.trajectory
@pytest.mark.parametrize("optimizer", [Adam(1_500, lr=5e-3), GaussNewton(60)], ids=["adam", "gauss-newton"])
def test_what_starts_there_is_solved(optimizer: Adam | GaussNewton) -> None:
    network = Network(layers=[1, 12, 12, 1])
    for problem in (PROBLEMS["root"](), power()):
        solution = solve(problem, network, optimizer, seed=3)
        assert solution.metrics["relative_l2"] < (2e-2 if isinstance(optimizer, Adam) else 1e-4)  # type: ignore[operator]  # one field


def test_relations_hold_there() -> None:
    even = Symmetry(SignedPermutation.flip(2, 1), (1,))
    structure = structure_from_group([even], hidden=(1, 1))
    problem = PROBLEMS["plane"]()
    nets = [
        build_network(problem, Network("psi", structure=structure, width=6, dtype="float64"), seed=k) for k in range(6)
    ]
    assert all(is_finite(problem, net) for net in nets)
    assert any(net.start == (1.0,) for net in nets)
    x = torch.rand(20, 2, dtype=torch.float64)
    for net in nets:
        assert torch.allclose(net(x), net(x * x.new_tensor([1, -1])), rtol=1e-12)


def test_an_odd_network_stays_odd_and_as_it_was_drawn() -> None:
    odd = Symmetry(SignedPermutation.flip(2, 0), (-1,))
    structure = structure_from_group([odd], hidden=(1, 1))
    problem = PROBLEMS["plane"]()
    net = build_network(problem, Network("psi", structure=structure, width=4, dtype="float64"), seed=1)
    assert torch.equal(net.theta, PsiMLP(net.structure, seed=1, dtype=torch.float64).theta)
    assert torch.equal(net.theta, PsiMLP(structure, 4, seed=1, dtype=torch.float64).theta)


def test_what_a_user_made_is_left_alone_and_told_where_it_has_no_value() -> None:
    problem = gompertz()
    for schedule in (Adam(10), GaussNewton(10)):
        net = MLP([1, 4, 1], seed=0, dtype=torch.float64)
        with torch.no_grad():
            net.theta[-4:] = -0.1
        before = net.theta.detach().clone()
        with pytest.raises(DivergedError, match=r"at step 0; .* It has log\(-0\.\d+\) at 41 of 41 points\. Look"):
            fit(problem, net, schedule)
        assert torch.equal(net.theta, before)


def test_what_nothing_cures_stays_as_it_was_drawn() -> None:
    problem = decay(lambda u: u.t - sympy.log(-1 - u**2), 0.5)
    net = build_network(problem, Network("pinn", layers=[1, 4, 1], dtype="float64"), seed=2)
    assert torch.equal(net.theta, MLP([1, 4, 1], seed=2, dtype=torch.float64).theta)
    assert net.start in ((), (0.0,))
    with pytest.raises(DivergedError, match=r"It has log\(-1\.\d*\) at 41 of 41 points"):
        fit(problem, net, GaussNewton(5))


@pytest.mark.parametrize(
    ("residual", "expected"),
    [
        (lambda u: sympy.log(u), "log(-2) at 2 of 3 points"),
        (lambda u: sympy.sqrt(u), "sqrt(-2) at 2 of 3 points"),
        (lambda u: u ** sympy.Rational(1, 3), "(-2) ** 0.333 at 2 of 3 points"),
        (lambda u: 1 / (u + 1), " / 0 at 1 of 3 points"),
        (lambda u: sympy.exp(-1000 * u), "exp(2e+03) at 2 of 3 points"),
        (lambda u: u**2, None),
        (lambda u: sympy.sqrt(sympy.Max(u, 0)), "/ 0 at 2 of 3 points, in its derivative"),
    ],
)
def test_what_has_no_value_is_named(residual: Callable[..., Any], expected: str | None) -> None:
    problem = Problem("p", PDE("t", "u", residual), TIME, [Residual(TIME.grid(3))])
    (term,) = problem.terms(torch.float64)
    u = torch.tensor([-2.0, -1.0, 3.0], dtype=torch.float64)
    jets = torch.zeros(1, len(term.program.channels), 3, 1, dtype=torch.float64)
    jets[0, 0, :, 0] = u
    found = undefined(term.program, jets, term.points, term.columns, u[:0])
    assert found is expected is None or (expected is not None and found is not None and found.endswith(expected))
