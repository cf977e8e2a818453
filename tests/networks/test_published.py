"""The paper's four structures: sizes, parameter counts, exact symmetries."""

from __future__ import annotations

import pytest
import torch
from helpers import mlp, random_points, random_theta

from psinn_fast.kernels.errors import InputError
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

FLIP_Y = torch.tensor([1.0, -1.0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "width", "parameters", "sizes"),
    [
        ("laplace", 8, 321, (2, 16, 16, 16, 1)),
        ("burgers", 10, 760, (2, 20, 30, 20, 1)),
        ("poisson", 20, 2141, (2, 80, 40, 20, 1)),
        ("flow", 20, 3442, (2, 80, 100, 40, 3)),
    ],
)
def test_sizes(name: str, width: int, parameters: int, sizes: tuple[int, ...]) -> None:
    structure = published_structure(name).with_width(width)
    assert structure.n_parameters == parameters
    assert structure.layer_sizes == sizes
    assert structure.name == f"{name} (published)"


def values(structure: Structure, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The network at x, at (x, -y) and at (y, x)."""
    theta, x = random_theta(structure, seed), random_points(200, 2, seed)
    return mlp(structure, theta, x), mlp(structure, theta, x * FLIP_Y), mlp(structure, theta, x.flip(1))


@pytest.mark.parametrize("width", [1, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_symmetries(width: int, seed: int) -> None:
    u, mirrored, _ = values(published_structure("laplace").with_width(width), seed)
    assert float((mirrored - u).abs().max()) <= 1e-13
    u, mirrored, _ = values(published_structure("burgers").with_width(width), seed)
    assert float((mirrored + u).abs().max()) <= 1e-13
    u, _, swapped = values(published_structure("poisson").with_width(width), seed)
    assert float((swapped - u).abs().max()) <= 1e-13
    (u, v, p), (um, vm, pm), _ = (f.unbind(1) for f in values(published_structure("flow").with_width(width), seed))
    for error in (um - u, vm + v, pm - p):
        assert float(error.abs().max()) <= 1e-13
    # Not for the trivial reason: every output depends on y.
    for name in ("laplace", "burgers", "poisson", "flow"):
        structure = published_structure(name).with_width(width)
        theta, x = random_theta(structure, seed), random_points(200, 2, seed)
        change = mlp(structure, theta, x) - mlp(structure, theta, x * torch.tensor([1.0, 0.3]))
        assert (change.abs().amax(0) > 1e-5).all()


def test_unknown() -> None:
    with pytest.raises(InputError, match=r"name: published structures are \['burgers', .*\], got 'heat'"):
        published_structure("heat")
