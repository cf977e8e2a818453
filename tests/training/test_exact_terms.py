"""Terms that relations make hold, such as periodicity of what is even: no weighting divides by their Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import sympy as sp

import psinn_fast as pf
from psinn_fast.networks.published import burgers_odd
from psinn_fast.training.exact_terms import terms_that_hold
from psinn_fast.training.result import Verdict


def hump() -> pf.Problem:
    """u_t = u (1 - u), even about x = 0, so that u agrees at the ends without any weights' doing."""
    box = pf.Box(t=(0, 1), x=(-1, 1))
    conditions = [
        pf.Residual(box.random(60, seed=0)),
        pf.Dirichlet(box.face("t", "low", 21), u=lambda t, x: np.exp(-4 * x**2), name="initial"),
        pf.Periodic(box.face("x", "low", 11), box.face("x", "high", 11), "u", name="ends"),
    ]
    return pf.Problem("hump", pf.PDE("t x", "u", lambda u: u.t - u * (1 - u)), box, conditions)


def even(problem: pf.Problem) -> pf.PsiMLP:
    found = pf.discover(problem, tests="problem")
    return pf.build_network(problem, pf.Network("psi", structure=found.structure, width=4), seed=0)


@pytest.mark.parametrize(
    ("optimizer", "weighting"),
    [(pf.GaussNewton(4), None), (pf.LBFGS(4), "fixed"), (pf.Adam(4), "trace-balance"), (pf.Adam(4), "ntk"),
     (pf.Adam(4), "gradient-norms")],
    ids=lambda own: getattr(own, "name", own),
)  # fmt: skip
def test_what_is_even_is_periodic(optimizer: object, weighting: str | None) -> None:
    problem = hump()
    net = even(problem)
    result = pf.fit(problem, net, optimizer, weighting=weighting)
    assert result.steps == 4
    assert set(result.losses) == {"residual", "initial"}
    assert result.loss < result.history["loss"][0]
    assert "exact by construction: ends" in result.verdict.notes


def test_dense_networks_have_all_terms() -> None:
    result = pf.fit(hump(), pf.MLP([2, 4, 1], seed=0), pf.Adam(2))
    assert set(result.losses) == {"residual", "initial", "ends"}


def test_what_relations_contradict_is_left_to_training() -> None:
    """An odd network cannot be 1 at x = 0."""
    box = pf.Box(t=(0, 1), x=(-1, 1))
    conditions = [pf.Residual(box.random(30, seed=0)), pf.Dirichlet([[0.0, 0.0]], u=1.0, name="middle")]
    problem = pf.Problem("odd", pf.PDE("t x", "u", lambda u: u.t - u.xx), box, conditions)
    assert pf.fit(problem, pf.PsiMLP(burgers_odd(), width=4, seed=0), pf.Adam(2)).losses["middle"] == pytest.approx(1)


BOX = pf.Box(t=(0, 1), x=(0, 1))
LINE = np.linspace(0, 1, 1001)
WALLS = pf.Ansatz(u=lambda u, x: x * (1 - x) * u)
START_AND_WALLS = pf.Ansatz(u=lambda u, t, x: sp.sin(sp.pi * x) + t * x * (1 - x) * u)


def sine(t: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.sin(np.pi * x))


def heat(*conditions: pf.Condition, box: pf.Box = BOX, width: float = 1.0) -> pf.Problem:
    pde = pf.PDE("t x", "u", lambda u: u.t - 0.1 * width**2 * u.xx)
    return pf.Problem("heat", pde, box, [pf.Residual(box.random(40, 0)), *conditions])


def held(problem: pf.Problem, ansatz: pf.Ansatz | None, embedding: pf.Embedding | None = None) -> tuple[str, ...]:
    sizes = [len(problem.pde.coords), 6, len(problem.pde.fields)]
    network = pf.Network(layers=sizes, ansatz=ansatz, embedding=embedding, dtype="float64")
    return terms_that_hold(problem, pf.build_network(problem, network))


