"""Names: compared after NFKC wherever they are given, and refused where they could be read in two ways."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch

import psinn_fast as pf
from psinn_fast import Adam
from psinn_fast.language.names import normal, split_names
from psinn_fast.problem.checks.settings import HISTORY_COLUMNS
from psinn_fast.problem.pde import CONDITION_ARGUMENTS

# Forms that fonts and keyboards make of one letter: micro sign, phi symbol, epsilon symbol, and what Python reads.
MICRO, MU = "\u00b5", "\u03bc"
PHI_SYMBOL, PHI = "\u03d5", "\u03c6"
EPSILON_SYMBOL, EPSILON = "\u03f5", "\u03b5"
FULL_WIDTH_X = "\uff58"


@pytest.mark.parametrize(
    ("given", "read"),
    [(MICRO, MU), (PHI_SYMBOL, PHI), (EPSILON_SYMBOL, EPSILON), (FULL_WIDTH_X, "x"), ("\u212b", "\u00c5"), ("u", "u")],
)
def test_normal_forms(given: str, read: str) -> None:
    assert normal(given) == read
    assert split_names(given, "names") == (read,)
    assert eval(f"(lambda {given}: 0).__code__.co_varnames") == (read,)  # as Python does


@pytest.mark.parametrize("own", [MICRO, MU])
@pytest.mark.parametrize("declared", [MICRO, MU])
def test_coefficients_fields_and_coordinates(own: str, declared: str) -> None:
    phi, x = (PHI_SYMBOL, FULL_WIDTH_X) if declared == MICRO else (PHI, "x")
    function = eval(f"lambda {phi}, {own}: {phi}.x - {own} * {phi}.xx")
    unknown = pf.PDE(x, phi, function, unknown={declared: 1.0})
    assert (unknown.coords, unknown.fields, dict(unknown.unknown)) == (("x",), (PHI,), {MU: 1.0})
    assert str(unknown.traced().residuals[0]) == f"-{MU}*{PHI}_xx + {PHI}_x"
    # Symbols of the user's own.
    known = pf.PDE(
        x, phi, eval(f"lambda {phi}: {phi} * sp.Symbol('{own}') - sp.Symbol('{FULL_WIDTH_X}')", {"sp": sp}),
        coefficients={declared: 2.5},
    )  # fmt: skip
    assert sorted(map(str, known.traced().residuals[0].free_symbols)) == ["x", PHI]


def test_boxes_conditions_and_problems() -> None:
    pde = pf.PDE(
        f"{MICRO} x", PHI_SYMBOL, eval(f"lambda {PHI}, {EPSILON}: {PHI}.x - {EPSILON}"), unknown={EPSILON_SYMBOL: 2.0}
    )
    box = pf.Box(**{MICRO: (0, 1), "x": (0, 1)})
    assert box.coords == (MU, "x")
    face = box.face(MICRO, "low", 3)
    assert face.tolist() == box.face(MU, "low", 3).tolist()
    problem = pf.Problem(
        "names", pde, box,
        [
            pf.Residual(box.grid(3)),
            pf.Dirichlet(face, **{PHI_SYMBOL: 0.0}),
            pf.Neumann(face, [-1, 0], **{PHI_SYMBOL: lambda mu, x: x}),
            pf.Periodic(face, box.face(MU, "high", 3), f"{PHI_SYMBOL} {PHI_SYMBOL}_{MICRO}"),
        ],
        guess={EPSILON_SYMBOL: 3.0}, bounds={EPSILON_SYMBOL: (0, None)}, true_coefficients={EPSILON_SYMBOL: 2.5},
    )  # fmt: skip
    assert [dict(given) for given in (problem.guess, problem.true_coefficients)] == [{EPSILON: 3.0}, {EPSILON: 2.5}]
    assert problem.bounds == {EPSILON: (0.0, np.inf)}
    assert len(problem.terms()) == 4


def test_derivatives() -> None:
    net, points = pf.MLP([2, 3, 1]), torch.rand(4, 2)
    plain = pf.derivatives(net, points, "u_xy u_lap", coords="x y", fields="u")
    found = pf.derivatives(net, points, f"{PHI_SYMBOL}_x{MICRO} {PHI}_lap", coords=f"x {MU}", fields=PHI_SYMBOL)
    assert list(found) == [f"{PHI}_x{MU}", f"{PHI}_lap"]
    assert torch.equal(found[f"{PHI_SYMBOL}_x{MICRO}"], plain.u_xy)
    assert torch.equal(getattr(found, f"{PHI}_x{MU}"), plain.u_xy)
    assert torch.equal(getattr(found, f"{PHI_SYMBOL}_lap"), plain.u_lap)


def test_names_that_are_one() -> None:
    with pytest.raises(pf.InputError, match="coords: expected at least one name and no name twice"):
        pf.PDE(f"{MICRO} {MU}", "u", lambda u: u)
    with pytest.raises(pf.InputError, match=f"the names \\['{MU}'\\] are used twice"):
        pf.PDE("x", MICRO, lambda x: x, coefficients={MU: 1.0})
    with pytest.raises(pf.InputError, match="Box: expected no name twice"):
        pf.Box(**{MICRO: (0, 1), MU: (0, 1)})
    with pytest.raises(pf.InputError, match="dirichlet: targets: expected no name twice"):
        pf.Dirichlet(np.zeros((1, 1)), **{MICRO: 0.0, MU: 1.0})
    with pytest.raises(pf.InputError, match=r"fields: expected names of letters and digits, got 'x²'"):
        pf.PDE("x", "x²", lambda x: x)


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        ("x xx", r"u\.xx has two readings, 'xx' and 'x x'"),
        ("x lap", r"u\.lap has two readings, 'lap' and 'the Laplacian'"),
        ("l a p", r"u\.lap has two readings, 'l a p' and 'the Laplacian'"),
        ("la p", r"u\.lap has two readings"),
        ("x lapx", r"u\.lapx has two readings, 'lapx' and 'the Laplacian over x'"),
        ("a b ab", r"u\.ab has two readings, 'ab' and 'a b'"),
        ("a ba ab", r"u\.aba has two readings, 'a ba' and 'ab a'"),
        ("x yx xy", r"u\.xyx has two readings"),
        ("r rs sr", r"u\.rsr has two readings"),
    ],
)
def test_ambiguous_coordinates(coords: str, message: str) -> None:
    with pytest.raises(pf.InputError, match=f"coords: .*{message}"):
        pf.PDE(coords, "u", lambda u: u)
    with pytest.raises(pf.InputError, match=r"coords: .* has two readings"):
        pf.derivatives(
            pf.MLP([len(coords.split()), 2, 1]), torch.zeros(1, len(coords.split())), "u", coords=coords, fields="u"
        )


@pytest.mark.parametrize(
    "coords", ["t x y z", "r theta phi", "x1 x2 x3 x4", "rr s", "lat lon", "xi eta", "a aab", "a1 a a11 b"]
)
def test_coordinates_that_are_not_ambiguous(coords: str) -> None:
    names = coords.split()
    pde = pf.PDE(coords, "u", lambda u: [getattr(u, names[0] + names[-1]), getattr(u, "lap" + "".join(names))])
    assert len(pde.traced().residuals) == 2


BOX = pf.Box(x=(0, 1), y=(0, 2))
POINTS = BOX.grid(3)
LAPLACE = pf.PDE("x y", "u", lambda u: u.lap)
INVERSE = pf.PDE("x y", "u", lambda u, nu: u.x - nu * u, unknown={"nu": 1.0})


def _problem(pde: pf.PDE, name: str = "residual") -> pf.Problem:
    return pf.Problem("p", pde, BOX, [pf.Residual(POINTS, name=name)])


def test_fields_named_like_arguments_of_conditions() -> None:
    arguments = set()
    for make in (pf.Residual, pf.Dirichlet, pf.Data, pf.Neumann, pf.Periodic):
        kinds = inspect.signature(make).parameters.values()
        arguments |= {p.name for p in kinds if p.kind is not inspect.Parameter.VAR_KEYWORD}
    assert arguments == set(CONDITION_ARGUMENTS)
    for name in CONDITION_ARGUMENTS:
        with pytest.raises(pf.InputError, match=f"fields: '{name}' is an argument of the conditions; call the field"):
            pf.PDE("x y", ["u", name], lambda u: u)
    # As coordinates and coefficients they work.
    pde = pf.PDE("weight self", "u", lambda u, weight, name: u.self - weight * name, {"name": 2.0})
    box = pf.Box(weight=(0, 1), self=(0, 1))
    points = box.grid(2)
    (term,) = pf.Problem("p", pde, box, [pf.Residual(points)]).terms(torch.float64)
    assert sorted(term.columns.abs().flatten().tolist()) == [0.0, 0.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda words: pf.PDE(words, "u", lambda u: u),
        lambda words: pf.PDE("x", words, lambda u: u),
        lambda words: pf.derivatives(pf.MLP([2, 3, 1]), torch.zeros(1, 2), words, coords="x y", fields="u"),
        lambda words: pf.derivatives(pf.MLP([2, 3, 1]), torch.zeros(1, 2), "u", coords=words, fields="u"),
        lambda words: pf.Periodic(POINTS, POINTS, words),
    ],
)
@pytest.mark.parametrize("words", [5, [5], None, ["x", 1.0]])
def test_names_that_are_no_texts(make: Callable[[Any], object], words: Any) -> None:
    with pytest.raises(
        pf.InputError, match=r"(coords|fields|wanted|quantities): expected a text or a list of texts, got"
    ):
        make(words)


def test_names_that_histories_use() -> None:
    for name in HISTORY_COLUMNS:
        with pytest.raises(pf.InputError, match=f"conditions: the name '{name}' has another meaning in histories"):
            _problem(LAPLACE, name=name)
    for name in ("lr", "loss", "step"):
        with pytest.raises(pf.InputError, match=f"pde: unknown: the name '{name}' has another meaning in histories"):
            _problem(pf.PDE("x y", "u", lambda u: u.x, unknown={name: 1.0}))
    with pytest.raises(pf.InputError, match="conditions: the name 'nu' has another meaning"):
        _problem(INVERSE, name="nu")


@pytest.mark.parametrize("schedule", [Adam(1), pf.GaussNewton(1)])
def test_histories_use_no_other_names(schedule: Any) -> None:
    own = _problem(INVERSE)
    history = pf.fit(own, pf.MLP([2, 4, 1], dtype=torch.float64), schedule).history
    assert {*history.columns} - {*own.term_names, *own.pde.unknown} <= {*HISTORY_COLUMNS}
