"""`solution.show`, and that notebooks display figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psinn_fast import PDE, Adam, Box, Network, Options, Problem, Residual, Solution, save_figure, solve
from psinn_fast.kernels.errors import InputError

QUIET = Options(progress=False)
BOX = Box(t=(0, 1), x=(0, 1), y=(0, 1))


def solved(known: bool = True, steps: int = 2) -> Solution:
    pde = PDE("t x y", "u v", lambda u, v: {"heat": u.t - u.lap, "wave": v.t - u.x})
    exact = (lambda points: points[:, :2]) if known else None
    problem = Problem("p $", pde, BOX, [Residual(BOX.random(30, 0))], exact=exact)
    return solve(problem, Network(layers=[3, 4, 2]), Adam(steps), options=QUIET)


def titles(figure: Any) -> list[str]:
    return [axis.get_title() for axis in figure.axes if axis.get_label() != "<colorbar>"]


@pytest.mark.pictures
def test_all_is_shown(tmp_path: Path) -> None:
    figure = solved().show()
    found = titles(figure)
    assert found[:3] == ["u: network at t = 0", "u: exact at t = 0", "u: error at t = 0"]
    assert sum(title.startswith("v: error") for title in found) == 3
    assert found[-5].startswith("squared residual: half of it on")
    assert found[-4:-2] == ["squared residual along t", "by term"]
    assert [axis.get_ylabel() for axis in figure.axes[-2:]] == ["loss (weighted mean squares)", "relative L2 error"]
    assert figure.get_suptitle() == "p $, pinn, step 2"
    save_figure(figure, tmp_path / "all.png")
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]  # what notebooks ask for


def test_some_fields_at_some_times() -> None:
    solution = solved(known=False)
    figure = solution.show("v", {"t": 0.25})
    assert titles(figure)[0] == "v: network at t = 0.25"
    image = np.asarray(figure.axes[0].images[0].get_array())
    expected = solution([[0.25, 0.0, 0.0], [0.25, 1.0, 1.0]])[:, 1]
    np.testing.assert_allclose(image[[0, -1], [0, -1]], expected, rtol=1e-5)
    lines = titles(solution.show(["u"], {"t": [0, 1], "x": 0.5}))
    assert lines[:2] == ["u at t = 0, x = 0.5", "u at t = 1, x = 0.5"]
    with pytest.raises(InputError, match="fields: expected some of"):
        solution.show("w")
    with pytest.raises(InputError, match="at: 's' is none"):
        solution.show(at={"s": 0})


def test_nothing_was_trained() -> None:
    assert "by term" in titles(solved(steps=0).show())
