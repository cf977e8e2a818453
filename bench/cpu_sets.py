"""Cost per channel of any channel set, forward and backward, over that of the Laplacian's set; one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import torch
from torch import Tensor

from psinn_fast.kernels import get_backend
from psinn_fast.kernels.language.channels import Channel, ChannelSet, Laplacian
from psinn_fast.networks.mlp import MLP

from .cases import Case
from .check import WrongPeer
from .section import Row, Settings, attempt
from .timing import alternate, at_most, cell, keep_freed_memory, spread

WIDTHS = (8, 32, 64)
BAR = 1.3
# Relative to the largest entry of the parameters' gradient in float64.
TOLERANCE = 1e-4


def _all(n_inputs: int, order: int) -> list[Channel]:
    return [index for index in product(range(order + 1), repeat=n_inputs) if sum(index) == order]


LAPLACIAN = "u x y lap"
# Inputs and channels; the set is closed downwards. All derivatives of an order are there in 1 to 4 inputs, and what
# equations and nested autograd ask for; the last ones have no code of their own.
SETS: dict[str, tuple[int, Sequence[Channel]]] = {
    LAPLACIAN: (2, [Laplacian((0, 1))]),
    "u": (2, []),
    **{f"order {order}, {d} inputs": (d, _all(d, order)) for d in range(1, 5) for order in range(1, 5)},
    "u t x xx": (2, [(1, 0), (0, 2)]),
    "u t x xx xxx": (2, [(1, 0), (0, 3)]),
    "u t x xx xxx xxxx": (2, [(1, 0), (0, 4)]),
    "u x y xx yy": (2, [(2, 0), (0, 2)]),
    "biharmonic": (2, [(4, 0), (2, 2), (0, 4)]),
    "u x y z lap": (3, [Laplacian((0, 1, 2))]),
    "u t x y lap": (3, [(1, 0, 0), Laplacian((1, 2))]),
    "u t x y xx yy": (3, [(1, 0, 0), (0, 2, 0), (0, 0, 2)]),
    "u x y z xx yy zz": (3, [(2, 0, 0), (0, 2, 0), (0, 0, 2)]),
    "u t x y z lap": (4, [(1, 0, 0, 0), Laplacian((1, 2, 3))]),
    "u t x xx xt": (2, [(1, 1), (0, 2)]),
    "u t x xx xxt": (2, [(1, 2)]),
    "u x y xy xx yy xxy": (2, [(2, 1), (0, 2)]),
    "u x y xx lap": (2, [(2, 0), Laplacian((0, 1))]),
    "u x y z xx xy yy": (3, [(2, 0, 0), (1, 1, 0), (0, 2, 0), (0, 0, 1)]),
    "u t x y z xx yy zz": (4, [(1, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2)]),
}


def run(settings: Settings) -> list[Row]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        widths = WIDTHS[:1] if settings.quick else WIDTHS
        return [attempt({"width": width}, partial(_measure, width, settings)) for width in widths]
    finally:
        torch.set_num_threads(before)


def _measure(width: int, settings: Settings) -> Row:
    points = settings.points(Case.points)
    sets = {name: ChannelSet.closure(*own) for name, own in SETS.items()}
    runs = {name: _backward(width, points, channels, settings.backend) for name, channels in sets.items()}
    keep_freed_memory()
    times = alternate(runs, settings.rounds, runs)
    per_channel = {name: seconds / len(sets[name]) for name, seconds in times.items()}
    return {
        "layers": ["d", width, width, width, 1],
        "points": points,
        "sets": {
            name: {
                "channels": len(channels),
                "milliseconds": spread(times[name] * 1e3),
                "ratio": at_most(per_channel[name] / per_channel[LAPLACIAN], BAR),
            }
            for name, channels in sets.items()
        },
    }


def _backward(width: int, points: int, channels: ChannelSet, backend: str) -> Callable[[], None]:
    """Jets and their adjoint, which is what a training step costs; checked against the reference backend in float64."""
    d, generator = channels.n_inputs, torch.Generator().manual_seed(0)
    net = MLP([d, width, width, width, 1], seed=0)
    x = torch.rand(points, d, generator=generator) * 2 - 1
    grad = torch.randn(points, len(channels), 1, generator=generator)
    theta = net.theta.detach()

    def backward(name: str, few: slice, dtype: torch.dtype) -> Tensor:
        arguments = [own.to(dtype) for own in (theta, x[few], grad[few])]
        return get_backend(name).jets_backward(net.plan, arguments[0], arguments[1], channels, arguments[2])[0]

    few = slice(0, 200)
    ours, theirs = backward(backend, few, torch.float32), backward("reference", few, torch.float64)
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    if not error < TOLERANCE:
        raise WrongPeer(f"{channels}: relative error {error:.1e} of the gradient")
    engine = get_backend(backend)

    def run() -> None:
        engine.jets_backward(net.plan, theta, x, channels, grad)

    return run


def table(rows: list[Row]) -> str:
    good = [row for row in rows if "failure" not in row]
    lines = [f"width {row['width']}: FAILED  {row['failure']}" for row in rows if "failure" in row]
    lines.append(f"{'channels':24}{'C':>4}" + "".join(f"{'width':>25}{row['width']:>3}" for row in good))
    for name in SETS if good else ():
        found = [row["sets"][name] for row in good]
        lines.append(
            f"{name:24}{found[0]['channels']:>4}" + "".join(f"{cell(own['ratio'], digits=2):>28}" for own in found)
        )
    return "\n".join(lines)
