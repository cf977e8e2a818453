"""Equations of a PDE by name: terms of some of them, and all that looks at a problem's equations from then on."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from helpers import CPU_BACKENDS, mlp, nested_autograd

import psinn_fast as pf
from psinn_fast.kernels import get_backend
from psinn_fast.problem.conditions import Condition
from psinn_fast.scaling.natural_scales import natural_losses, natural_scales
from psinn_fast.scaling.natural_units import in_natural_units
from psinn_fast.training.identity import differences, run_identity
from psinn_fast.training.points.sampling import Sampler
from psinn_fast.training.weighting import WeighedTerms

SQUARE = pf.Box(x=(0, 1), y=(0, 1))
GRID = SQUARE.grid(7)
FLOAT64 = torch.float64
# Of sums in other orders.
EQUAL = {"rtol": 1e-12, "atol": 1e-14}
EMPTY = torch.empty(0, dtype=FLOAT64)


def flow(u: Any, v: Any, p: Any, x: Any) -> dict[str, Any]:
    return {
        "momentum_x": u * u.x + v * u.y + p.x - 0.1 * u.lap - sp.sin(x),
        "momentum_y": sp.Eq(u * v.x + v * v.y, 0.1 * v.lap - p.y),
        "continuity": u.x + v.y,
    }


def as_list(u: Any, v: Any, p: Any, x: Any) -> list[Any]:
    return [*flow(u, v, p, x).values()]


NAMES = ("momentum_x", "momentum_y", "continuity")
WALLS = pf.Dirichlet(SQUARE.boundary(5), u=lambda x, y: 1 - y, v=0.0, name="walls")


def problem(*conditions: Condition, residual: Callable[..., Any] = flow) -> pf.Problem:
    return pf.Problem("flow", pf.PDE("x y", "u v p", residual), SQUARE, [*conditions, WALLS])


def split(weights: tuple[float, float, float] = (1.0, 1.0, 1.0), points: Any = GRID) -> pf.Problem:
    terms = [pf.Residual(points, equations=name, weight=w) for name, w in zip(NAMES, weights, strict=True)]
    return problem(*terms)


def network(seed: int = 0) -> pf.MLP:
    return pf.MLP([2, 6, 5, 3], seed=seed, dtype=FLOAT64)


def test_names_are_printed() -> None:
    lines = [
        "    momentum_x: p_x + u*u_x - 0.1*u_lap + u_y*v - sin(x) = 0",
        "    momentum_y: p_y + u*v_x + v*v_y - 0.1*v_lap = 0",
        "    continuity: u_x + v_y = 0",
    ]
    pde = pf.PDE("x y", "u v p", flow)
    assert pde.equations == NAMES
    assert pf.PDE("x y", "u v p", as_list).equations == ()
    assert str(pde).splitlines()[1:4] == lines
    text = problem(pf.Residual(GRID), pf.Residual(GRID, equations="continuity momentum_x", weight=10)).describe()
    assert "\n".join(["residual: weight 1, 49 points of the interior, may be drawn anew", *lines]) in text
    # In the PDE's order, whatever is asked for first.
    head = "continuity+momentum_x: weight 10, 49 points of the interior, may be drawn anew"
    assert "\n".join([head, lines[0], lines[2]]) in text


def test_all_equations_in_one_term_are_what_a_list_of_them_is() -> None:
    net, one, other = network(), problem(pf.Residual(GRID)), problem(pf.Residual(GRID), residual=as_list)
    assert one.term_names == ("residual", "walls")
    assert one.traced[0].program == other.traced[0].program
    assert list(differences(run_identity(one, net, {}), run_identity(other, net, {}))) == []
    whole = problem(pf.Residual(GRID, equations=NAMES[::-1]))
    assert whole.traced[0].program == one.traced[0].program


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ([{"equations": "continuity"}], ["continuity"]),
        ([{"equations": ["momentum_x", "momentum_y"]}], ["momentum_x+momentum_y"]),
        ([{"equations": "momentum_x, momentum_y", "name": "momentum"}], ["momentum"]),
        ([{}, {"equations": "continuity"}, {"equations": "continuity"}], ["residual", "continuity1", "continuity2"]),
        ([{}, {}], ["residual1", "residual2"]),
    ],
)
def test_terms_are_called_what_they_ask_for(asked: list[dict[str, Any]], named: list[str]) -> None:
    rest = pf.Residual(GRID, name="all")
    assert problem(rest, *(pf.Residual(GRID, **given) for given in asked)).term_names == ("all", *named, "walls")


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_terms_of_one_equation_each_add_up_to_the_term_of_all(backend: str) -> None:
    """Losses and gradients; with weights, against nested autograd of the equations as they are written."""
    net, engine = network(), get_backend(backend)
    theta = net.theta.detach()

    def computed(problem: pf.Problem) -> Any:
        weights = problem.weights(FLOAT64)
        return engine.loss_and_gradient(net.plan, theta, EMPTY, problem.terms(FLOAT64), weights)

    one, three = computed(problem(pf.Residual(GRID))), computed(split())
    torch.testing.assert_close(three.losses[:3].sum(), one.losses[0], **EQUAL)
    torch.testing.assert_close(three.theta, one.theta, **EQUAL)

    own, x = theta.clone().requires_grad_(), torch.from_numpy(np.array(GRID)).requires_grad_()
    values = mlp(net.structure, own, x)

    def d(field: int, *index: int) -> torch.Tensor:
        return nested_autograd(values[:, field], x, index)

    u, v = values[:, 0], values[:, 1]
    residuals = [
        u * d(0, 1, 0) + v * d(0, 0, 1) + d(2, 1, 0) - 0.1 * (d(0, 2, 0) + d(0, 0, 2)) - torch.sin(x[:, 0]),
        u * d(1, 1, 0) + v * d(1, 0, 1) + d(2, 0, 1) - 0.1 * (d(1, 2, 0) + d(1, 0, 2)),
        d(0, 1, 0) + d(1, 0, 1),
    ]
    losses = torch.stack([r.square().mean() for r in residuals])
    edge = torch.from_numpy(np.array(SQUARE.boundary(5)))
    at_walls = mlp(net.structure, own, edge)[:, :2] - torch.stack([1 - edge[:, 1], 0 * edge[:, 1]], 1)
    total = (torch.tensor([1.0, 2.0, 30.0], dtype=FLOAT64) * losses).sum() + at_walls.square().sum(1).mean()
    found = computed(split((1.0, 2.0, 30.0)))
    torch.testing.assert_close(found.losses[:3], losses.detach(), **EQUAL)
    torch.testing.assert_close(found.theta, torch.autograd.grad(total, own)[0], **EQUAL)


def test_an_equation_may_have_components() -> None:
    def residual(u: Any, v: Any, p: Any) -> dict[str, Any]:
        velocity = sp.Matrix([u, v])
        return {"momentum": pf.grad(p) - velocity.applyfunc(pf.lap), "continuity": [pf.div(velocity)]}

    made = problem(*(pf.Residual(GRID, equations=name) for name in ("momentum", "continuity")), residual=residual)
    assert made.pde.equations == ("momentum", "continuity")
    assert [traced.program.n_residuals for traced in made.traced] == [2, 1, 2]
    assert made.describe().count("    momentum: ") == 2


def test_points_and_weights_of_their_own() -> None:
    weights = np.linspace(0, 2, 49)
    made = problem(
        pf.Residual(GRID, equations="momentum_x momentum_y"),
        pf.Residual(SQUARE.random(30, 0), equations="continuity", weight=lambda x, y: 1 + x),
        pf.Residual(np.array(GRID), equations="continuity", weight=weights),
    )
    first, second, third, _ = made.terms(FLOAT64)
    assert [first.n_points, second.n_points, third.n_points] == [49, 30, 49]
    torch.testing.assert_close(third.columns[:, 0], torch.from_numpy(np.sqrt(weights)))
    torch.testing.assert_close(second.columns[:, 0].square(), 1 + second.points[0, :, 0])


def returning(given: Any) -> Callable[..., Any]:
    return lambda u, v, p: given(u, v, p)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda u, v, p: {}, "names of equations: expected at least one name"),
        (lambda u, v, p: {"": u.x, "b": v + p}, "names of equations: expected words of .* got ''"),
        (lambda u, v, p: {"mass balance": u.x + v + p}, "e.g. 'momentum_x', got 'mass balance'"),
        (lambda u, v, p: {1: u.x, "b": v + p}, "names of equations: expected words of .* got 1"),
        (lambda u, v, p: {u: u.x, "b": v + p}, "names of equations: expected words of .* got u"),
        (lambda u, v, p: {"\u00b5s": u.x, "\u03bcs": v + p}, "no name twice"),
        (lambda u, v, p: {"u": u.x, "b": v + p}, "the name 'u' of an equation is a field's"),
        (lambda u, v, p: {"a": u.x, "x": v + p}, "the name 'x' of an equation .* 'equation_x'"),
        (lambda u, v, p: {"a": u.x, "nu": v + p}, "the name 'nu' of an equation"),
        (lambda u, v, p: {"a": u.x, "k": v + p}, "the name 'k' of an equation"),
        (lambda u, v, p: {"a": u.x, "b": []}, "returned nothing"),
        (
            lambda u, v, p: {"a": u.x, "b": "v + p"},
            "residual: equation 'b': expected expressions of the fields, got str",
        ),
        (lambda u, v, p: {"a": u.x, "b": {"c": v}}, "equation 'b': expected expressions of the fields, got dict"),
        (lambda u, v, p: {"a": u.x, "b": 1 / sp.Integer(0) * v}, "equation 'b': .* not a finite real expression"),
    ],
)
def test_names_that_are_none(given: Callable[..., Any], message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        pf.PDE("x y", "u v p", returning(given), {"k": 1.0}, {"nu": 1.0})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: pf.Residual(GRID, equations=""), "equations: expected at least one name"),
        (lambda: pf.Residual(GRID, equations=[]), "equations: expected at least one name"),
        (lambda: pf.Residual(GRID, equations=["a", "a"]), "no name twice"),
        (lambda: pf.Residual(GRID, equations=3), "equations: expected a text or a list of texts, got 3"),
        (lambda: pf.Residual(GRID, equations={"a"}), "got a set, which has no order"),
        (lambda: pf.Residual(GRID, equations={"a": 1.0, "b": 100.0}), "equations: .*got a mapping, .*dropped"),
        (lambda: pf.Residual(GRID, lambda u: u.x, equations="a"), "a: equations: they are those of the PDE"),
        (lambda: pf.Residual(GRID, weight={"a": 1.0}), "residual: weight: .*equations='continuity', weight=10.0"),
        (lambda: pf.Dirichlet(GRID, weight={"a": 1.0}, u=0.0), "dirichlet: weight: .* got a mapping"),
        (
            lambda: problem(pf.Residual(GRID, equations="continuity energy mass")),
            r"term 'continuity\+energy\+mass': equations: the PDE's are \['momentum_x', .*\], got 'energy', 'mass'$",
        ),
        (
            lambda: problem(pf.Residual(GRID, equations="continuity"), residual=as_list),
            "term 'continuity': equations: the PDE's have no names; let its residual function return {name: expr",
        ),
    ],
)  # fmt: skip
def test_bad_requests(made: Callable[[], Any], message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        made()


def test_a_term_may_not_be_called_like_a_column_of_histories() -> None:
    with pytest.raises(pf.InputError, match="conditions: the name 'loss'"):
        problem(pf.Residual(GRID, equations="loss"), residual=lambda u, v, p: {"loss": u.x, "other": v.x + p.x})


def test_a_field_that_no_asked_equation_has_is_refused() -> None:
    with pytest.raises(pf.InputError, match="no term of positive weight depends on 'p'"):
        problem(pf.Residual(GRID, equations="continuity"))


def test_pickles_keep_what_is_asked_for() -> None:
    made = problem(*(pf.Residual(GRID, equations=name) for name in NAMES[:2]), pf.Residual(GRID, name="all"))
    bare = pf.Problem("flow", made.pde, SQUARE, made.conditions[:3])
    again = pickle.loads(pickle.dumps(bare))
    assert [traced.program for traced in again.traced] == [traced.program for traced in bare.traced]
    assert again.pde.equations == NAMES


def _swapped(u: Any) -> dict[str, Any]:
    return {"one": u.x, "two": u.x} if _FIRST else {"two": u.x, "one": u.x}


_FIRST = True


def test_a_pickle_whose_equations_have_other_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = pickle.dumps(pf.PDE("x", "u", _swapped))
    monkeypatch.setitem(globals(), "_FIRST", False)
    with pytest.raises(pf.InputError, match="reads something that has changed"):
        _ = pickle.loads(saved).given


def test_identities_tell_terms_apart() -> None:
    def found(problem: pf.Problem) -> dict[str, Any]:
        return run_identity(problem, network(), {})

    base = found(split())
    assert list(differences(base, found(split()))) == []
    others = problem(
        *(pf.Residual(GRID, equations=e, name=n) for n, e in zip(NAMES, (*NAMES[:1], *NAMES[:0:-1]), strict=True))
    )
    changed = list(differences(base, found(others)))
    assert {text.split(":")[0] for text in changed} >= {"terms.momentum_y.equation", "terms.continuity.equation"}


def test_natural_sizes_and_losses_are_those_of_the_equations() -> None:
    def large(u: Any, v: Any, p: Any, x: Any) -> dict[str, Any]:
        return {name: 1e4 * r if name == "continuity" else r.lhs - r.rhs if isinstance(r, sp.Eq) else r
                for name, r in flow(u, v, p, x).items()}  # fmt: skip

    one = problem(pf.Residual(GRID), residual=large)
    three = problem(*(pf.Residual(GRID, equations=name) for name in NAMES), residual=large)
    ours, theirs = natural_scales(three), natural_scales(one)
    np.testing.assert_array_equal(np.concatenate(ours.residuals[:3]), theirs.residuals[0])
    np.testing.assert_array_equal(ours.sizes, theirs.sizes)
    assert sum(natural_losses(three).losses[:3]) == pytest.approx(natural_losses(one).losses[0])
    # Each has a unit of its own: losses are reported as they were given.
    units = in_natural_units(three, ours).loss_units
    assert units[2] > 1e6 * max(units[0], units[1])


def weighed(problem: pf.Problem, weighting: pf.Weighting, net: pf.MLP) -> WeighedTerms:
    terms = problem.terms(FLOAT64)
    made = WeighedTerms(
        weighting, problem, get_backend("reference"), net.plan, problem.weights(FLOAT64), lambda: terms,
        lambda: (net.theta.detach(), EMPTY),
    )  # fmt: skip
    made.update(0)
    return made


def transport(u: Any, q: Any) -> dict[str, Any]:
    return {"balance": u.t + q.x, "flux": q + u.x}


STRIP = pf.Box(t=(0, 1), x=(-1, 1))
START = pf.Dirichlet(STRIP.face("t", "low", 7), u=lambda t, x: 1 - x**2, name="start")
SIDES = pf.Dirichlet(STRIP.boundary(5, "x_low"), u=0.0, name="sides", weight=3.0)


def moving(*equations: str, weights: tuple[float, ...] = (1.0, 1.0)) -> pf.Problem:
    inside = [pf.Residual(STRIP.grid(6), equations=e, weight=w) for e, w in zip(equations, weights, strict=False)]
    terms = inside or [pf.Residual(STRIP.grid(6))]
    return pf.Problem("moving", pf.PDE("t x", "u q", transport), STRIP, [*terms, START, SIDES])


@pytest.mark.parametrize("weighting", [pf.TraceBalance(), pf.GradientNorms(), pf.Causal(every=1, slabs=3)])
def test_conditions_are_weighed_against_all_equations_together(weighting: pf.Weighting) -> None:
    net = pf.MLP([2, 5, 5, 2], seed=3, dtype=FLOAT64)
    one, two = (weighed(moving(*names), weighting, net) for names in ((), ("balance", "flux")))
    torch.testing.assert_close(two.weights[-2:], one.weights[-2:], **EQUAL)
    torch.testing.assert_close(two.weights[:2], one.weights[:1].expand(2), **EQUAL)
    if isinstance(weighting, pf.Causal):
        for i in (0, 1):
            torch.testing.assert_close(two.terms[i].columns[:, -1], one.terms[0].columns[:, -1], **EQUAL)


def test_terms_of_the_same_equation_elsewhere_do_not_count_twice_in_the_balance() -> None:
    net = pf.MLP([2, 5, 5, 2], seed=3, dtype=FLOAT64)
    names = ("balance", "flux", "flux")
    found = weighed(moving(*names, weights=(1.0, 1.0, 1.0)), pf.TraceBalance(), net)
    torch.testing.assert_close(
        found.weights[-2:], weighed(moving(*names[:2]), pf.TraceBalance(), net).weights[-2:], **EQUAL
    )


def test_gauss_newton_draws_as_many_points_for_each_equation_as_for_all() -> None:
    def drawn(problem: pf.Problem) -> list[int]:
        terms = Sampler(problem, problem.terms(FLOAT64), 40, 0).draw(0)
        return [term.n_points for term in terms if term.name != "walls"]

    assert drawn(problem(pf.Residual(GRID))) == [40]
    assert drawn(split()) == [40, 40, 40]
    half = [pf.Residual(GRID, equations="momentum_x momentum_y"), pf.Residual(GRID, equations="continuity")]
    assert drawn(problem(*half)) == [40, 40]
    # As for two terms of all equations, which share the points.
    assert drawn(problem(pf.Residual(GRID), *half)) == [*drawn(problem(pf.Residual(GRID), pf.Residual(GRID))), 20]


@pytest.mark.parametrize("optimizer", [pf.Adam(20), pf.LBFGS(10), pf.GaussNewton(4)])
def test_every_optimiser_shows_them(optimizer: Any) -> None:
    found = pf.solve(moving("balance", "flux", weights=(1.0, 10.0)), pf.Network(layers=[2, 6, 2]), optimizer)
    assert set(found.losses) == {"balance", "flux", "start", "sides"}
    assert {"balance", "flux"} <= set(found.history.columns)
    assert found.held_out is not None
    whole = found.losses["balance"] + 10 * found.losses["flux"] + found.losses["start"] + 3 * found.losses["sides"]
    assert found.loss == pytest.approx(whole)


def test_runs_are_resumed_with_the_weights_they_had(tmp_path: Path) -> None:
    def run(weight: float, steps: int, **settings: Any) -> pf.Solution:
        made = moving("balance", "flux", weights=(1.0, weight))
        return pf.solve(made, pf.Network(layers=[2, 6, 2]), pf.Adam(steps), out=tmp_path, **settings)

    run(10.0, 10)
    resumed = pf.Options(resume=True)
    assert run(10.0, 20, options=resumed).steps == 20
    with pytest.raises(pf.CheckpointError, match=r"terms\.flux\.weight: saved 10\.0, now 2\.0"):
        run(2.0, 20, options=resumed)


@pytest.mark.parametrize("weighting", ["trace-balance", "gradient-norms", "ntk", "residual-attention", "causal"])
def test_every_weighting_takes_them(weighting: str) -> None:
    found = pf.solve(moving("balance", "flux"), pf.Network(layers=[2, 6, 2]), pf.Adam(20), weighting=weighting)
    assert all(np.isfinite(list(found.losses.values())))
