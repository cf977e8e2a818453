"""Problems of odd sizes: what networks see, what is trained, and that the answers are right."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch
from small import at, error, line, optimizers, small_laplace

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    GaussNewton,
    InputError,
    Network,
    Options,
    Problem,
    PsiMLP,
    Recipe,
    Residual,
    SignedPermutation,
    Structure,
    Symmetry,
    Tuning,
    build_network,
    fit,
    get_problem,
    load_network,
    published_structure,
    solve,
    structure_from_group,
)
from psinn_fast.cli import commands as cli
from psinn_fast.kernels import get_backend
from psinn_fast.networks.structure_text import frame_text
from psinn_fast.scaling.frames import in_frame
from psinn_fast.scaling.natural_scales import natural_scales
from psinn_fast.scaling.natural_units import in_natural_units, out_of_range, scaled
from psinn_fast.symmetries.symmetry_check import structure_symmetries
from psinn_fast.training.metrics import evaluate

FLOAT64 = torch.float64
SWAP = Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))
EVEN_Y = Symmetry(SignedPermutation.flip(2, 1), (1,))
ODD_X = Symmetry(SignedPermutation.flip(2, 0), (-1,))


# What networks see.


@pytest.mark.parametrize(
    ("structure", "domain", "centre", "scale"),
    [
        # Of order 1: as they are.
        (Structure.dense([1, 3, 1]), Box(x=(0, 1)), [0], [1]),
        (Structure.dense([1, 3, 1]), Box(x=(-4, 4)), [0], [1]),
        (Structure.dense([1, 3, 1]), Box(x=(3.5, 4)), [0], [1]),
        # Far, wide, narrow; each coordinate on its own.
        (Structure.dense([1, 3, 1]), Box(x=(0, 100)), [50], [50]),
        (Structure.dense([1, 3, 1]), Box(x=(1e6, 1e6 + 1)), [1e6 + 0.5], [0.5]),
        (Structure.dense([1, 3, 1]), Box(x=(-1e-6, 0)), [-5e-7], [5e-7]),
        (Structure.dense([2, 3, 1]), Box(t=(0, 1e5), x=(-1, 1)), [5e4, 0], [5e4, 1]),
        # Odd in x: about x = 0 it stays, t may move.
        (published_structure("burgers"), Box(t=(0, 1e5), x=(-30, 30)), [5e4, 0], [5e4, 30]),
        (published_structure("burgers"), Box(t=(0, 1), x=(0, 30)), [0, 0], [1, 30]),
        # Even in y: x may move.
        (structure_from_group([EVEN_Y], (2, 2)), Box(x=(5, 9), y=(-9, 9)), [7, 0], [2, 9]),
        # x and y exchanged: one scale, and a centre on the diagonal or none.
        (structure_from_group([SWAP], (2, 2)), Box(x=(0, 20), y=(0, 20)), [10, 10], [10, 10]),
        (structure_from_group([SWAP], (2, 2)), Box(x=(0, 20), y=(0, 10)), [0, 0], [20, 20]),
        (structure_from_group([SWAP], (2, 2)), Box(x=(0, 20), y=(0, 1)), [0, 0], [20, 20]),
        # About the domain's centre already.
        (structure_from_group([EVEN_Y], (2,), centre=(50, 50)), Box(x=(0, 100), y=(0, 100)), [50, 50], [50, 50]),
        (structure_from_group([EVEN_Y], (2,), centre=(0.5, 70)), Box(x=(0, 1), y=(0, 100)), [0.5, 70], [1, 70]),
        # Its own scales are kept.
        (replace(Structure.dense([1, 3, 1]), input_scale=(7.0,)), Box(x=(0, 100)), [0], [7]),
    ],
)
def test_frames(structure: Structure, domain: Box, centre: list[float], scale: list[float]) -> None:
    framed = in_frame(structure, domain)
    assert list(framed.centre) == centre
    assert list(framed.input_scale) == scale
    assert framed.plain == structure.plain
    names = ["x", "y"][: structure.n_inputs]
    found, kept = ({m.symmetry for m in structure_symmetries(s, names)} for s in (framed, structure))
    assert found == kept
    # What may move the centre changes no network into one of another structure: the same function has other biases.
    moved = PsiMLP(framed, seed=0, dtype=FLOAT64).to_sequential()
    PsiMLP.from_sequential(moved, replace(framed, centre=structure.centre))


def test_outputs_that_are_tied_share_a_size() -> None:
    """u and v by the same weights, w by its own."""
    box = Box(x=(0, 1), y=(0, 1))
    pde = PDE("x y", "u v w", lambda u, v, w: [u.xx + u.yy, v.xx + v.yy, w.xx + w.yy])
    edge = box.face("x", "low", 5)
    ends = [Dirichlet(edge, u=2e3, v=1.0, w=5e6), Dirichlet(box.face("x", "high", 5), u=-2e3, v=-1.0, w=-5e6)]
    problem = Problem("three", pde, box, [Residual(box.grid(5)), *ends])
    first = Structure.dense([2, 3, 3]).layers[0]
    tied = Structure((first, type(first).of([[1], [1], [2]], [1, 1, 2], [1, 1, 1], [3])))
    assert scaled(tied, problem)[0].output_scale == (1e3, 1e3, 1e7)
    assert scaled(Structure.dense([2, 3, 3]), problem)[0].output_scale == (1e3, 1.0, 1e7)
    assert scaled(replace(tied, output_scale=(5.0, 5.0, 6.0)), problem)[0].output_scale == (5, 5, 6)


def test_a_network_starts_where_the_data_are() -> None:
    problem = line(0, 1, 300, 310)
    net = build_network(problem, Network("pinn", layers=[1, 8, 1], dtype="float64"))
    assert net.structure.is_plain
    assert net.start == (305,)
    without = build_network(problem, Network("pinn", layers=[1, 8, 1], dtype="float64"), scaling=None)
    x = torch.rand(5, 1, dtype=FLOAT64)
    torch.testing.assert_close(net(x), without(x) + 305)
    # An odd network is zero at the centre: it starts there, and its outputs are as large as the data.
    odd = structure_from_group([Symmetry(SignedPermutation.flip(1, 0), (-1,))], (4,))
    assert scaled(odd, problem)[1] == (0,)
    assert scaled(odd, problem)[0].output_scale == (100,)


def test_bad_starts() -> None:
    for start in ([1.0, 2.0], [math.nan]):
        with pytest.raises(InputError, match="start: expected 1 finite numbers, one per output"):
            MLP([1, 3, 1], start=start)
    odd = structure_from_group([Symmetry(SignedPermutation.flip(1, 0), (-1,))], (4,))
    with pytest.raises(InputError, match=r"start: the relations of .* allow \[0.0\], got \[3.0\]"):
        PsiMLP(odd, start=[3.0])


@pytest.mark.parametrize("name", ["laplace", "poisson", "burgers", "burgers-inverse"])
@pytest.mark.parametrize("method", ["pinn", "pinn-post", "psi"])
def test_built_in_problems_are_what_they_were(name: str, method: str) -> None:
    """Bit for bit: the same networks, programs and weights."""
    problem = get_problem(name)
    auto, off = (build_network(problem, method, scaling=scaling) for scaling in ("auto", None))
    assert auto.structure == off.structure
    assert torch.equal(auto.theta, off.theta)
    assert in_natural_units(problem, natural_scales(problem)) is problem


# What is trained.


def test_residuals_in_natural_units() -> None:
    """Losses of random networks are of order 1, and say by their units what they are as given."""
    box = Box(x=(0, 1e3))
    pde = PDE("x", "u", lambda u: [1e6 * u.xx, u.x])
    problem = Problem("odd", pde, box, [Residual(box.grid(21), weight=1.0), at(0.0, u=1e6), at(1e3, u=0.0)])
    natural = in_natural_units(problem, natural_scales(problem))
    net, engine = (
        build_network(problem, Network("pinn", layers=[1, 20, 1], dtype="float64"), seed=1),
        get_backend("auto"),
    )
    none = torch.empty(0, dtype=FLOAT64)
    found, given = (
        engine.loss_and_gradient(
            net.plan, net.theta.detach(), none, p.terms(FLOAT64), p.weights(FLOAT64)
        ).losses.tolist()
        for p in (natural, problem)
    )
    assert all(1e-4 < loss < 10 for loss in found)
    # In units of the larger residual of the first term: 1e6 u_xx is about 1e7, u_x 1e3.
    assert natural.loss_units[0] == 1e14
    assert natural.losses_as_given(found)["dirichlet1"] == pytest.approx(given[1])
    assert natural.losses_as_given(found)["dirichlet2"] == pytest.approx(given[2])
    assert natural.losses_as_given(found)["residual"] > given[0]
    assert natural.losses_as_given([None, 1.0, None])["residual"] is None
    assert [c.weight for c in natural.conditions] == [1, 1, 1]


@pytest.mark.parametrize(
    ("factor", "weight", "is_changed"),
    [
        (1.0, 1.0, False),
        (20.0, 1.0, True),
        (1e-3, 1.0, True),
        (300.0, 1e-4, False),
        (1.0, 1e4, False),
        (1.0, 1e12, True),
    ],
)
def test_ordinary_residuals_and_chosen_weights_stay(factor: float, weight: float, is_changed: bool) -> None:
    """factor * u'' is about 6 times its factor; weights that differ were chosen."""
    box = Box(x=(0, 1))
    pde = PDE("x", "u", lambda u: factor * u.xx)
    problem = Problem("p", pde, box, [Residual(box.grid(21), weight=weight), at(0.0, u=1.0), at(1.0, u=0.0)])
    natural = in_natural_units(problem, natural_scales(problem))
    assert (natural is not problem) == is_changed


def test_the_same_problem_in_other_units_is_trained_the_same() -> None:
    """-k u'' = k A (pi / L)^2 sin(pi x / L) with an unknown k, u of size A measured: all weights of 20 iterations."""

    def wave(k: float, size: float, length: float) -> Problem:
        box = Box(x=(0, length))
        source = lambda x: k * size * (sympy.pi / length) ** 2 * sympy.sin(sympy.pi * x / length)  # noqa: E731
        pde = PDE("x", "u", lambda u, x, k: -k * u.xx - source(x), unknown={"k": 0.0})
        middle = Data(box.grid(5), u=lambda x: size * np.sin(np.pi * x / length))
        return Problem("wave", pde, box, [Residual(box.grid(31)), at(0.0, u=0.0), at(length, u=0.0), middle])

    results = []
    for k, size, length in ((1e5, 1e3, 1e2), (1e-7, 1e9, 1e-4)):
        options = GaussNewton(20, points="all", tuning=Tuning(starts=1))
        solution = solve(wave(k, size, length), Network(layers=[1, 8, 1]), options)
        results.append((solution.net.theta.detach(), solution.coefficients["k"] / k, solution.history["loss"]))
    (theta, k, loss), (other, other_k, other_loss) = results
    torch.testing.assert_close(other, theta, rtol=1e-5, atol=1e-5)
    assert other_k == pytest.approx(k, rel=1e-5)
    assert other_loss == pytest.approx(loss, rel=1e-4)


def test_losses_are_reported_as_given() -> None:
    """Mean squares of the residuals themselves; the total is that which is minimised."""
    problem = line(0, 1e3, 0, 1e4)
    for optimizer, steps in (("adam", 5), ("gauss-newton", 3)):
        solution = solve(problem, Network(layers=[1, 8, 1], dtype="float64"), optimizers(optimizer, steps))
        ends = evaluate(solution.net, np.array([[0.0], [1e3]]))[:, 0]
        assert solution.losses["dirichlet1"] == pytest.approx(ends[0] ** 2, rel=1e-9)
        assert solution.losses["dirichlet2"] == pytest.approx((ends[1] - 1e4) ** 2, rel=1e-9)
        last = list(solution.history)[-1]
        assert last["dirichlet2"] > 1e4 > last["loss"]
        assert solution.held_out["residual"] == pytest.approx(solution.losses["residual"], rel=0.5)


def test_resumed_training_of_an_odd_problem_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    problem = line(0, 1e6, 0, 1e-3)
    network = Network(layers=[1, 6, 1])
    whole = solve(problem, network, GaussNewton(12))
    solve(problem, network, GaussNewton(5), out=tmp_path)
    resumed = solve(problem, network, GaussNewton(12), out=tmp_path, options=Options(resume=True))
    assert torch.equal(resumed.net.theta, whole.net.theta)
    loaded = load_network(tmp_path / "weights.safetensors")
    assert loaded.structure == resumed.net.structure
    assert (
        frame_text(loaded.structure)
        == "inputs measured from (500000) in units of (500000), outputs in units of (0.001)"
    )
    x = torch.linspace(0, 1e6, 5, dtype=FLOAT64)[:, None]
    assert torch.equal(loaded(x), resumed.net(x))


# Precision.


def test_float64_where_float32_is_too_coarse() -> None:
    far = line(1e6, 1e6 + 1, 0, 1)
    assert solve(far, Network(layers=[1, 4, 1]), Adam(1)).setup.dtype == "float64"
    assert solve(line(0, 100, 0, 1e8), Network(layers=[1, 4, 1]), Adam(1)).setup.dtype == "float32"
    for optimizer in ("adam", "gauss-newton"):
        with pytest.raises(InputError, match="dtype: float32 is too coarse for this problem, residuals of term"):
            solve(far, Network(layers=[1, 4, 1], dtype="float32"), optimizers(optimizer, 1))
    # Squares of 1e-50 are lost in float32, unless they are squares of natural units.
    tiny = line(0, 1, 0, 1e-25)
    assert solve(tiny, Network(layers=[1, 4, 1]), Adam(1)).setup.dtype == "float32"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert solve(tiny, Network(layers=[1, 4, 1]), Adam(1), options=Options(scaling=None)).setup.dtype == "float64"


# Networks that do not fit.


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (line(0, 100, 0, 1), r"net: most of its first neurons are saturated on Box\(x=\(0, 100\)\); build_network\("),
        (line(1e6, 1e6 + 1, 0, 1), "saturated"),
        (line(0, 1e-6, 0, 1), r"its first layer hardly changes with x on Box\(x=\(0, 1e-06\)\)"),
        (line(0, 1, 0, 1e8), "the sizes of its outputs are far from those of u"),
        (line(0, 1, 0, 1e-8), "the sizes of its outputs are far from those of u"),
        (line(0, 1, 1e6, 1e6 + 1), "the sizes of its outputs are far from those of u"),
    ],
)
def test_a_network_that_cannot_see_the_problem_is_warned_of(problem: Problem, message: str) -> None:
    net, settings = MLP([1, 16, 16, 1], seed=0, dtype=FLOAT64), Network(layers=[1, 16, 16, 1], dtype="float64")
    for schedule in (Adam(1), GaussNewton(1)):
        with pytest.warns(UserWarning, match=message):
            fit(problem, net, schedule)
    with pytest.warns(UserWarning, match=message):
        solve(problem, settings, Adam(1), options=Options(scaling=None))
    fit(problem, build_network(problem, settings), GaussNewton(1))


@pytest.mark.parametrize(("activation", "words"), [("silu", "straight"), ("sin", "in their hundredth wave or later")])
def test_other_activations_are_far_out_elsewhere(activation: str, words: str) -> None:
    """Sines are not saturated by weights as large as those of a SIREN."""
    net = MLP([1, 16, 16, 1], activation, seed=0, dtype=FLOAT64)
    for far, is_said in ((10.0, False), (100.0, activation == "silu"), (1e5, True)):
        problem = line(0, far, 0, 1)
        found = out_of_range(problem, net, natural_scales(problem))
        assert (found is not None) == is_said
        assert found is None or f"net: most of its first neurons are {words} on Box" in found


def test_what_is_no_reason_for_a_warning() -> None:
    """Networks that see little because they are zero, and steep ones."""
    zero, steep = (MLP([1, 8, 1], seed=0, dtype=FLOAT64) for _ in range(2))
    with torch.no_grad():
        zero.theta.zero_()
        steep.theta[:8] *= 20
    for net in (zero, steep):
        fit(line(0, 1, 0, 1), net, Adam(1))
    fit(line(0, 20, 0, 1), MLP([1, 8, 1], seed=0, dtype=FLOAT64), Adam(1))


@pytest.mark.trajectory
def test_adam_is_warned_of_a_coefficient_that_starts_too_far() -> None:
    box = Box(x=(0, 1))
    pde = PDE("x", "u", lambda u, k: k * u.xx + 1e-6, unknown={"k": 1.0})
    problem = Problem("far", pde, box, [Residual(box.grid(9)), Data(box.grid(5), u=lambda x: x * (1 - x) / 2)])
    with pytest.warns(UserWarning, match=r"coefficients: k starts far from its natural size, near 1e-0\d, .* Adam"):
        solve(problem, Network(layers=[1, 6, 1]), Adam(1))
    found = solve(problem, Network(layers=[1, 6, 1]), GaussNewton(100))
    assert found.coefficients["k"] == pytest.approx(1e-6, rel=1e-3)


def test_other_scalings_are_refused() -> None:
    problem = small_laplace()
    for call in (
        lambda: solve(problem, optimizer=Adam(1), options=Options(scaling="none")),
        lambda: build_network(problem, "pinn", scaling=False),
        lambda: fit(problem, MLP([2, 3, 1]), Adam(1), options=Options(scaling=1.0)),
    ):
        with pytest.raises(InputError, match="scaling: expected 'auto' or None, got"):
            call()


def test_symmetries_hold_to_rounding() -> None:
    """Even in y about the domain's middle, x and y exchanged, sizes of 1e4 and 1e-4: before and after training."""
    box = Box(x=(0, 1e4), y=(0, 1e4))
    inversion = Symmetry(SignedPermutation.flip(2, 0, 1), (1,))
    structure = structure_from_group([SWAP, inversion], (1, 1), centre=(5e3, 5e3))
    pde = PDE("x y", "u", lambda u: u.lap + 1e-10)
    problem = Problem(
        "bump",
        pde,
        box,
        [Residual(box.grid(11)), Dirichlet(box.boundary(11), u=0.0)],
        recipe=Recipe(structure=structure),
    )
    for steps in (0, 10):
        solution = solve(problem, Network("psi", width=4), GaussNewton(steps))
        assert solution.net.structure.input_scale == (5e3, 5e3)
        assert solution.net.structure.output_scale == (1e-4,)
        points = box.random(50, 0)
        here, swapped, opposite = (evaluate(solution.net, p) for p in (points, points[:, [1, 0]], 1e4 - points))
        assert abs(here - swapped).max() < 1e-13 * abs(here).max()
        assert abs(here - opposite).max() < 1e-12 * abs(here).max()
        assert np.ptp(here) > 1e-6


