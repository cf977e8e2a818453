"""A symmetry that a structure has and the problem breaks is said in the status; one that holds, or may hold, is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

import psinn_fast as pf
from psinn_fast.symmetries.imposed import broken_symmetries, lost_symmetries

SQUARE = pf.Box(x=(-1, 1), y=(-1, 1))
EVEN_Y = pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))
ODD_X = pf.Symmetry(pf.SignedPermutation.flip(2, 0), (-1,))
SWAP = pf.Symmetry(pf.SignedPermutation((1, 0), (1, 1)), (1,))


def laplace(target: Any, box: pf.Box = SQUARE, source: Any = lambda x, y: 0, **settings: Any) -> pf.Problem:
    pde = pf.PDE("x y", "u", lambda u, x, y: u.lap - source(x, y))
    walls = pf.Dirichlet(box.boundary(21), u=target)
    return pf.Problem("laplace", pde, box, [pf.Residual(box.grid(11)), walls], **settings)


def tied(*symmetries: pf.Symmetry, kind: str = "regular", centre: tuple[float, ...] = ()) -> pf.Structure:
    return pf.structure_from_group(list(symmetries), (1, 1), kind, centre=centre)


TILTED = laplace(lambda x, y: x + 0.1 * y)
SHIFTED = pf.Box(x=(0, 2), y=(-1, 1))
BROKEN: dict[str, tuple[pf.Problem, pf.Structure, str]] = {
    "data": (TILTED, tied(EVEN_Y), r"y -> -y: dirichlet: at \(.*\) off by 0.2"),
    "sign": (laplace(lambda x, y: x**2 + 0 * y), tied(ODD_X), r"x -> -x: dirichlet: at"),
    "one of two": (laplace(lambda x, y: x * y), tied(ODD_X, EVEN_Y), "y -> -y"),
    "pooled": (TILTED, tied(EVEN_Y, kind="pooled"), "y -> -y"),
    "average": (TILTED, tied(EVEN_Y, kind="average"), "y -> -y"),
    "source": (laplace(0.0, source=lambda x, y: sp.exp(x * y)), tied(EVEN_Y), "residual: at"),
    "exchange": (TILTED, tied(SWAP), "x -> y, y -> x"),
    "equation": (
        pf.Problem("p", pf.PDE("x y", "u", lambda u: u.lap + u.y), SQUARE, [pf.Residual(SQUARE.grid(9))]),
        tied(EVEN_Y), "residual: another equation",
    ),
    "about the box's centre": (laplace(lambda x, y: x, SHIFTED), tied(ODD_X, centre=(1.0, 0.0)), "x -> -x"),
    # About x = 0 the data of a box on [-1, 2] have no counterpart, but the source has.
    "about another place": (
        laplace(0.0, pf.Box(x=(-1, 2), y=(-1, 1)), source=lambda x, y: sp.exp(x)),
        tied(pf.Symmetry(ODD_X.map, (1,))), "residual: at",
    ),
}  # fmt: skip


@pytest.mark.parametrize("activation", ["tanh", "sin", "silu", "gelu", "softplus"])
@pytest.mark.parametrize("kind", ["regular", "pooled", "signed", "average"])
def test_ties_that_need_an_odd_activation(kind: str, activation: str) -> None:
    """A note says what they do not give; those of "regular" and "average" hold with any."""
    point = pf.Symmetry(pf.SignedPermutation.flip(2, 0, 1), (-1,))
    structure = tied(point, kind=kind).with_activation(activation)
    found = lost_symmetries(TILTED, structure)
    assert bool(found) == (kind in ("pooled", "signed") and activation not in ("tanh", "sin"))
    text = f"its ties need an odd activation, with {activation} they do not make u odd under x -> -x, y -> -y"
    assert found in ((), (text,))


def test_the_note_is_in_the_result() -> None:
    structure = tied(pf.Symmetry(pf.SignedPermutation.flip(2, 0, 1), (-1,)), kind="signed").with_activation("silu")
    result = pf.fit(TILTED, pf.PsiMLP(structure, width=3, seed=0), pf.Adam(1))
    assert [note for note in result.notes if "with silu they do not make u odd" in note]
    ends = pf.Ansatz(u=lambda u, x: 1 + x * u).closed_form(("x", "y"), ("u",))
    (found,) = lost_symmetries(TILTED, replace(structure, ansatz=ends))
    assert "u even under x -> -x, y -> -y" in found
    assert lost_symmetries(TILTED, pf.Structure.dense([2, 4, 1], activation="silu")) == ()


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str) -> None:
    problem, structure, message = BROKEN[name]
    (found,) = broken_symmetries(problem, structure)
    assert found.startswith("the structure has a symmetry that the problem breaks: ")
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found)


NOISE = np.random.default_rng(0).uniform(-1, 1, (50, 2))
HELD: dict[str, tuple[pf.Problem, pf.Structure]] = {
    "dense": (TILTED, pf.Structure.dense([2, 4, 1])),
    "even": (laplace(lambda x, y: x**2 - y**2), tied(EVEN_Y)),
    "odd and even": (laplace(lambda x, y: x * y**2), tied(ODD_X, EVEN_Y)),
    "exchange": (laplace(lambda x, y: x * y), tied(SWAP)),
    "nothing beyond the box": (laplace(lambda x, y: x, SHIFTED), tied(ODD_X)),
    "about the box's centre": (laplace(lambda x, y: x - 1, SHIFTED), tied(ODD_X, centre=(1.0, 0.0))),
    "data without a counterpart": (
        pf.Problem("p", TILTED.pde, SQUARE, [pf.Residual(SQUARE.grid(9)), pf.Data(NOISE, u=NOISE[:, 1])]), tied(EVEN_Y),
    ),
    **{
        name: (problem, problem.recipe.structure)
        for name in pf.problems.PROBLEMS
        if (problem := pf.problems.get_problem(name)).recipe.structure
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_held(name: str) -> None:
    assert broken_symmetries(*HELD[name]) == ()


@pytest.mark.parametrize("optimizer", [pf.Adam(2), pf.GaussNewton(2)], ids=["adam", "gauss-newton"])
def test_results_say_it(optimizer: pf.Adam | pf.GaussNewton) -> None:
    problem = laplace(lambda x, y: x + 0.1 * y, symmetries=[EVEN_Y], recipe=pf.Recipe(layers=(2, 4, 1)))
    message = "the structure has a symmetry that the problem breaks: y -> -y"
    for network in (pf.Network("psi", structure=tied(EVEN_Y), width=2), "pinn-post"):
        found = pf.solve(problem, network, optimizer)
        assert message in found.status
        assert sum(message in text for text in found.to_dict()["warnings"]) == 1
    assert message not in pf.solve(problem, "pinn", optimizer).status
    net = pf.PsiMLP(tied(EVEN_Y), 2, dtype="float64")
    assert message in pf.fit(problem, net, pf.GaussNewton(1)).status
