"""What a march begins with: of ansatzes that vanish there, of conditions on the velocity, of contradictory ones."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import sympy as sp
from waves import BOX, START, advection, first

import psinn_fast as pf
from psinn_fast.marching.corners import corner_jumps
from psinn_fast.marching.initial import Part, initial_state, orders_in_time
from psinn_fast.marching.windows import Windows

INITIAL = pf.Dirichlet(START, u=first)


def stepwise(problem: pf.Problem, **fields: Any) -> list[str]:
    """What the first window and a later one are made of: g, without what is continued, and d."""
    state = initial_state(problem, orders_in_time(problem))
    windows = Windows(problem, state, pf.Ansatz(**fields), {})
    return [str(part) for first in (True, False) for part in windows._pair(0, first, 1.0 - first, 2.0 - first)]


WAVE = pf.PDE("t x", "u", lambda u: u.tt - u.xx)
STILL = pf.Residual(START, lambda u: u.t, name="still")


@pytest.mark.parametrize(
    ("d", "rest"),
    [
        (lambda t, x: t * (1 - x**2), lambda x: 1 - x**2),
        (lambda t, x: t - t * x**2, lambda x: 1 - x**2),
        (lambda t, x: t**2 * (1 - x**2), lambda x: 1 - x**2),
        (lambda t, x: sp.tanh(5 * t) - sp.tanh(5 * t) * x**2, lambda x: 1 - x**2),
        (lambda t, x: sp.sqrt(t) * (1 - x**2), lambda x: 1 - x**2),
        (lambda t, x: 3 * t, lambda x: 3 + 0 * x),
        (lambda t, x: 1 - x**2, lambda x: 1 - x**2),
    ],
)
@pytest.mark.parametrize("is_wave", [False, True])
def test_windows_have_the_ansatz_without_its_zeros_at_the_first_time(d: Any, rest: Any, is_wave: bool) -> None:
    pde = WAVE if is_wave else pf.PDE("t x", "u", lambda u: u.t - u.xx)
    problem = pf.Problem("own", pde, BOX, [pf.Residual(BOX.random(20, 0)), INITIAL, *([STILL] if is_wave else [])])
    x = sp.Symbol("x", real=True)
    found = stepwise(problem, u=lambda u, t, x: sp.sin(sp.pi * x) + d(t, x) * u)
    t = sp.Symbol("t", real=True)
    for k, start in ((0, 0), (1, 1)):
        own = [sp.sympify(part, locals={"t": t, "x": x}) for part in found[2 * k : 2 * k + 2]]
        for at in ((start + 0.3, 0.4), (start + 0.8, -0.7)):
            offset, factor = (float(part.subs({t: at[0], x: at[1]})) for part in own)
            assert factor == pytest.approx((at[0] - start) ** (1 + is_wave) * float(rest(at[1])))
            assert offset == pytest.approx(math.sin(math.pi * at[1]) if not k else 0.0, abs=1e-14)


def test_an_ansatz_whose_zeros_at_the_first_time_stay_is_refused() -> None:
    problem = pf.Problem("own", WAVE, BOX, [pf.Residual(BOX.random(20, 0)), INITIAL, STILL])
    for d in (lambda t, x: 1 - sp.exp(-t * (2 + x)), lambda t, x: sp.sin(7 * t) * (1 - x**2)):
        with pytest.raises(pf.InputError, match=r"ansatz: u: its factor d .*vanishes at the first time, t = 0"):
            stepwise(problem, u=lambda u, t, x, d=d: d(t, x) * u)
    structure = pf.Network(ansatz=pf.Ansatz(u=lambda u, x: (1 - x**2) * u)).dense(problem, (2, 4, 1))
    with pytest.raises(pf.InputError, match="its structure has an ansatz of its own"):
        pf.march(problem, structure)


@pytest.mark.parametrize("start", [START, BOX.boundary(21, "t_low"), None])
def test_a_neumann_condition_at_the_first_time_is_a_velocity(start: Any) -> None:
    """Its outward normal is -t."""
    points = np.array(START)
    own = pf.Neumann(*((points, [-1.0, 0.0]) if start is None else (start,)), u=lambda t, x: -3 * np.cos(np.pi * x))
    problem = pf.Problem("wave", WAVE, BOX, [pf.Residual(BOX.random(20, 0)), INITIAL, own])
    value = initial_state(problem, (2,))[Part("u", 1)].value
    assert value is not None
    assert float(value.subs(sp.Symbol("x", real=True), 0.25)) == pytest.approx(3 * math.cos(math.pi / 4))


LEFT, RIGHT = (START[START[:, 1] * side >= 0] for side in (-1, 1))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (pf.Dirichlet(BOX.face("t", "low", 17), u=lambda t, x: 2 * first(t, x), name="b"), "'initial' and 'b'"),
        (pf.Dirichlet(START, u=np.ones(21), name="b"), "'initial' and 'b'"),
        (pf.Residual(RIGHT, lambda u: 2 * u - 1, name="b"), "'initial' and 'b'"),
        (pf.Dirichlet(BOX.face("t", "low", 17), u=lambda t, x: 1.001 * first(t, x), name="b"), None),
        (pf.Dirichlet(START, u=first(START[:, 0], START[:, 1]), name="b"), None),
    ],
)
def test_contradictory_initial_conditions_are_refused(other: pf.Condition, message: str | None) -> None:
    problem = advection(pf.Dirichlet(START, u=first, name="initial"), other)
    if message is None:
        assert initial_state(problem, (1,))[Part("u", 0)].value is None
        return
    with pytest.raises(pf.InputError, match=f"contradict each other: where it begins, {message} say that u is"):
        initial_state(problem, (1,))


def test_initial_conditions_of_several_places_do_not_contradict_each_other() -> None:
    halves = [pf.Dirichlet(half, u=value, name="half") for half, value in ((LEFT, 0.0), (RIGHT, 1.0))]
    assert initial_state(advection(*halves), (1,))[Part("u", 0)].value is None
    decay = pf.PDE("t", "u", lambda u: u.t + u)
    line = pf.Box(t=(0, 1))
    twice = [pf.Dirichlet([[0.0]], u=value, name=name) for name, value in (("a", 1.0), ("b", 2.0))]
    with pytest.raises(pf.InputError, match="'a' and 'b' say that u is 1 and 2"):
        pf.march(pf.Problem("decay", decay, line, [pf.Residual(line.random(9, 0)), *twice]))


def heated(left: Any, start: Any, wall: pf.Condition | None = None) -> pf.Problem:
    """Heat in a rod that begins with ``start``, its left end at ``left``, or with another condition there."""
    pde = pf.PDE("t x", "u", lambda u: u.t - u.xx)
    conditions = [
        pf.Residual(BOX.random(60, 0)),
        pf.Dirichlet(START, u=start, name="initial"),
        wall or pf.Dirichlet(WALL, u=left, name="left"),
    ]
    return pf.Problem("rod", pde, BOX, conditions)


WALL, OTHER = BOX.face("x", "low", 21), BOX.face("x", "high", 21)
SINE, COSINE = (lambda t, x: np.sin(np.pi * (x + 1) / 2)), (lambda t, x: np.cos(np.pi * (x + 1) / 2))
SWUNG = pf.Problem("wave", WAVE, BOX, [pf.Residual(BOX.random(20, 0)), pf.Dirichlet(START, u=SINE), STILL])


def swinging(left: Any) -> pf.Problem:
    return pf.Problem("wave", WAVE, BOX, [*SWUNG.conditions, pf.Dirichlet(WALL, u=left, name="left")])


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (heated(1.0, 0.0), "'left' does not hold for the initial state at t = 0, x = -1: it is off by 1,"),
        (heated(lambda t, x: 2 + t, lambda t, x: 5 * (1 - x**2)), "'left' does not hold .* off by 2,"),
        (heated(301.0, lambda t, x: 300 + 50 * np.sin(np.pi * x)), "off by 1,"),
        (heated(1.0, lambda t, x: (1 - x) / 2), None),
        (heated(lambda t, x: np.tanh(50 * t), 0.0), None),
        (heated(1e-3, lambda t, x: 1 - x**2), None),
        (heated(300 + 1e-6, lambda t, x: 300 + x + 1), None),
        (heated(0.0, SINE, pf.Neumann(WALL, u=0.0, name="insulated")), "'insulated' does not hold .* off by 1.571,"),
        (heated(0.0, COSINE, pf.Neumann(WALL, u=0.0)), None),
        (heated(0.0, COSINE, pf.Residual(WALL, lambda u: u.x - 2 * u, name="robin")), "'robin' does not hold"),
        (heated(0.0, COSINE, pf.Residual(WALL, lambda u: u.x - 2 * (u - 1), name="robin")), None),
        (heated(0.0, lambda t, x: x, pf.Periodic(WALL, OTHER, "u", name="ring")), "'ring' does not hold .* off by 2,"),
        (heated(0.0, lambda t, x: x**2, pf.Periodic(WALL, OTHER, "u u_x", name="ring")), "'ring' .* off by 4,"),
        (heated(0.0, lambda t, x: np.sin(np.pi * x), pf.Periodic(WALL, OTHER, "u u_x")), None),
        (heated(0.0, lambda t, x: np.sign(x), pf.Neumann(WALL, u=0.0)), None),
        (heated(0.0, lambda t, x: np.abs(x), pf.Periodic(WALL, OTHER, "u u_xx")), None),
        (heated(0.0, lambda t, x: np.sqrt(1 + x), pf.Neumann(WALL, u=0.0)), None),
        (heated(0.0, 1.0, pf.Residual(WALL, lambda u, t: u - sp.erf(t), name="erf")), "'erf' does not hold"),
        (heated(0.0, 1.0, pf.Residual(WALL, lambda u, t: u - sp.besselj(0, t), name="bessel")), None),
        (swinging(lambda t, x: np.sin(3 * t)), "the change in t of 'left' does not hold .* off by 3,"),
        (swinging(lambda t, x: 1 - np.cos(3 * t)), None),
    ],
)
def test_walls_that_contradict_the_initial_state_in_a_corner_are_named(problem: pf.Problem, said: str | None) -> None:
    found = corner_jumps(problem, initial_state(problem, orders_in_time(problem)))
    assert len(found) == (said is not None), found
    if said is not None:
        assert re.search(said, found[0]), found


def test_a_march_that_fails_by_a_jump_asks_for_no_larger_network() -> None:
    network = pf.Network(layers=[2, 4, 1])
    with pytest.raises(pf.TrainingError, match="'left' does not hold for the initial state at t = 0, x = -1") as caught:
        pf.march(heated(1.0, 0.0), network, pf.GaussNewton(2), windows=2, tolerance=1e-3)
    assert "larger network" not in str(caught.value)
    with pytest.raises(pf.TrainingError, match="larger network"):
        pf.march(
            heated(0.0, lambda t, x: 50 * np.sin(np.pi * x)), network, pf.GaussNewton(1), windows=1, tolerance=1e-9
        )