START = pf.Dirichlet(BOX.boundary(9, "t_low"), u=sine, name="start")
SIDES = pf.Dirichlet(BOX.boundary(9, ["x_low", "x_high"]), u=0.0, name="sides")


@pytest.mark.parametrize("start", [0.6, 1.0, 2.0])
def test_what_a_coefficient_changes_is_trained(start: float) -> None:
    """u(0) = A / 2 with u(0) = 1/2 known: at a start of 1 this holds, and elsewhere A, not the weights, makes it so."""
    line, x = pf.Box(x=(0, 1)), np.linspace(0.1, 0.9, 9)
    conditions = [
        pf.Residual(line.random(30, 0)),
        pf.Residual(line.boundary(1, "x_low"), lambda u, A: u - A / 2, name="left"),
        pf.Residual(line.boundary(1, "x_low"), lambda u, A: A * (u - sp.Rational(1, 2)), name="any A"),
        pf.Data(x[:, None], u=(1 - x**2) / 2, name="data"),
    ]
    pde = pf.PDE("x", "u", lambda u, A: u.xx + A, unknown={"A": start})
    known = pf.Ansatz(u=lambda u, x: sp.Rational(1, 2) + x * u)
    assert held(pf.Problem("load", pde, line, conditions), known) == ("any A",)


