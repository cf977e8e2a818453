"""What notebooks show of objects is HTML that a parser takes, says what they are, and escapes names."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from psinn_fast import (
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    Dirichlet,
    Discovery,
    GaussNewton,
    History,
    Network,
    Options,
    Problem,
    Residual,
    Structure,
    SymbolLayer,
    discover,
    fit,
    get_problem,
    march,
    published_structure,
    solve,
)
from psinn_fast.markup import block, html, sparkline, table

QUIET = Options(progress=False)
EVIL = "<script>alert('&')</script>"


def parsed(shown: Any) -> ElementTree.Element:
    """Of an object, or its HTML."""
    return ElementTree.fromstring(shown if isinstance(shown, str) else shown._repr_html_())


def text_of(shown: Any) -> str:
    return " ".join(" ".join(parsed(shown).itertext()).split())


def test_structures_in_colour() -> None:
    structure = published_structure("burgers")
    root = parsed(structure)
    assert "13 independent of 26 expanded parameters" in text_of(structure)
    cells = [rect.get("fill") for rect in root.iter("rect")]
    letters = [own.text for own in root.iter("text") if own.get("text-anchor") == "middle"]
    symbols = [s for layer in structure.layers for s in [*(s for row in layer.weight for s in row), *layer.bias]]
    assert len(cells) == len(letters) == len(symbols)
    for cell, letter, symbol in zip(cells, letters, symbols, strict=True):
        assert (cell == "none") == (letter == "0") == (symbol == 0)
        assert (letter or "").startswith("\N{MINUS SIGN}") == (symbol < 0)
    assert len(list(root.iter("path"))) == sum(symbol < 0 for symbol in symbols)
    assert cells[0] == cells[2]  # a above a
    assert cells[0] != cells[1]


def test_structures_of_many_blocks() -> None:
    def of(n: int) -> Structure:
        return Structure((SymbolLayer.of([[1] * n] * n, [0] * n, [1] * n, [1] * n),), name=EVIL)

    assert len(list(parsed(of(20)).iter("rect"))) == 20 * 21
    assert not [own for own in parsed(of(20)).iter("text") if own.get("text-anchor")]
    assert "200 blocks beside each other" in text_of(of(200))
    assert EVIL not in of(20)._repr_html_()
    assert EVIL in text_of(of(20))


def test_remarks_of_structures() -> None:
    gated = Structure.dense([2, 4, 4, 1], wiring="gated", activation="sin")
    assert "gated: W1 and W2 make U and V" in text_of(gated)
    assert "measured from (1, 2)" in text_of(replace(gated, centre=(1.0, 2.0)))


def test_problems_and_equations() -> None:
    box = Box(t=(0, 1), x=(0, 1))
    pde = PDE("t x", "u", lambda u, k, c: {"heat": u.t - k * u.xx, "steady": c * u.t}, {"c": 2.0}, {"k": 1.0})
    wall = Dirichlet(box.boundary(12, "x_low"), u=1.0, name=EVIL, weight=3.0)
    problem = Problem(
        EVIL, pde, box,
        [Residual(box.grid(5)), wall, Data([[0.5, 0.5]], u=1.0)],
        bounds={"k": (0, None)}, exact=lambda points: points[:, 0],
    )  # fmt: skip
    text = text_of(problem)
    for part in (
        "heat: ", "25 points of the interior", "12 points of x_low", "weight 3", "1 points as given", "c = 2",
        "k, from 1", "bounds: k in", "the exact solution is known", EVIL,
    ):  # fmt: skip
        assert part in text
    assert EVIL not in problem._repr_html_()
    assert "steady: " in text_of(pde)
    assert len(list(parsed(problem).iter("tr"))) == 4


def test_results_and_histories() -> None:
    solution = solve("burgers-inverse", Network(layers=[2, 4, 1]), Adam(4), options=QUIET)
    text = text_of(solution)
    for part in ("Solution of burgers-inverse", "relative L2 error", "nu = ", "4 in", "adam", "residual "):
        assert part in text
    curves = [svg.get("aria-label", "") for svg in parsed(solution).iter("svg")]
    assert [label.partition(":")[0] for label in curves] == ["loss", "relative_l2"]
    assert "5 rows, steps 0 to 4" in text_of(solution.history)
    labels = [svg.get("aria-label", "").partition(":")[0] for svg in parsed(solution.history).iter("svg")]
    assert {"loss", "residual", "data", "nu"} <= set(labels) <= {*solution.history.columns}
    result = fit("laplace", MLP([2, 4, 1]), Adam(1), options=QUIET)
    assert "2-4-1, 17 parameters, tanh" in text_of(result)
    assert text_of(History(["step", "loss"])) == "History 0 rows, no step"


def test_discoveries() -> None:
    found = discover("laplace", tests="problem")
    text = text_of(found)
    for part in ("Discovery of laplace", "x -> -x (odd)", "independent of"):
        assert part in text
    assert len(list(parsed(found).iter("rect"))) > 4
    dense = Discovery(get_problem("laplace"), Structure.dense([2, 4, 1]), (), (), notes=(EVIL,))
    assert "no symmetry, the structure is dense" in text_of(dense)
    assert "no map was tested" in text_of(dense)
    assert EVIL not in dense._repr_html_()


def test_marches() -> None:
    box = Box(t=(0, 1), x=(0, 1))
    problem = Problem("decay", PDE("t x", "u", lambda u: u.t + u), box, [
        Residual(box.grid(7)), Dirichlet(box.boundary(20, "t_low"), u=1.0),
    ], exact=lambda points: np.exp(-points[:, 0]))  # fmt: skip
    marched = march(problem, Network(layers=[2, 4, 1]), GaussNewton(6), windows=2)
    text = text_of(marched)
    for part in ("March of decay 2 windows", "0 to 0.5", "0.5 to 1", "relative L2 error", "residual"):
        assert part in text
    assert len(list(parsed(marched).iter("tr"))) == 3
    figure = marched.figure(at={"t": [0.25, 0.75]})
    assert [axis.get_title() for axis in figure.axes[::2]] == ["u at t = 0.25", "u at t = 0.75"]
    values = np.asarray(figure.axes[2].lines[0].get_ydata())
    np.testing.assert_allclose(values[0], marched([0.75, 0.0])[0], rtol=1e-6)


def test_curves() -> None:
    line = parsed(sparkline([0, 1, 2, 3], [100.0, 10.0, math.nan, 0.1], "a < b"))
    (points,) = [own.get("points") for own in line.iter("polyline")]
    places = [tuple(map(float, pair.split(","))) for pair in (points or "").split()]
    assert [x for x, _ in places] == pytest.approx([2, 2 + 176 / 3, 178], abs=0.1)
    assert [y for _, y in places] == pytest.approx([2, 2 + 32 / 3, 34], abs=0.1)  # of the logarithm
    flat = parsed(sparkline([0, 1], [-1.0, -1.0], "constant"))
    assert [own.get("points") for own in flat.iter("polyline")] == ["2.0,34.0 178.0,34.0"]
    assert sparkline([0], [1.0], "one") == ""


def test_cells_are_escaped_once() -> None:
    assert html("<a>") == "&lt;a&gt;"
    assert html(html("<a>")) == "&lt;a&gt;"
    assert text_of(block(table([("<a>", html("b"))]))) == "<a> b"