@pytest.mark.trajectory
@pytest.mark.parametrize(("method", "seed"), [("pinn-post", 2), ("psi", 0)])
def test_every_method_is_scaled(method: str, seed: int) -> None:
    """The small problem in coordinates and values a thousand times as large has the same relative error."""
    small = small_laplace()
    box = Box(x=(-1e3, 1e3), y=(-1e3, 1e3))
    cubic = lambda x, y: 1e-6 * (x**3 - 3 * x * y**2)  # noqa: E731
    conditions = [Residual(box.grid(11)), Dirichlet(box.boundary(11), u=cubic)]
    large = replace(small, domain=box, conditions=conditions, exact=lambda p: cubic(*p.T))
    solution = solve(large, method, GaussNewton(60), seed=seed)
    assert solution.net.structure.input_scale == (1e3, 1e3)
    assert solution.net.structure.output_scale == (1e3,)
    assert error(solution) == pytest.approx(error(solve(small, method, GaussNewton(60), seed=seed)), rel=0.5)
    assert error(solution) < 1e-3


@pytest.mark.parametrize("command", ["solve", "run"])
def test_the_command_line_turns_it_off(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def note(*arguments: object, options: Options | None = None, **others: object) -> None:
        asked.append(others["scaling"] if options is None else options.scaling)
        raise InputError("enough")

    monkeypatch.setattr(cli, "solve" if command == "solve" else "run_pipeline", note)
    for flags in ([], ["--no-scaling"]):
        cli.main([command, "laplace", "--quiet", *flags])
    assert asked == ["auto", None]
