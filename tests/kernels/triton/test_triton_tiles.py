"""The products' tiles as the kernels read them: as they are, once more transposed, and kept so by training."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from adam_case import STRUCTURE
from cases import make, some_weights
from helpers import random_theta, relative_error
from on_device import OnDevice

from psinn_fast.kernels.contract import AdamState
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton import point_kernel
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.kernels.triton.emission import Mode
from psinn_fast.kernels.triton.layout import make_layout
from psinn_fast.kernels.triton.point_kernel import Weights
from psinn_fast.networks.published import published_structure
from psinn_fast.networks.structure import Structure

REFERENCE = ReferenceBackend()
# One has pairs of blocks, of which tiles hold sums and differences.
PAIRS = published_structure("laplace").with_width(4)
STRUCTURES = [
    Structure.dense((2, 7, 5, 3, 1)), STRUCTURE, published_structure("burgers"), PAIRS, Structure.dense((3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda own: own.name)
def test_tiles_of_weights(structure: Structure) -> None:
    layout = make_layout(lower(structure.layers), torch.float64)
    theta = torch.randn(structure.n_parameters, dtype=torch.float64)
    weights = Weights(layout, theta)
    packed = weights.gather.apply(theta)
    found, n = weights.tiles(theta), len(layout.tiles)
    if not n:
        assert found.numel() == 1
        return
    assert found.numel() == 2 * n * layout.tile_terms
    found = found.view(layout.tile_terms, 2 * n).sum(0)
    assert torch.equal(found[:n], packed[layout.tiles.start : layout.tiles.stop])
    for own, before, after in zip(layout.products, layout.boundaries, layout.boundaries[1:], strict=False):
        for tile in own:
            rows, columns = before.operands[tile.operand].padded, after.slots[tile.slot].padded
            at = tile.offset - layout.tiles.start
            straight, turned = (found[start : start + rows * columns] for start in (at, n + at))
            assert torch.equal(straight.view(rows, columns), turned.view(columns, rows).T)


@pytest.mark.parametrize("case", ["laplace", "burgers with unknown nu"])
def test_training_keeps_them(backend: OnDevice, direct: TritonBackend, case: str, device: torch.device) -> None:
    """Where the second kernel writes each parameter, with its sign, after steps of two calls."""
    structure, theta, coefficients, terms, _ = make(case, (5, 3), 9, torch.float32)
    plan, state = lower(structure.layers), AdamState(theta, coefficients, 1e-2, ())
    for steps in (2, 3):
        backend.train(plan, state, terms, some_weights(terms), steps)
    kernels = _kernels(direct)
    fresh = kernels[0].points.weights.tiles(state.theta.to(device))
    assert any(torch.equal(own.points.tiles, fresh) for own in kernels)


def test_pairs_of_blocks(backend: OnDevice) -> None:
    """Gradients, and steps after which the second kernel has written the tiles."""
    _, _, coefficients, terms, _ = make("laplace", (5,), 9)
    plan, theta = lower(PAIRS.layers), random_theta(PAIRS, 0)
    states = [AdamState(theta.clone(), coefficients.clone(), 1e-2, ()) for _ in range(2)]
    arguments, weights = (plan, theta, coefficients, terms), some_weights(terms)
    found, right = (b.loss_and_gradient(*arguments, weights).theta for b in (backend, REFERENCE))
    assert relative_error(found, right) < 1e-11
    for b, state in zip((backend, REFERENCE), states, strict=True):
        b.train(plan, state, terms, weights, 3)
    assert relative_error(states[0].theta, states[1].theta) < 1e-11


@pytest.mark.parametrize("hidden", [(7, 5), (8, 8, 3)])
def test_tiles_that_are_loaded_where_they_are_needed(
    backend: OnDevice, hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(point_kernel, "MOST_TILE_BYTES", 0)
    structure, theta, coefficients, terms, _ = make("laplace", hidden, 21)
    plan = lower(structure.layers)
    found, right = (
        b.loss_and_gradient(plan, theta, coefficients, terms, some_weights(terms)) for b in (backend, REFERENCE)
    )
    assert relative_error(found.theta, right.theta) < 1e-11


@pytest.mark.parametrize(
    ("width", "dtype", "precision", "are_kept"),
    [
        (32, torch.float64, "ieee", True),
        (64, torch.float32, "ieee", True),
        (64, torch.float64, "ieee", False),
        (64, torch.float64, "tf32x3", False),
        (32, torch.float32, "tf32x3", True),
        (64, torch.float32, "tf32x3", False),
        (128, torch.float32, "ieee", False),
    ],
)
def test_tiles_are_kept_where_shared_memory_has_room(
    width: int, dtype: torch.dtype, precision: str, are_kept: bool
) -> None:
    layout = make_layout(lower(Structure.dense((2, width, width, width, 1)).layers), dtype)
    scheme = point_kernel.scheme_of(layout, dtype, precision)
    assert scheme.keeps_tiles is are_kept
    source = [(ChannelSet.closure(2, [(2, 0)]), None)]
    text = point_kernel.kernel_source(layout, source, Mode.JETS_BACKWARD, 0, 1, scheme=scheme)
    assert (text.index("wt_1_0 = ") < text.index("while at")) is are_kept
    assert ("nothing(at)" in text) is not are_kept


def _kernels(backend: TritonBackend) -> Sequence[object]:
    return [made for key, made in backend._prepared.items() if key[0] == "loss"]
