"""What Triton does its own way: many tiles, Jacobians in parts, functions to their last digits, compiled code."""

from __future__ import annotations

import pytest
import torch
from agreement import REFERENCE, agree, check_losses
from cases import make
from helpers import random_points
from interpreted import IS_INSTALLED, IS_INTERPRETED
from on_device import OnDevice
from residual_programs import of_columns, on_network

from psinn_fast.kernels.contract.registry import or_reference
from psinn_fast.kernels.errors import BackendLimit
from psinn_fast.kernels.language.activations import ACTIVATIONS
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels.network.symbols import SymbolLayer
from psinn_fast.networks.derivatives import derivatives
from psinn_fast.networks.mlp import MLP

if IS_INSTALLED:
    from psinn_fast.kernels.triton.backend import TritonBackend
    from psinn_fast.kernels.triton.gemm import GemmBackend

NONE = torch.zeros(0, dtype=torch.float64)


@pytest.mark.parametrize(
    ("case", "hidden", "n"), [("laplace", (33,), 1023), ("burgers with unknown nu", (), 257)]
)  # fmt: skip
def test_losses_at_many_points(wide: OnDevice, case: str, hidden: tuple[int, ...], n: int) -> None:
    structure, theta, coefficients, terms, _ = make(case, hidden, n)
    check_losses(wide, lower(structure.layers), theta, coefficients, terms, jacobian=False)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "tanh"])
@pytest.mark.parametrize("case", ["laplace", "burgers with unknown nu"])
def test_other_activations(backend: OnDevice, case: str, name: str) -> None:
    """Losses, gradients, Jacobians; blocks are padded with neurons whose value at 0 need not be 0."""
    structure, theta, coefficients, terms, _ = make(case, (7, 5), 21)
    check_losses(backend, lower(structure.layers, name), theta, coefficients, terms)


@pytest.mark.parametrize(("name", "weight"), [("tanh", [[1]]), ("softplus", [[0]])])
def test_networks_that_are_the_same_everywhere(backend: OnDevice, name: str, weight: list[list[int]]) -> None:
    """The last layer is zero but for its bias, so that it has no products."""
    first, last = SymbolLayer.of([[1, 2]], [1], rows=[3]), SymbolLayer.of([[0]], [1], cols=[2])
    plan = lower([first, SymbolLayer.of(weight, [1], rows=[2], cols=[3]), last], name)
    _, _, coefficients, terms, _ = make("laplace", (3,), 21)
    theta = torch.linspace(-1, 1, plan.n_parameters, dtype=torch.float64)
    check_losses(backend, plan, theta, coefficients, terms)


def test_networks_without_parameters_are_left_to_the_reference(direct: TritonBackend, device: torch.device) -> None:
    plan = lower([SymbolLayer.of([[0]], [0], rows=[3]), SymbolLayer.of([[0]], [0], cols=[3])])
    theta, x = torch.zeros(0, device=device), torch.ones(4, 1, device=device)
    for engine in (direct, GemmBackend()):
        with pytest.raises(BackendLimit, match=f"'{engine.name}' needs parameters, and this network has none"):
            engine.jets(plan, theta, x, ChannelSet.closure(1, []))
        found = or_reference(engine).jets(plan, theta, x, ChannelSet.closure(1, []))
        assert torch.equal(found, torch.zeros(4, 1, 1, device=device))


def test_the_jacobian_in_parts(backend: OnDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on the device at once has a bound."""
    structure, theta, coefficients, terms, _ = make("periodic", (7, 3), 21)
    monkeypatch.setattr("psinn_fast.kernels.triton.backend.JACOBIAN_NUMBERS", 1)
    plan = lower(structure.layers)
    agree(*(b.residual_jacobian(plan, theta, coefficients, terms[1]) for b in (backend, REFERENCE)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("op", ["tanh", "sinh", "atan", "sqrt", "reciprocal"])
def test_functions_to_the_last_digits(wide: OnDevice, op: str, dtype: torch.dtype) -> None:
    """In units of the last place, over all sizes of arguments."""
    size = torch.logspace(-30, 1.9, 4000, dtype=torch.float64).to(dtype)
    x = torch.cat([size, -size]) if op != "sqrt" else size
    term = of_columns(op, torch.stack([x, x], 1))
    plan, theta, _ = on_network([], 1, 1, ())
    ours = wide.residual_jacobian(plan, theta.to(dtype), NONE.to(dtype), term)[0][:, 0]
    exact = getattr(torch, op)(x.double())
    last_place = exact.to(dtype).abs() * torch.finfo(dtype).eps
    # The reference in float64 is itself only right to about one.
    error = ((ours.double() - exact).abs() / last_place.double()).max()
    # All other precision rests on that of tanh.
    single = {"tanh": 1.4 if IS_INTERPRETED else 2.5} if dtype == torch.float32 else {}
    bound = {"tanh": 4, "atan": 4, "sqrt": 4, "reciprocal": 4, "sinh": 30} | single
    assert error <= bound[op], f"{float(error):.2f}"


def test_compiled_code(device: torch.device) -> None:
    """`derivatives` as an operator of torch, with these kernels behind it."""
    net, points = MLP([2, 5, 1], seed=0, device=device), random_points(9, 2).float().to(device)

    def loss() -> torch.Tensor:
        d = derivatives(net, points, "u_x u_lap", coords="x y", fields="u", backend="triton")
        return (d.u_lap - d.u_x).square().sum()

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    ours, theirs = (torch.autograd.grad(function(), net.theta)[0] for function in (compiled, loss))
    torch.testing.assert_close(ours, theirs)
