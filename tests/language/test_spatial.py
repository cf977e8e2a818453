"""`u.lap` is over the spatial coordinates: all but the one that is time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from psinn_fast.kernels.errors import InputError
from psinn_fast.kernels.language.channels import Laplacian
from psinn_fast.language.tracing import Traced
from psinn_fast.problem.conditions import Residual
from psinn_fast.problem.pde import PDE


def traced(pde: PDE) -> Traced:
    return Residual(np.zeros((1, len(pde.coords)))).traced(pde)


@pytest.mark.parametrize(
    ("coords", "options", "time", "laplacian"),
    [
        ("x y", {}, None, Laplacian((0, 1))),
        ("t x y", {}, "t", Laplacian((1, 2))),
        ("x y t", {"time": "t"}, "t", Laplacian((0, 1))),
        ("t x y", {"time": None}, None, Laplacian((0, 1, 2))),
        ("x tau y", {"time": "tau"}, "tau", Laplacian((0, 2))),
        ("x auto y", {"time": "auto"}, "auto", Laplacian((0, 2))),
    ],
)
def test_the_laplacian_is_over_the_spatial_coordinates(
    coords: str, options: dict[str, Any], time: str | None, laplacian: Laplacian
) -> None:
    pde = PDE(coords, "u", lambda u: u.lap, **options)
    assert pde.time == time
    assert pde.without_unknowns().time == time
    assert traced(pde).program.channels.channels[-1] == laplacian


def test_time_that_is_no_coordinate_and_a_laplacian_without_space() -> None:
    with pytest.raises(InputError, match=r"time: expected one of the coordinates \['x', 'y'\] or None, got 't'"):
        PDE("x y", "u", lambda u: u.lap, time="t")
    with pytest.raises(InputError, match=r"^residual: u\.lap"):
        traced(PDE("t", "u", lambda u: u.lap))


@pytest.mark.parametrize("name", ["tau", "time"])
def test_a_time_of_another_name_is_asked_for(name: str) -> None:
    with pytest.warns(UserWarning, match=rf"PDE: '{name}' is taken for .* Say time='{name}' if it is time") as told:
        pde = PDE(f"{name} x", "u", lambda u: u.lap)
    assert told[0].filename == __file__
    assert pde.time is None
    assert PDE(f"{name} x", "u", lambda u: u.lap, time=None).time is None
    assert PDE(f"{name} x", "u", lambda u: u.lap, time=name).time == name
    assert PDE(f"t {name}", "u", lambda u: u.lap).time == "t"  # an optical depth
    assert pde.without_unknowns().time is None
