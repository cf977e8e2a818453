"""`derivatives` in compiled code: one graph, the numbers of eager code, for copies too."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, library

from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import ChannelSet, Laplacian
from psinn_fast.networks.derivatives import derivatives
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.operators import channels_of, channels_text, jets, jets_backward
from psinn_fast.networks.published import laplace_even

NETWORKS = {"dense": lambda: MLP([2, 7, 5, 1], seed=1), "tied": lambda: PsiMLP(laplace_even(), 3, seed=1)}


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def step(net: PsiMLP, points: Tensor, backend: str = "auto") -> Tensor:
    """Residual by `derivatives`, boundary by the network itself."""
    d = derivatives(net, points, "u u_x u_lap", coords="x y", fields="u", backend=backend)
    return (d.u_lap + d.u * d["u_x"]).square().mean() + (net(points[:3]) - 1).square().mean()


def gradients(function, net: PsiMLP, points: Tensor, *options: str) -> tuple[Tensor, ...]:
    points = points.clone().requires_grad_()
    loss = function(net, points, *options)
    return loss.detach(), *torch.autograd.grad(loss, (net.theta, points))


@pytest.mark.parametrize(("kind", "backend"), [("dense", "auto"), ("tied", "reference")])
def test_one_graph_with_the_numbers_of_eager_code(kind: str, backend: str) -> None:
    """The network is new: nothing of it has been used before."""
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    points = torch.rand(11, 2, generator=torch.Generator().manual_seed(0))
    results = (gradients(function, NETWORKS[kind](), points, backend) for function in (compiled, step))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_copies_and_other_networks() -> None:
    """What was compiled for one network serves its copies, and is not used for another one."""
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    net, points = NETWORKS["tied"](), torch.rand(5, 2, generator=torch.Generator().manual_seed(0))
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.theta *= 0.5
        for one in (net, twin, pickle.loads(pickle.dumps(twin)), MLP([2, 3, 1], seed=2)):
            torch.testing.assert_close(compiled(one, points), step(one, points))
            torch.testing.assert_close(compiled(one, points[:3]), step(one, points[:3]))
        assert abs(float(step(net, points) - step(twin, points))) > 1e-3


def test_other_derivatives() -> None:
    def one(net: PsiMLP, points: Tensor, wanted: str | list[str]) -> Tensor:
        return sum(derivatives(net, points, wanted, coords="x y", fields="u").values())

    compiled = torch.compile(one, backend="aot_eager", fullgraph=True)
    net, points = NETWORKS["dense"](), torch.rand(5, 2)
    with torch.no_grad():
        for wanted in ("u_x", "u_y", ["u", "u_xy"]):
            torch.testing.assert_close(compiled(net, points, wanted), one(net, points, wanted))


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opcheck(backend: str, dtype: torch.dtype) -> None:
    net = NETWORKS["tied"]().to(dtype)
    channels = ChannelSet.closure(2, [(2, 1), Laplacian((0, 1))])
    texts = net.structure_text, channels_text(channels), backend, "ieee"
    points = torch.rand(6, 2, dtype=dtype)
    for x in (points, points.clone().requires_grad_(), points[:0]):
        library.opcheck(jets, (net.theta, x, *texts))
    grad = torch.rand(6, len(channels), 1, dtype=dtype)
    for need_x in (False, True):
        library.opcheck(jets_backward, (net.theta.detach(), points, grad, *texts, need_x))


def test_channels_as_text() -> None:
    for channels in (
        ChannelSet.closure(1, []),
        ChannelSet.closure(2, [(0, 4)]),
        ChannelSet.closure(3, [(1, 1, 1), Laplacian((0, 2)), Laplacian((1,))]),
    ):
        assert channels_of(channels_text(channels)) == channels


def test_bad_input() -> None:
    """What is found while code is compiled, torch wraps in an error of its own, with our text."""
    from torch._dynamo.exc import (
        InternalTorchDynamoError,  # brings Triton, before its tests can ask for its interpreter
    )

    net, points = NETWORKS["dense"](), torch.rand(4, 2)
    for wanted, columns, kind, message in (
        ("u_z", 2, InternalTorchDynamoError, "InputError: wanted: 'u_z' is no derivative"),
        ("u", 1, InputError, "x: expected shape"),
    ):

        def one(x: Tensor, wanted: str = wanted) -> Tensor:
            return derivatives(net, x, wanted, coords="x y", fields="u")[wanted]

        with pytest.raises(kind, match=message):
            torch.compile(one, backend="aot_eager")(points[:, :columns])


def test_importing_the_library_loads_no_compiler() -> None:
    """It takes a second, and Triton must not be there before a test asks for its interpreter."""
    code = "import sys, psinn_fast; print([name for name in ('triton', 'torch._dynamo') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
