"""The examples of docs/residuals.md run as they stand, and print what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import psinn_fast as pf

TEXT = (Path(__file__).parents[2] / "docs" / "residuals.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    scope: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "residuals.md", "exec"), scope)
    return scope


def test_what_is_printed(names: dict[str, Any]) -> None:
    printed = re.search(r"```\n(u\(t, x, y\).*?)```", TEXT, re.DOTALL)
    assert printed is not None
    assert f"{names['heat']}\n" == printed[1]


@pytest.mark.parametrize(
    ("name", "residuals"),
    [
        ("conductor", ["x**2*y**2*u_lap + 2*x**2*y*u_y + 2*x*y**2*u_x + u_lap + 1"]),
        ("polar", ["u_rr + u_r/r + u_thetatheta/r**2"]),
        ("plate", ["w_xxxx + 2*w_xxyy + w_yyyy - 2"]),
        ("porous", ["u_t - 3*u**2*u_xx - 6*u*u_x**2"]),
        ("channel", ["u_x + v_y", "u*u_x + v*u_y + p_x - 0.01*u_lap", "u*v_x + v*v_y + p_y - 0.01*v_lap"]),
    ],
)
def test_equations(names: dict[str, Any], name: str, residuals: list[str]) -> None:
    found = names[name].traced().residuals
    symbols = {str(s): s for r in found for s in r.free_symbols}
    for one, text in zip(found, residuals, strict=True):
        wanted = names["sympy"].sympify(text, symbols)
        assert names["sympy"].simplify(names["sympy"].expand(one - wanted)) == 0


def test_equations_by_name(names: dict[str, Any]) -> None:
    cavity = names["cavity"]
    assert cavity.term_names == ("momentum", "continuity", "dirichlet", "gauge")
    assert [traced.program.n_residuals for traced in cavity.traced] == [2, 1, 2, 1]
    assert [condition.weight for condition in cavity.conditions] == [1.0, 10.0, 1.0, 1.0]


def test_flux_condition(names: dict[str, Any]) -> None:
    (term,) = pf.Problem("p", names["conductor"], pf.Box(x=(0, 1), y=(0, 1)), [names["flux"]]).terms()
    np.testing.assert_allclose(term.columns[:, 0], 1.25)
