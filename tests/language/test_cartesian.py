"""Laplacians in coordinates that are polar, cylindrical or spherical by their names: it is told that they are not."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import sympy as sp
import torch

import psinn_fast as pf

_R, _THETA, _PHI, _Z = sp.symbols("r theta phi z", positive=True)
_HARMONIC = {
    "r": sp.log(_R),
    "r theta": _R**2 * sp.cos(2 * _THETA),
    "r z": _Z**2 - _R**2 / 2,
    "r theta z": _R * sp.cos(_THETA) * _Z,
    "r theta phi": _R**2 * sp.sin(_THETA) * sp.cos(_THETA) * sp.cos(_PHI),
    "theta phi": sp.log(sp.tan(_THETA / 2)) + 3 * _PHI,
}


class _Field:
    """A function whose attributes are its derivatives."""

    def __init__(self, expression: sp.Expr, coords: str) -> None:
        self.expression, self.coords = expression, coords.split()

    def __getattr__(self, name: str) -> Any:
        found = self.expression
        while name:
            own = next(coordinate for coordinate in self.coords if name.startswith(coordinate))
            found, name = sp.diff(found, sp.Symbol(own, positive=True)), name[len(own) :]
        return found


@pytest.mark.parametrize("coords", _HARMONIC)
def test_a_warning_says_how_the_laplacian_is_written(coords: str) -> None:
    with pytest.warns(UserWarning, match="PDE: u.lap is Cartesian") as told:
        pf.PDE(coords, "u", lambda u: u.lap)
    (message,) = told
    assert message.filename == __file__
    text = str(message.message)
    assert f"name the coordinates: u.lap{coords.replace(' ', '')}" in text
    written = text.split("write ")[1].split(". If")[0].split(" (in spherical")[0]
    symbols = {name: sp.Symbol(name, positive=True) for name in coords.split()}
    laplacian = eval(written, {"u": _Field(_HARMONIC[coords], coords), "sin": sp.sin, "cos": sp.cos, **symbols})
    assert abs(laplacian.subs({_R: 1.3, _THETA: 0.7, _PHI: 0.4, _Z: 0.9})) < 1e-12


@pytest.mark.parametrize(
    ("coords", "residual", "named"),
    [
        ("t r", lambda u: u.t - u.lap, "u.lap"),
        ("t x r", lambda u: u.t - u.lap, "u.lap"),
        ("rho phi", lambda u: pf.lap(u), "lap"),
        ("r z", lambda u: pf.div(pf.grad(u)), "div"),  # the gradient is as it is
        ("r theta", lambda u: pf.div(pf.grad(u)), "grad and div"),
        ("r theta", lambda u: u.lap.lap, "u.lap"),
    ],
)
def test_every_shorthand_is_told(coords: str, residual: Any, named: str) -> None:
    with pytest.warns(UserWarning, match=f"PDE: {named} (is|are) Cartesian"):
        pf.PDE(coords, "u", residual)


@pytest.mark.parametrize(
    ("coords", "residual"),
    [
        ("r theta", lambda u: u.laprtheta),
        ("r theta", lambda u: pf.div(pf.grad(u, "r theta"), "r theta")),
        ("r theta", lambda u, r: u.rr + u.r / r + u.thetatheta / r**2),
        ("r z", lambda u: pf.grad(u)[0]),
        ("theta", lambda u: u.lap),  # on a circle
        ("x rho", lambda u: u.lap),  # a density
        ("x y r", lambda u: u.lap),
        ("x y theta", lambda u: u.lap),
    ],
)
def test_nothing_is_said_where_it_is_named_or_cartesian(coords: str, residual: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pf.PDE(coords, "u", residual)


def test_parameters_are_no_radii() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pf.PDE("x r", "u", lambda u: u.lap, parameters="r")


def test_conditions_of_their_own_residual_are_told() -> None:
    box = pf.Box(r=(1, 2), theta=(0, 1))
    pde = pf.PDE("r theta", "u", lambda u, r: u.rr + u.r / r + u.thetatheta / r**2)
    conditions = [pf.Residual(box.grid(4)), pf.Residual(box.boundary(8), lambda u: u.lap, name="edge")]
    with pytest.warns(UserWarning, match="term 'edge': u.lap is Cartesian") as told:
        pf.Problem("annulus", pde, box, conditions)
    assert told[0].filename == __file__


def test_derivatives_of_networks_ask_for_the_coordinates() -> None:
    net = pf.MLP([2, 4, 1], seed=0)
    points = torch.rand(3, 2, dtype=net.theta.dtype)
    with pytest.raises(pf.InputError, match=r"u_lap is Cartesian.*u.rr \+ u.r/r .*write u_laprtheta"):
        pf.derivatives(net, points, "u_lap", coords="r theta", fields="u")
    found = pf.derivatives(net, points, "u_laprtheta u_rr u_thetatheta", coords="r theta", fields="u")
    assert torch.allclose(found.u_laprtheta, found.u_rr + found.u_thetatheta)
