"""Coordinates that are parameters: the solution depends on them, and nothing is differentiated along them."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
import torch

import psinn_fast as pf
from psinn_fast.kernels.language.channels import Laplacian
from psinn_fast.problem.checks.missing_conditions import missing_conditions

BOX = pf.Box(t=(0, 1), x=(-1, 1), y=(-1, 1), nu=(0.1, 1))


def heat() -> pf.PDE:
    return pf.PDE("t x y nu", "u", lambda u, nu: u.t - nu * u.lap, parameters="nu")


def test_laplacians_leave_them_out() -> None:
    pde = heat()
    assert (pde.spatial, pde.parameters) == ((1, 2), ("nu",))
    assert Laplacian((1, 2)) in pde.traced().program.channels.channels
    assert "parameters nu; lap = xx + yy" in str(pde)
    assert pickle.loads(pickle.dumps(pde.coords)) == pde.coords
    assert pde.without_unknowns().parameters == ("nu",)
    gradients = pf.PDE("x y nu", "u", lambda u, nu: pf.div(nu * pf.grad(u)), parameters=["nu"])
    assert (
        gradients.traced().program.channels.channels
        == pf.PDE("x y nu", "u", lambda u, nu: nu * (u.xx + u.yy), parameters="nu").traced().program.channels.channels
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pf.PDE("x nu", "u", lambda u: u.xx + u.nu, parameters="nu"), "no derivative along 'nu', which is a"),
        (lambda: pf.PDE("x nu", "u", lambda u: u.xx + u.lapnu, parameters="nu"), "no derivative along 'nu'"),
        (lambda: pf.PDE("x nu", "u", lambda u, nu: sp.diff(nu * u, nu), parameters="nu"), "no derivative along 'nu'"),
        (lambda: pf.PDE("x y", "u", lambda u: u.xx, parameters="nu"), "parameters: 'nu' is none of the coordinates"),
        (lambda: pf.PDE("t x", "u", lambda u: u.xx, parameters="t"), "parameters: 't' is the time"),
        (lambda: pf.PDE("x nu", "u", lambda u: u.xx, parameters="nu nu"), "parameters"),
        (lambda: pf.PDE(" ".join("abcdefghi"), "u", lambda u: u.a), "for 1 to 8 coordinates, got 9"),
    ],
)
def test_refused(make: Callable[[], pf.PDE], message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        make().traced()


def test_their_ends_have_no_conditions() -> None:
    pde = heat()
    residual, start = pf.Residual(BOX.random(100, 0)), pf.Dirichlet(BOX.boundary(4, "t_low"), u=0.0)
    walls = ["x_low", "x_high", "y_low", "y_high"]
    with pytest.raises(
        pf.InputError, match=r"they lie on 'nu_high', an end of a parameter.*'t_low', 't_high', 'x_low'"
    ):
        pf.Problem("heat", pde, BOX, [residual, pf.Dirichlet(BOX.boundary(4), u=0.0)])
    whole = pf.Problem("heat", pde, BOX, [residual, start, pf.Dirichlet(BOX.boundary(4, walls), u=0.0, name="walls")])
    assert missing_conditions(whole) == ()
    fewer = pf.Problem("heat", pde, BOX, [residual, start, pf.Dirichlet(BOX.boundary(4, walls[2:]), u=0.0)])
    assert [text.partition(",")[0] for text in missing_conditions(fewer)] == ["the equation is of order 2 in x"]
    measured = BOX.boundary(3, "nu_low")
    pf.Problem("measured", pde, BOX, [residual, pf.Data(measured, u=np.ones(len(measured)))])


def test_laplacians_of_solutions_are_the_equation_s() -> None:
    pde = pf.PDE("tau x nu", "u", lambda u, nu: u.tau - nu * u.lap, time="tau", parameters="nu")
    box = pf.Box(tau=(0, 1), x=(0, 1), nu=(1, 2))
    problem = pf.Problem(
        "heat", pde, box, [pf.Residual(box.random(50, 0)), pf.Dirichlet(box.boundary(3, "x_low"), u=1)]
    )
    solution = pf.solve(problem, pf.Network(layers=[3, 4, 1]), pf.Adam(1), options=pf.Options(progress=False))
    points = box.random(9, 1)
    found = solution.derivatives(points, "u_lap u_xx")
    np.testing.assert_array_equal(found["u_lap"], found["u_xx"])


@pytest.mark.parametrize(("d", "optimizer"), [(5, pf.GaussNewton(2)), (8, pf.Adam(3))])
def test_many_inputs(d: int, optimizer: pf.Adam | pf.GaussNewton) -> None:
    """From the problem to metrics and folding, without grids that grow with the dimension."""
    names = [f"x{i + 1}" for i in range(d)]
    box = pf.Box(**dict.fromkeys(names, (-1, 1)))
    pde = pf.PDE(names, "u", lambda u: u.lap - 2 * d)
    walls = np.random.default_rng(0).uniform(-1, 1, (60, d))
    walls[np.arange(60), np.arange(60) % d] = 1.0
    conditions = [pf.Residual(box.random(200, 0)), pf.Dirichlet(walls, u=lambda *x: sum(own**2 for own in x))]
    problem = pf.Problem("bowl", pde, box, conditions, exact=lambda x: (x**2).sum(1, keepdims=True))
    even = pf.Symmetry(pf.SignedPermutation.flip(d, 0), (1,))
    chosen = pf.Network("psi", structure=pf.structure_from_group([even], (2, 2)), dtype="float64")
    solution = pf.solve(problem, chosen, optimizer, options=pf.Options(progress=False))
    error = solution.metrics["relative_l2"]
    assert isinstance(error, float)
    assert 0 < error < 10
    net = solution.net
    x = torch.from_numpy(np.array(walls[:5]))
    torch.testing.assert_close(net(x), net(torch.cat([-x[:, :1], x[:, 1:]], 1)), rtol=1e-12, atol=1e-13)


@pytest.mark.trajectory
def test_solutions_quantities_and_marches_leave_them_out() -> None:
    """Wherever u_lap is asked for, it is that of the PDE."""
    box, at = pf.Box(t=(0, 1), x=(-1, 1), nu=(0.1, 1)), np.array([[0.2, 0.3, 0.5], [0.7, -0.4, 0.9]])
    quantities = {name: lambda found, name=name: found(at, f"u_{name}")[f"u_{name}"].sum() for name in ("lap", "xx")}
    problem = pf.Problem(
        "heat", pf.PDE("t x nu", "u", lambda u, nu: u.t - nu * u.lap, parameters="nu"), box,
        [pf.Residual(box.random(300, 0)), pf.Dirichlet(box.boundary(5, "t_low"), u=lambda t, x, nu: x**2 * nu)],
        recipe=pf.Recipe(quantities=quantities),
    )  # fmt: skip
    quiet = pf.Options(progress=False)
    solution = pf.solve(problem, pf.Network(layers=[3, 4, 1]), pf.Adam(1), options=quiet)
    found = problem.quantities_of(solution.net)
    assert found["lap"] == pytest.approx(found["xx"], rel=1e-6)
    marched = pf.march(
        problem, pf.Network(layers=[3, 8, 1]), pf.GaussNewton(60), windows=2, tolerance=0.2, options=quiet
    )
    for own in (solution, marched):
        lap, xx = own.derivatives(at, "u_lap u_xx").values()
        np.testing.assert_allclose(lap, xx, rtol=1e-6)
