"""Functions that read the whole array of points would be misread at other points: they are refused at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid

import psinn_fast as pf
from psinn_fast import Box, Data, Dirichlet, InputError, Neumann, Residual

BOX = Box(x=(0, 1), y=(0, 1))
FACE, GRID, ONE = BOX.face("y", "low", 100), BOX.grid(15), np.array([[0.5, 0.5]])
RNG = np.random.default_rng(0)
LAPLACE = pf.PDE("x y", "u", lambda u: u.lap)

WHOLE: dict[str, Callable[..., Any]] = {
    "linspace": lambda x, y: np.linspace(0, 1, len(x)),
    "normalised by an integral": lambda x, y: np.sin(3 * x) ** 2 / trapezoid(np.sin(3 * x) ** 2, x),
    "largest": lambda x, y: x / x.max(),
    "mean": lambda x, y: 1 + (x - x.mean()) ** 2,
    "one number": lambda x, y: x.max(),
    "length": lambda x, y: x / len(x),
    "sorted": lambda x, y: np.sort(x),
    "sum up to here": lambda x, y: np.cumsum(np.full(len(x), 1 / len(x))),
    "differences": lambda x, y: np.gradient(x**2) ** 2,
    "neighbour": lambda x, y: np.roll(x, 1),
    "array": lambda x, y: np.linspace(0, 1, 100),
    "random": lambda x, y: RNG.random(len(x)),
    "small": lambda x, y: 1e-9 * np.linspace(0, 1, len(x)),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("kind", ["Dirichlet", "Neumann", "Data", "weight", "data", "arrays"])
def test_refused(name: str, kind: str) -> None:
    function = WHOLE[name]
    made: dict[str, Callable[[], Any]] = {
        "Dirichlet": lambda: Dirichlet(FACE, u=function, name="b"),
        "Neumann": lambda: Neumann(FACE, u=function, name="b"),
        "Data": lambda: Data(FACE, u=function, name="b"),
        "weight": lambda: Dirichlet(FACE, u=0.0, weight=function, name="b"),
        "data": lambda: Residual(FACE, lambda u, T: u - T, T=function, name="b"),
        "arrays": lambda: Dirichlet(np.array(FACE), u=function, name="b"),
    }
    what = {"weight": "weight", "data": "target T"}.get(kind, "target u")
    with pytest.raises(InputError, match=f"^b: {what}: at .* in another order, .*that point alone.*as an array$"):
        made[kind]()


def _float32_network() -> Callable[..., Any]:
    net = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    return lambda x, y: net(torch.tensor(np.stack([x, y], 1), dtype=torch.float32)).detach()[:, 0].double().numpy()


POINTWISE: dict[str, Callable[..., Any]] = {
    "smooth": lambda x, y: np.sin(np.pi * x) * np.exp(y),
    "number": lambda x, y: 3.0,
    "side": lambda x, y: 16 * x**2 * (1 - x) ** 2 * (y == 0),
    "jump": lambda x, y: np.where(x < 0.5, 0.0, 1.0),
    "table": lambda x, y: np.interp(x, [0, 0.3, 1], [0, 2, 1]),
    "loop": lambda x, y: [a + b for a, b in zip(x, y, strict=True)],
    "branches": lambda x, y: x if x.min() >= 0 else -x,
    "network": _float32_network(),
    # Zero but for rounding errors, which depend on the place in the array.
    "nothing left": lambda x, y: (
        (np.cosh(30 * x) - np.sinh(30 * x)) * (1 + 1e-16 * np.arange(len(x))) - np.exp(-30 * x)
    ),
}


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("points", [FACE, GRID, ONE], ids=["face", "grid", "one point"])
def test_allowed(name: str, points: Any) -> None:
    Dirichlet(points, u=POINTWISE[name])


def test_exact_solutions() -> None:
    def made(exact: Callable[..., Any]) -> pf.Problem:
        return pf.Problem("p", LAPLACE, BOX, [Residual(GRID), Dirichlet(BOX.boundary(9), u=0.0)], exact=exact)

    made(lambda p: np.where(p[:, 0] > 0.5, np.nan, p[:, 1]))
    for exact in (lambda p: p[:, 0] / abs(p[:, 0]).max(), lambda p: np.linspace(0, 1, len(p))):
        with pytest.raises(InputError, match=r"^exact: at .* in another order, .*that point alone"):
            made(exact)
