"""Structures about a centre: the first layer takes x - c, in every backend, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import mlp, nested_autograd, random_points, random_structure, random_theta, relative_error

from psinn_fast import (
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
from psinn_fast.discovery.symmetry_check import structure_symmetries
from psinn_fast.kernels.channels import ChannelSet
from psinn_fast.kernels.errors import CheckpointError
from psinn_fast.kernels.lowering import lower
from psinn_fast.kernels.plan import Plan
from psinn_fast.kernels.registry import available_backends, get_backend

CENTRE = (0.5, 0.25)
SWAP = Symmetry(SignedPermutation((1, 0), (1, 1)), (1,))
INVERSION = Symmetry(SignedPermutation.flip(2, 0, 1), (1,))
ODD = Symmetry(SignedPermutation.flip(2, 0, 1), (-1,))
STRUCTURES: dict[str, Callable[[], Structure]] = {
    "regular": lambda: structure_from_group([SWAP, INVERSION], (2, 3), centre=CENTRE),
    # Without biases: the shift makes the first one.
    "signed": lambda: structure_from_group([SWAP, ODD], (2, 2), "signed", centre=CENTRE),
    # Equal and constant neurons are merged and folded.
    "published": lambda: replace(published_structure("burgers").with_width(3), centre=CENTRE),
    "random": lambda: replace(random_structure(5), centre=CENTRE),
    "one layer": lambda: Structure(Structure.dense([2, 1]).layers, centre=CENTRE),
}
BACKENDS = [name for name in ("reference", "cpu") if name in available_backends()]
each_structure = pytest.mark.parametrize("make", STRUCTURES.values(), ids=STRUCTURES)
each_backend = pytest.mark.parametrize("backend", BACKENDS)


@each_structure
def test_the_first_layer_takes_the_distance_from_the_centre(make: Callable[[], Structure]) -> None:
    structure, x = make(), random_points(20, 2)
    theta = random_theta(structure, 1)
    expected = mlp(structure.about_origin, theta, x - torch.tensor(CENTRE, dtype=torch.float64))
    torch.testing.assert_close(mlp(structure, theta, x), expected, rtol=1e-13, atol=1e-14)
    assert structure.about_origin.centre == (0.0, 0.0)


@each_structure
@each_backend
def test_jets_and_their_gradients(make: Callable[[], Structure], backend: str) -> None:
    """Against nested autograd through x - c in float64, by the rewritten plan."""
    structure, x = make(), random_points(13, 2).requires_grad_()
    theta = random_theta(structure, 2).requires_grad_()
    channels, engine = ChannelSet.closure(2, [(2, 0), (1, 1)]), get_backend(backend)
    u = mlp(structure.about_origin, theta, x - torch.tensor(CENTRE, dtype=torch.float64))
    wanted = torch.stack([nested_autograd(u[:, 0], x, index) for index in channels.channels], 1)[..., None]
    weights = torch.randn(wanted.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    gradient = torch.autograd.grad((wanted * weights).sum(), theta, allow_unused=True, materialize_grads=True)[0]
    found = engine.jets(structure.plan, theta.detach(), x.detach(), channels)
    assert relative_error(found, wanted) < 1e-12
    back, _ = engine.jets_backward(structure.plan, theta.detach(), x.detach(), channels, weights)
    assert relative_error(back, gradient, floor=1e-6) < 1e-12


@each_structure
def test_the_plan_keeps_its_rewrites(make: Callable[[], Structure]) -> None:
    structure = make()

    def work(plan: Plan) -> list[tuple[int, int]]:
        return [(layer.fan_out, layer.multiplications) for layer in plan.layers]

    assert work(structure.plan) == work(lower(structure.layers))
    assert structure.about_origin.plan.expansion.shape == lower(structure.layers).expansion.shape


@each_backend
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_symmetric_about_the_centre_to_rounding(backend: str, dtype: torch.dtype) -> None:
    """Value and derivatives of a network with the swap and the inversion, before and after training steps."""
    centre, rounding = (0.5, 0.5), 64 * torch.finfo(dtype).eps
    structure = structure_from_group([SWAP, INVERSION], (1, 1), centre=centre)
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
            none, terms = torch.empty(0, dtype=dtype), problem.terms(dtype)
            for _ in range(steps):
                net.theta.grad = engine.loss_and_gradient(net.plan, net.theta.detach(), none, terms).theta
                optimizer.step()
        with torch.no_grad():
            here, swapped, opposite = (
                derivatives(net, points, "u u_x u_y u_lap", coords="x y", fields="u", backend=backend)
                for points in (x, x.flip(1), 1 - x)
            )
        size = float(here.u_lap.abs().max())
        assert float((here.u - swapped.u).abs().max()) < rounding * float(here.u.abs().max())
        assert float((here.u_x - swapped.u_y).abs().max()) < rounding * size
        assert float((here.u_x + opposite.u_x).abs().max()) < rounding * size
        assert float((here.u_lap - opposite.u_lap).abs().max()) < rounding * size
    assert float((here.u - here.u.mean()).abs().max()) > 1e-3


@each_structure
def test_files_layers_and_text(make: Callable[[], Structure], tmp_path: Path) -> None:
    structure = make()
    structure.save(tmp_path / "structure.json")
    assert Structure.load(tmp_path / "structure.json") == structure
    assert structure != structure.about_origin
    assert structure.with_width(2).centre == CENTRE
    assert "inputs measured from (0.5, 0.25)" in str(structure)
    assert "inputs from (0.5, 0.25)" in structure_figure(structure).get_suptitle()
    net = PsiMLP(structure, seed=4, dtype=torch.float64)
    again = PsiMLP.from_sequential(net.to_sequential(), net.structure)
    torch.testing.assert_close(again.theta, net.theta, rtol=1e-12, atol=1e-12)
    x = random_points(5, 2)
    torch.testing.assert_close(net.to_sequential()(x), net(x))


def test_symmetries_are_those_about_the_centre() -> None:
    structure = structure_from_group([SWAP, INVERSION], centre=CENTRE)
    assert {match.symmetry for match in structure_symmetries(structure, ["x", "y"])} >= {SWAP, INVERSION}


def test_the_origin_is_the_default() -> None:
    dense = Structure.dense([2, 3, 1])
    assert dense == Structure(dense.layers, "dense", (0, 0))
    assert "measured" not in str(dense)
    assert "centre" not in dense.to_json()
    assert dense.about_origin is dense
    assert not Structure(dense.layers, centre=(1, 0)).is_dense


@pytest.mark.parametrize("centre", [(1.0,), (0.0, float("nan")), (0.0, 0.0, 0.0)])
def test_bad_centre(centre: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="centre: expected 2 finite numbers, one per input"):
        Structure(Structure.dense([2, 1]).layers, centre=centre)


def test_bad_centre_in_a_file() -> None:
    text = structure_from_group([SWAP], centre=CENTRE).to_json().replace("0.25", '"up"')
    with pytest.raises(CheckpointError, match="structure: malformed layers"):
        Structure.from_json(text)
