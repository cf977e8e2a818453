"""optimizer="auto": what is chosen, and that it is said why."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small import small_laplace

import psinn_fast as pf
from psinn_fast.cli import commands
from psinn_fast.training.optimisers import automatic
from psinn_fast.training.optimisers.automatic import Asked, Automatic, against_gauss_newton, choose
from psinn_fast.training.optimisers.gauss_newton_settings import Tuning

CPU = torch.device("cpu")
NETWORK = pf.Network(layers=[2, 5, 1])


def names(parameters: int, against: str | None = None, steps: int | None = None) -> list[str]:
    return [one.name for one in choose(Automatic(steps), small_laplace(), against, parameters).optimizers]


def test_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [names(n) for n in (1, 300, 5_000)] == [["gauss-newton"]] * 3
    assert names(5_001) == ["adam", "lbfgs"]
    assert "5,001 unknowns" in choose(Automatic(), small_laplace(), None, 5_001).why
    monkeypatch.setattr(automatic, "_MOST_WORK", 1e6)
    assert "residuals of 300 unknowns" in choose(Automatic(), small_laplace(), None, 300).why
    assert names(300) == ["adam", "lbfgs"]
    steps = [choose(Automatic(), small_laplace(), None, n).optimizers[0].most_steps for n in (1, 30)]
    assert steps == [1_000, 1_000]


def test_steps_and_seed_are_those_asked_for() -> None:
    (newton,) = choose(Automatic(7, seed=3), small_laplace(), None, 40).optimizers
    assert newton == pf.GaussNewton(7, seed=3, tuning=Tuning(patience=100))
    assert choose(Automatic(7), small_laplace(), "for a reason", 40).optimizers == (pf.Adam(7),)
    assert choose(Automatic(7), small_laplace(), None, 9_000).optimizers == (pf.Adam(), pf.LBFGS(7))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Asked(CPU), None),
        (Asked(CPU, torch.float64, weighting=pf.TraceBalance()), None),
        (Asked(CPU, torch.float32), "float32"),
        (Asked(CPU, needs_float32=True), "float32"),
        (Asked(torch.device("cuda:1")), "the network is on cuda:1"),
        (Asked(CPU, has_penalty=True), "penalty"),
        (Asked(CPU, weighting=pf.GradientNorms()), "'gradient-norms'"),
    ],
)
def test_what_speaks_against_gauss_newton(asked: Asked, why: str | None) -> None:
    found = against_gauss_newton(small_laplace(), asked)
    assert found == why or (why is not None and found is not None and why in found)


def test_noisy_measurements_go_to_adam() -> None:
    problem, points = small_laplace(), np.random.default_rng(0).random((60, 2))
    values = np.sin(3 * points[:, 0]) + 0.1 * np.random.default_rng(1).normal(size=60)
    measured = problem.altered(conditions=(*problem.conditions, pf.Data(points, u=values)))
    assert "measurements scatter (u by 27 %)" in str(against_gauss_newton(measured, Asked(CPU)))


def test_solve_takes_it_by_default_and_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "_STEPS", 3)
    monkeypatch.setattr(automatic, "_FEWEST_STEPS", 3)
    found = pf.solve(small_laplace(), NETWORK, options=pf.Options(progress=True))
    assert (found.setup.optimizer, found.setup.dtype, found.steps) == ("gauss-newton", "float64", 3)
    assert found.setup.chosen == "21 unknowns, float64 on the CPU" == found.to_dict()["optimizer_chosen"]
    assert "optimizer: gauss-newton: 21 unknowns" in capsys.readouterr().err
    assert "gauss-newton (chosen: 21 unknowns, float64 on the CPU)" in str(found)
    assert found.bound_by in str(found)
    same = pf.solve(small_laplace(), NETWORK, pf.GaussNewton(3))
    assert same.setup.chosen is None
    assert torch.equal(found.net.theta, same.net.theta)


def test_given_networks_and_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "MOST_UNKNOWNS", 20)
    large = pf.solve(small_laplace(), NETWORK, Automatic(2), seconds=0)
    assert (large.setup.optimizer, large.setup.dtype) == ("adam+lbfgs", "float64")  # as L-BFGS takes it
    net = pf.build_network(small_laplace(), NETWORK)
    assert pf.solve(small_laplace(), net, Automatic(2)).setup.optimizer == "adam"
    monkeypatch.setattr(automatic, "MOST_UNKNOWNS", 30)
    net = pf.build_network(small_laplace(), pf.Network(layers=[2, 5, 1], dtype="float64"))
    found = pf.solve(small_laplace(), net, Automatic(2))
    assert (found.setup.optimizer, found.net) == ("gauss-newton", net)


def test_it_stands_alone() -> None:
    with pytest.raises(pf.InputError, match="optimizer: 'auto' chooses for solve alone"):
        pf.solve(small_laplace(), NETWORK, ["auto", "lbfgs"])
    with pytest.raises(pf.InputError, match="optimizer: 'auto' chooses for solve alone"):
        pf.fit(small_laplace(), pf.build_network(small_laplace(), NETWORK), "auto")


def test_the_command_line_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def note(problem: object, network: object, optimizer: object, **options: object) -> None:
        asked.append(optimizer)
        raise pf.InputError("enough")

    monkeypatch.setattr(commands, "solve", note)
    for more in ([], ["--steps", "9", "--seed", "4"], ["--lr", "0.01"], ["--milestones", "5", "--steps", "9"]):
        assert commands.main(["solve", "laplace", *more]) == 2
    assert asked == [Automatic(), Automatic(9, 4), [pf.Adam(lr=0.01)], [pf.Adam(9, milestones=(5,))]]


@pytest.mark.trajectory
def test_patience() -> None:
    """It ends where the held-out loss has not become smaller by 30 % for so long; with more points if the first ones
    hid what is left."""
    box = pf.Box(x=(-1, 1))
    ends = pf.Dirichlet([[-1.0], [1.0]], u=0.0)
    problem = pf.Problem(
        "line", pf.PDE("x", "u", lambda u: u.xx + 1 / (1 + u**2)), box, [pf.Residual(box.grid(9)), ends]
    )
    found = pf.solve(problem, pf.Network(layers=[1, 4, 1]), pf.GaussNewton(400, tuning=Tuning(patience=30)))
    assert found.stopped_by == "converged"
    held_out, steps = found.history["held_out"], found.history["step"]
    known = [(loss, step) for loss, step in zip(held_out, steps, strict=True) if loss == loss]
    best = min(loss for loss, _ in known)
    assert best <= 1e-6 * known[0][0]
    assert found.steps < 400
    assert best > 0.6 * min(loss for loss, step in known if step <= found.steps - 30)
    with pytest.raises(pf.InputError, match="patience: expected None or an integer >= 1, got 0"):
        Tuning(patience=0)


@pytest.mark.trajectory
@pytest.mark.parametrize("is_measured", [False, True])
def test_measured_fields_go_on_while_the_loss_stands_still(is_measured: bool) -> None:
    """A conductivity that is known by u alone converges long after the loss has."""
    box = pf.Box(x=(-1, 1))
    pde = pf.PDE("x", "u a", lambda u, a: a * u.xx + a.x * u.x)
    places = box.grid(15)
    given = pf.Data if is_measured else pf.Dirichlet
    known = [given(places, u=places[:, 0]), pf.Dirichlet([[-1.0], [1.0]], a=1.0)]
    problem = pf.Problem("rod", pde, box, [pf.Residual(places), *known])
    found = pf.solve(problem, pf.Network(layers=[1, 3, 2]), pf.GaussNewton(60, tuning=Tuning(patience=5)))
    assert (found.stopped_by == "converged") is not is_measured