@pytest.mark.parametrize("n", [1001, 9001])
def test_all_points_are_looked_at(n: int) -> None:
    t, hot = np.linspace(0, 1, n), np.zeros(n)
    spike = pf.Dirichlet(np.stack([t, 0 * t], 1), u=hot, name="hot")
    assert "hot" in held(heat(START, spike), WALLS)
    hot[n // 2 + 1] = 1.0
    spike = pf.Dirichlet(np.stack([t, 0 * t], 1), u=hot, name="hot")
    with pytest.raises(pf.InputError, match=rf"off by 1 at \({t[n // 2 + 1]:.6g}, 0\).* correct g, or let d differ"):
        held(heat(START, spike), WALLS)


@pytest.mark.parametrize(
    ("n", "target", "ansatz"),
    [(3, lambda t, x: np.sin(np.pi * x) + 0.3 * np.sin(2 * np.pi * x), START_AND_WALLS), (2, sine, WALLS)],
)
def test_points_of_a_region_stand_for_all_of_it(n: int, target: Callable[..., object], ansatz: pf.Ansatz) -> None:
    """At three points the sines agree; at the two corners all are zero, but for rounding errors."""
    start = pf.Dirichlet(BOX.boundary(n, "t_low"), u=target, name="start")
    with pytest.raises(pf.InputError, match=rf"'start' holds at its {n} points .*, and not between them, .* more poin"):
        held(heat(start, SIDES), ansatz)


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_float32_targets_are_compared_as_such(offset: float) -> None:
    points = np.stack([0 * LINE, LINE], 1)
    known = pf.Ansatz(u=lambda u, t, x: offset + sp.sin(sp.pi * x) + t * u)
    for numbers, is_held in (
        ((offset + sine(0 * LINE, LINE)).astype(np.float32), True),
        ((offset + 1.001 * sine(0 * LINE, LINE)).astype(np.float32), False),
        (offset + sine(0 * LINE, LINE) + 1e-7, False),
    ):
        problem = heat(pf.Dirichlet(points, u=numbers, name="table"))
        if is_held:
            assert held(problem, known) == ("table",)
        else:
            with pytest.raises(pf.InputError, match="'table' reads, which is off by"):
                held(problem, known)


def test_fields_of_unequal_sizes_are_judged_by_their_own() -> None:
    pde = pf.PDE("t x", "p v", lambda p, v: [p.t - p.xx, v.t - v.xx])
    start = pf.Dirichlet(BOX.boundary(9, "t_low"), p=1e5, v=lambda t, x: 1e-6 * np.sin(np.pi * x), name="start")
    problem = pf.Problem("two", pde, BOX, [pf.Residual(BOX.random(20, 0)), start])
    assert held(problem, pf.Ansatz(p=lambda p, t: 100000 + t * p)) == ()


def test_terms_of_no_weight_are_neither_refused_nor_left_out() -> None:
    off = pf.Dirichlet(BOX.boundary(9, "x_low"), u=1.0, weight=0.0, name="off")
    none = pf.Dirichlet(BOX.boundary(9, "x_high"), u=0.0, weight=0.0, name="none")
    assert held(heat(START, SIDES, off, none), START_AND_WALLS) == ("start", "sides")


def test_refusals_say_what_to_do() -> None:
    width = 1e-6
    narrow = pf.Box(t=(0, 1), x=(0, width))
    start = pf.Dirichlet(narrow.boundary(9, "t_low"), u=lambda t, x: np.sin(np.pi * x / width), name="start")
    small = pf.Ansatz(u=lambda u, t, x: sp.sin(sp.pi * x / width) + t * x * (width - x) * u)
    with pytest.raises(pf.InputError, match=r"d of u is at most 2\.5e-13 in the domain: scale it, d / 2\.5e-13"):
        held(heat(start, box=narrow, width=width), small)
    scaled = pf.Ansatz(u=lambda u, t, x: sp.sin(sp.pi * x / width) + t * x * (width - x) / width**2 * u)
    assert held(heat(start, box=narrow, width=width), scaled) == ("start",)
    ends = pf.Periodic(BOX.boundary(9, "x_low"), BOX.boundary(9, "x_high"), "u", name="ends")
    with pytest.raises(pf.InputError, match=r"'ends' reads, which is off by 1 at .*; correct g, or what the term asks"):
        held(heat(ends), pf.Ansatz(u=lambda u, x: x + u), pf.Embedding.periodic(x=1.0))
    corners = np.array([[0.0, 0.0], [0.0, 1.0]])
    zeros = pf.Dirichlet(corners, u=np.sin(np.pi * corners[:, 1]), name="zeros")
    with pytest.raises(pf.InputError, match=r"off by 1\.22e-16 at .* give 0\.0 there"):
        held(heat(zeros, SIDES), WALLS)
    slope = pf.Residual(BOX.boundary(9, "x_low"), lambda u: u.x - 1, name="slope")
    with pytest.raises(pf.InputError, match=r"embedding: it fixes what term 'slope' reads.*take another embedding"):
        held(heat(slope), None, pf.Embedding(lambda t, x: (t, sp.cos(sp.pi * x))))


def test_a_condition_that_holds_in_part_is_one() -> None:
    pde = pf.PDE("t x", "u v", lambda u, v: [u.t - v.xx, v.t + u.xx])
    both = pf.Dirichlet(BOX.boundary(9, ["x_low", "x_high"]), u=0.0, v=0.0, name="both")
    problem = pf.Problem("two", pde, BOX, [pf.Residual(BOX.random(20, 0)), both])
    for ansatz, is_met in (
        (pf.Ansatz(v=lambda v, x: x * (1 - x) * v), True),
        (pf.Ansatz(v=lambda v, x: (2 + x) * v), False),
    ):
        net = pf.build_network(problem, pf.Network(layers=[2, 4, 2], ansatz=ansatz))
        status = pf.fit(problem, net, pf.Adam(1)).status
        assert ("no condition holds by the ansatz" not in status) == is_met


def test_equations_alone_miss_no_condition_by_an_ansatz() -> None:
    """Also of more than one: points of their own, as in a corner."""
    problem = heat(pf.Residual(BOX.random(9, 1), name="corner"))
    net = pf.build_network(problem, pf.Network(layers=[2, 4, 1], ansatz=START_AND_WALLS))
    assert "no condition holds" not in pf.fit(problem, net, pf.Adam(1)).status


def test_what_holds_is_no_reproach() -> None:
    problem = heat(START, SIDES)
    result = pf.fit(
        problem, pf.build_network(problem, pf.Network(layers=[2, 4, 1], ansatz=START_AND_WALLS)), pf.Adam(1)
    )
    assert result.status.endswith("; exact by construction: start, sides")
    plain = replace(result, verdict=Verdict(notes=("exact by construction: start",)))
    assert plain.status == "done; exact by construction: start"
