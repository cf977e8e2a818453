"""Structures with centre and scales: u(x) = s N((x - c) / h) in every backend, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import CPU_BACKENDS, mlp, nested_autograd, random_points, random_structure, random_theta, relative_error
from torch import Tensor

from psinn_fast import (
    MLP,
    PDE,
    Box,
    Dirichlet,
    InputError,
    Problem,
    PsiMLP,
    Residual,
    SignedPermutation,
    Structure,
    Symmetry,
    derivatives,
    published_structure,
    structure_figure,
    structure_from_group,
)
from psinn_fast.kernels import get_backend
from psinn_fast.kernels.errors import CheckpointError
from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.structure_text import frame_text
from psinn_fast.symmetries.symmetry_check import structure_symmetries
from psinn_fast.training.checkpoint import load_network, save_network

CENTRE = (0.5, 0.25)
SWAP = Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))
INVERSION = Symmetry(SignedPermutation.flip(2, 0, 1), (1,))
ODD = Symmetry(SignedPermutation.flip(2, 0, 1), (-1,))
EVEN = Symmetry(SignedPermutation.flip(2, 1), (1, -1))


def framed(structure: Structure) -> Structure:
    """About CENTRE, with scales as different as the relations allow."""

    def scales(n: int, groups: Sequence[Sequence[int]], values: Sequence[float]) -> tuple[float, ...]:
        number = {i: k for k, group in enumerate(groups) for i in group}
        return tuple(values[number[i]] for i in range(n))

    return replace(
        structure,
        centre=CENTRE,
        input_scale=scales(structure.n_inputs, structure.tied_inputs, (0.7, 3.0)),
        output_scale=scales(structure.n_outputs, structure.tied_outputs, (1e3, 1e-2, 5.0)),
    )


STRUCTURES: dict[str, Callable[[], Structure]] = {
    "centred": lambda: structure_from_group([SWAP, INVERSION], (2, 3), centre=CENTRE),
    "regular": lambda: framed(structure_from_group([SWAP, INVERSION], (2, 3))),
    # Without biases: the shift makes the first one.
    "signed": lambda: framed(structure_from_group([SWAP, ODD], (2, 2), "signed")),
    # Equal and constant neurons are merged and folded.
    "published": lambda: framed(published_structure("burgers").with_width(3)),
    "two fields": lambda: framed(structure_from_group([EVEN], (2, 2))),
    "random": lambda: framed(random_structure(5)),
    # Constant neurons are folded into the biases of outputs, of which the first two are tied.
    "folds into outputs": lambda: framed(random_structure(6, n_outputs=3)),
    "dense": lambda: framed(Structure.dense([2, 5, 4, 3])),
    "one layer": lambda: framed(Structure.dense([2, 1])),
}
each_structure = pytest.mark.parametrize("make", STRUCTURES.values(), ids=STRUCTURES)
each_backend = pytest.mark.parametrize("backend", CPU_BACKENDS)


def in_frame(structure: Structure, theta: Tensor, x: Tensor) -> Tensor:
    """s N((x - c) / h), N the network of the plain structure."""
    centre, inputs, outputs = (
        torch.tensor(numbers, dtype=torch.float64)
        for numbers in (structure.centre, structure.input_scale, structure.output_scale)
    )
    return outputs * mlp(structure.plain, theta, (x - centre) / inputs)


@each_structure
def test_expanded_layers_and_the_network(make: Callable[[], Structure]) -> None:
    structure, x = make(), random_points(20, 2)
    net = PsiMLP(structure, seed=1, dtype=torch.float64)
    expected = in_frame(structure, net.theta, x)
    size = expected.abs().amax(0)
    for found in (mlp(structure, net.theta, x), net(x), net.to_sequential()(x)):
        assert relative_error(found / size, expected / size) < 1e-13
    assert structure.plain.is_plain
    assert not structure.is_plain


@each_structure
@each_backend
def test_jets_and_their_gradients(make: Callable[[], Structure], backend: str) -> None:
    """Against nested autograd of s N((x - c) / h) in float64, by the rewritten plan."""
    structure, x = make(), random_points(13, 2).requires_grad_()
    theta = random_theta(structure, 2).requires_grad_()
    channels, engine = ChannelSet.closure(2, [(2, 0), (1, 1), Laplacian((0, 1))]), get_backend(backend)
    u = in_frame(structure, theta, x)
    wanted = torch.stack(
        [torch.stack([derivative(u[:, k], x, channel) for channel in channels.channels], 1)
         for k in range(structure.n_outputs)], 2,
    )  # fmt: skip
    size = torch.tensor(structure.output_scale, dtype=torch.float64)
    weights = torch.randn(wanted.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) / size
    theta_bar, x_bar = torch.autograd.grad(
        (wanted * weights).sum(), (theta, x), allow_unused=True, materialize_grads=True
    )
    found = engine.jets(structure.plan, theta.detach(), x.detach(), channels)
    assert relative_error(found / size, wanted / size) < 1e-12
    backs = engine.jets_backward(structure.plan, theta.detach(), x.detach(), channels, weights, need_x=True)
    for back, gradient in zip(backs, (theta_bar, x_bar), strict=True):
        assert relative_error(back, gradient, floor=1e-6) < 1e-12


def derivative(u: Tensor, x: Tensor, channel: Channel) -> Tensor:
    if isinstance(channel, Laplacian):
        return sum(
            (nested_autograd(u, x, [2 * (i == axis) for i in range(2)]) for axis in channel.axes), x.new_zeros(())
        )
    return nested_autograd(u, x, channel)


@each_structure
def test_the_plan_keeps_its_rewrites(make: Callable[[], Structure]) -> None:
    structure = make()

    def work(plan: Plan) -> list[tuple[int, int]]:
        return [(layer.fan_out, layer.multiplications) for layer in plan.layers]

    assert work(structure.plan) == work(lower(structure.layers))
    assert structure.plain.plan.expansion.shape == lower(structure.layers).expansion.shape


@pytest.mark.trajectory
@each_backend
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("scales", [((), ()), ((0.7, 0.7), (30.0,))], ids=["unscaled", "scaled"])
def test_symmetric_about_the_centre_to_rounding(
    backend: str, dtype: torch.dtype, scales: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    """Value and derivatives of a network with the swap and the inversion, before and after training steps."""
    centre, rounding = (0.5, 0.5), 64 * torch.finfo(dtype).eps
    structure = structure_from_group([SWAP, INVERSION], (1, 1), centre=centre)
    structure = replace(structure, input_scale=scales[0], output_scale=scales[1])
    net = PsiMLP(structure, 4, seed=0, dtype=dtype)
    box = Box(x=(0, 1), y=(0, 1))
    problem = Problem(
        "bump", PDE("x y", "u", lambda u, x: u.lap + u * x + 1), box,
        [Residual(box.grid(9)), Dirichlet(box.boundary(9), u=lambda x, y: x)],
    )  # fmt: skip
    x = (random_points(50, 2, dtype=dtype) + 1) / 2
    for steps in (0, 30):
        if steps:
            optimizer, engine = torch.optim.Adam(net.parameters(), lr=1e-2), get_backend(backend)
            none, terms, weights = torch.empty(0, dtype=dtype), problem.terms(dtype), problem.weights(dtype)
            for _ in range(steps):
                theta = net.theta.detach()
                net.theta.grad = engine.loss_and_gradient(net.plan, theta, none, terms, weights).theta
                optimizer.step()
        with torch.no_grad():
            here, swapped, opposite = (
                derivatives(net, points, "u u_x u_y u_lap", coords="x y", fields="u", backend=backend)
                for points in (x, x.flip(1), 1 - x)
            )
        # u may be the small sum of large terms: rounding errors are those of the terms, as large as the Laplacian.
        size = float(here.u_lap.abs().max())
        assert float((here.u - swapped.u).abs().max()) < rounding * max(size, float(here.u.abs().max()))
        assert float((here.u_x - swapped.u_y).abs().max()) < rounding * size
        assert float((here.u_x + opposite.u_x).abs().max()) < rounding * size
        assert float((here.u_lap - opposite.u_lap).abs().max()) < rounding * size
    assert float((here.u - here.u.mean()).abs().max()) > 1e-3


@each_structure
def test_files_layers_and_text(make: Callable[[], Structure], tmp_path: Path) -> None:
    structure = make()
    structure.save(tmp_path / "structure.json")
    assert Structure.load(tmp_path / "structure.json") == structure
    assert structure != structure.plain
    assert structure.with_width(2).plain == structure.plain.with_width(2)
    assert "inputs measured from (0.5, 0.25)" in str(structure)
    assert frame_text(structure) in structure_figure(structure).get_suptitle()
    net = PsiMLP(structure, seed=4, dtype=torch.float64)
    again = PsiMLP.from_sequential(net.to_sequential(), net.structure)
    torch.testing.assert_close(again.theta, net.theta, rtol=1e-12, atol=1e-12)
    # The draw is of the unscaled network.
    assert torch.equal(net.theta, PsiMLP(structure.plain, seed=4, dtype=torch.float64).theta)
    save_network(tmp_path / "weights.safetensors", net)
    loaded = load_network(tmp_path / "weights.safetensors")
    assert isinstance(loaded, MLP) == structure.is_dense
    assert torch.equal(loaded(x := random_points(5, 2)), net(x))


def test_frame_in_words() -> None:
    structure = replace(Structure.dense([2, 3, 1]), centre=(0, 2), input_scale=(5e5, 1), output_scale=(1e8,))
    assert frame_text(structure) == "inputs measured from (0, 2) in units of (500000, 1), outputs in units of (1e+08)"
    assert frame_text(replace(structure, centre=(), input_scale=())) == "outputs in units of (1e+08)"


@each_backend
def test_derivatives_of_a_dense_network_far_away(backend: str) -> None:
    """[1e6, 1e6 + 1] x [0, 1e-3] and u near 1e8: all derivatives to what float64 leaves of x."""
    structure = replace(
        Structure.dense([2, 8, 8, 1]), centre=(1e6 + 0.5, 5e-4), input_scale=(0.5, 5e-4), output_scale=(1e8,)
    )
    net = MLP(structure, seed=0, dtype=torch.float64)
    assert net.structure.is_dense
    offset = random_points(20, 2).requires_grad_()
    x = torch.tensor(structure.centre, dtype=torch.float64) + offset.detach() * torch.tensor(
        structure.input_scale, dtype=torch.float64
    )
    u = mlp(structure.plain, net.theta, offset)[:, 0]
    found = derivatives(net, x, "u u_x u_yy u_xxyy", coords="x y", fields="u", backend=backend)
    for name, index in (("u", (0, 0)), ("u_x", (1, 0)), ("u_yy", (0, 2)), ("u_xxyy", (2, 2))):
        expected = 1e8 / 0.5 ** index[0] / 5e-4 ** index[1] * nested_autograd(u, offset, index)
        assert relative_error(getattr(found, name), expected) < 1e-8


def test_compiled_derivatives_know_the_scales() -> None:
    """One compiled function, two networks of the same theta that differ in a scale alone."""

    def slope(net: PsiMLP, points: Tensor) -> Tensor:
        return derivatives(net, points, "u_x", coords="x y", fields="u").u_x

    compiled = torch.compile(slope, backend="aot_eager", fullgraph=True)
    points = random_points(4, 2)
    for scale in (1.0, 4.0):
        net = MLP(replace(Structure.dense([2, 3, 1]), output_scale=(scale,)), seed=0, dtype=torch.float64)
        torch.testing.assert_close(compiled(net, points), slope(net, points))
    torch.compiler.reset()


def test_symmetries_are_those_about_the_centre() -> None:
    structure = framed(structure_from_group([SWAP, INVERSION]))
    assert {match.symmetry for match in structure_symmetries(structure, ["x", "y"])} >= {SWAP, INVERSION}


def test_the_plain_frame_is_the_default() -> None:
    dense = Structure.dense([2, 3, 1])
    assert dense == Structure(dense.layers, "dense", (0, 0), (1, 1), (1,))
    assert "inputs" not in str(dense)
    assert "centre" not in dense.to_json()
    assert "scale" not in dense.to_json()
    assert dense.plain is dense
    assert dense.plan.expansion.is_identity
    for frame in ({"centre": (1, 0)}, {"input_scale": (1, 2)}, {"output_scale": (2,)}):
        assert not replace(dense, **frame).is_plain
        assert replace(dense, **frame).is_dense


def test_tied_inputs_and_outputs() -> None:
    swap = structure_from_group([SWAP], (2, 2))
    assert (swap.tied_inputs, swap.tied_outputs) == (((0, 1),), ((0,),))
    even = structure_from_group([EVEN], (2, 2))
    assert (even.tied_inputs, even.tied_outputs) == (((0,), (1,)), ((0,), (1,)))
    dense = Structure.dense([3, 4, 2])
    assert (dense.tied_inputs, dense.tied_outputs) == (((0,), (1,), (2,)), ((0,), (1,)))
    # The first and the third input by way of the second; outputs by a bias alone.
    chain = Structure(
        (SymbolLayer.of([[1, -1, 2], [3, 4, 4]], [1, 2]), SymbolLayer.of([[1, 2], [3, 4], [5, 6]], [1, -1, 2]))
    )
    assert (chain.tied_inputs, chain.tied_outputs) == (((0, 1, 2),), ((0, 1), (2,)))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"centre": (1.0,)}, "centre: expected 2 finite numbers, one per input"),
        ({"centre": (0.0, float("nan"))}, "centre: expected 2 finite numbers, one per input"),
        ({"input_scale": (1.0, 2.0, 3.0)}, "input_scale: expected 2 positive finite numbers, one per input"),
        ({"input_scale": (1.0, 0.0)}, "input_scale: expected 2 positive finite numbers, one per input"),
        ({"output_scale": (float("inf"),)}, "output_scale: expected 1 positive finite numbers, one per output"),
        ({"input_scale": (1.0, 2.0)}, r"input_scale: the relations tie the inputs \[1, 2\], .* got \[1.0, 2.0\]"),
    ],
)
def test_bad_frame(frame: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(structure_from_group([SWAP]), **frame)


@pytest.mark.parametrize("key", ["centre", "input_scale", "output_scale"])
def test_bad_frame_in_a_file(key: str) -> None:
    data = json.loads(STRUCTURES["regular"]().to_json())
    data[key][0] = "up"
    with pytest.raises(CheckpointError, match=rf"structure: {key}\[0\]: expected a finite number, got 'up'"):
        Structure.from_json(json.dumps(data))
