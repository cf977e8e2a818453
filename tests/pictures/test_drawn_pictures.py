"""Pictures are drawn for every kind of problem, without warnings."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from small import small_laplace

from psinn_fast import PDE, Adam, Box, Network, Problem, Residual, published_structure, solve
from psinn_fast.building import build_network
from psinn_fast.networks.structure_text import named_symbols
from psinn_fast.pictures.figures import png_of, save_figure
from psinn_fast.pictures.overview import overview_figure
from psinn_fast.pictures.solution import solution_figure
from psinn_fast.pictures.structures import relation_matrix_figure, structure_figure

pytestmark = pytest.mark.pictures

PDES = {
    1: ("x", "u", lambda u: u.xx),
    2: ("x y", "u v", lambda u, v: [u.x + v.y, v.lap]),
    3: ("x y z", "u", lambda u: u.lap),
}


@pytest.mark.parametrize("d", PDES)
@pytest.mark.parametrize("known", [True, False])
def test_solution_pictures(tmp_path: Path, d: int, known: bool) -> None:
    pde = PDE(*PDES[d])
    box = Box(**dict.fromkeys(pde.coords, (0, 1)))
    exact = (lambda points: np.zeros((len(points), len(pde.fields)))) if known else None
    problem = Problem("p", pde, box, [Residual(box.grid(3))], exact=exact)
    with np.errstate(all="ignore"):  # the relative error of a solution that is zero
        solve(problem, Network(layers=[d, 3, len(pde.fields)]), Adam(2), out=tmp_path)
    for name in ("solution.png", "loss.png", "loss_map.png", "structure.png", "R.png"):
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize("name", ["laplace", "burgers", "poisson", "flow"])
def test_structure_pictures(tmp_path: Path, name: str) -> None:
    structure = published_structure(name)
    figure = structure_figure(structure)
    letters = {text.get_text() for axis in figure.axes for text in axis.texts}
    assert letters == {cell for weight, bias in named_symbols(structure) for row in [*weight, bias] for cell in row}
    save_figure(figure, tmp_path / "s.png")
    save_figure(relation_matrix_figure(structure.with_width(2)), tmp_path / "r.png")


def test_coefficients_are_drawn_and_overview_has_both_parts(tmp_path: Path) -> None:
    solution = solve("burgers-inverse", "psi", Adam(2), out=tmp_path)
    figure = overview_figure(solution.problem, solution.net)
    assert len(figure.axes) == len(solution.net.structure.layers) + 6


def test_names_are_no_formulas(tmp_path: Path) -> None:
    """Dollars would be mathematics to matplotlib, and this none that it can read."""
    structure = replace(published_structure("laplace"), name="5 $ per $x^_$")
    save_figure(structure_figure(structure), tmp_path / "s.png")
    problem = small_laplace()
    save_figure(solution_figure(problem, build_network(problem, "pinn"), "5 $ per $x^_$"), tmp_path / "u.png")


def plain(layout: Any) -> Figure:
    figure = Figure(layout=layout)
    for axis in figure.subplots(1, 2):
        axis.plot([0, 1e6], [0, 1])
        axis.set_ylabel("y")
    return figure


@pytest.mark.parametrize("layout", ["solution", "constrained", "compressed", "tight", None])
def test_a_png_is_what_savefig_gives_and_the_figure_stays_as_it_was(layout: Any) -> None:
    problem = small_laplace()
    net = build_network(problem, "pinn")
    one, other = (solution_figure(problem, net) if layout == "solution" else plain(layout) for _ in range(2))
    before = one.canvas, one.dpi, one.get_layout_engine()
    made, expected = png_of(one), io.BytesIO()
    assert (one.canvas, one.dpi, one.get_layout_engine()) == before
    other.savefig(expected, dpi=110, format="png")
    assert made == expected.getvalue()
