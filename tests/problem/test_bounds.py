"""Unknown coefficients within bounds, in every optimiser."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import CPU_BACKENDS
from small import decay

from psinn_fast import (
    LBFGS,
    MLP,
    PDE,
    Adam,
    Box,
    Data,
    GaussNewton,
    InputError,
    Network,
    Options,
    Problem,
    Residual,
    Tuning,
    fit,
    get_backend,
    get_problem,
    solve,
)
from psinn_fast.problem.bounds import Unknowns, checked_bounds

INF = math.inf
INTERVALS = [(0.0, INF), (-INF, 2.0), (0.0, 2.0), (-1.0, INF), (-3.0, 0.9)]


def unknowns(interval: tuple[float, float], start: float = 0.5) -> Unknowns:
    return Unknowns({"k": start}, {}, {"k": interval})


@pytest.mark.parametrize("interval", INTERVALS)
def test_free_numbers_and_back(interval: tuple[float, float]) -> None:
    own = unknowns(interval)
    for c in (0.5, 0.1, 0.899, 1e-6):
        (z,) = own.start({"k": c})
        assert own.values([z])["k"] == pytest.approx(c, rel=1e-9)
    # Whatever the step, the coefficient stays strictly inside, also where rounding would put it on the bound.
    for z in (-1e6, -800.0, -40.0, 0.0, 40.0, 700.0):
        assert interval[0] < own.values([z])["k"] < interval[1]


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("interval", INTERVALS)
def test_losses_are_those_of_the_coefficient_and_gradients_those_of_its_free_number(
    interval: tuple[float, float], dtype: torch.dtype, backend: str
) -> None:
    """dL/dz = dL/dc dc/dz, dc/dz by a difference; also far out, where it vanishes but must not be NaN."""
    engine, net = get_backend(backend), MLP([1, 5, 1], seed=1, dtype=dtype)
    free, bound = decay(), decay(bounds={"k": interval})
    tolerance = 1e-4 if dtype == torch.float32 else 1e-7
    for z in (-1.0, 0.25, -60.0, -200.0):
        (c,) = unknowns(interval).values([z]).values()
        wanted, found = (
            engine.loss_and_gradient(
                net.plan,
                net.theta.detach(),
                torch.tensor([value], dtype=dtype),
                problem.terms(dtype),
                problem.weights(dtype),
            )
            for problem, value in ((free, c), (bound, z))
        )
        torch.testing.assert_close(found.losses, wanted.losses, rtol=tolerance, atol=0)
        above, below = (unknowns(interval).values([z + h])["k"] for h in (1e-5, -1e-5))
        slope = wanted.coefficients * (above - below) / 2e-5
        torch.testing.assert_close(found.coefficients, slope, rtol=100 * tolerance, atol=tolerance)


@pytest.mark.trajectory
@pytest.mark.parametrize("bounds", [(0, None), (None, 1), (0, 1.5), (-INF, 1.0), [0.0, INF], np.array([0.0, 3.0])])
def test_adam_finds_the_coefficient_within_bounds(bounds: Any) -> None:
    problem = decay(bounds={"k": bounds})
    net = MLP([1, 6, 1], seed=0, dtype=torch.float64)
    result = fit(problem, net, Adam(1500, 1e-2))
    assert result.coefficients["k"] == pytest.approx(math.log(2), rel=0.02)
    assert result.history["k"][0] == pytest.approx(0.5)
    assert result.history["k"][-1] == result.coefficients["k"]


@pytest.mark.trajectory
@pytest.mark.parametrize("schedule", [Adam(300, 0.1), GaussNewton(60, tuning=Tuning(starts=1))])
@pytest.mark.parametrize("bounds", [(0.1, 0.6), (None, 0.6), (0.0, 0.6)])
def test_a_bound_that_excludes_the_truth_holds(schedule: Any, bounds: Any) -> None:
    """ln 2 is beyond 0.6: the coefficient comes close to the bound and never passes it."""
    result = fit(decay(bounds={"k": bounds}), MLP([1, 6, 1], seed=0, dtype=torch.float64), schedule)
    assert max(result.history["k"]) < 0.6
    assert 0.55 < result.coefficients["k"] < 0.6


@pytest.mark.trajectory
def test_lbfgs_and_warm_starts_stay_within_bounds() -> None:
    problem = decay(bounds={"k": (0, 0.6)})
    net = MLP([1, 6, 1], seed=0, dtype=torch.float64)
    assert fit(problem, net, LBFGS(50)).loss < fit(problem, MLP([1, 6, 1], seed=0, dtype=torch.float64), LBFGS(0)).loss
    found = solve(problem, Network(layers=[1, 6, 1]), [Adam(20), GaussNewton(20)])
    assert 0.5 < found.coefficients["k"] < 0.6
    assert max(found.history["k"]) < 0.6


@pytest.mark.trajectory
def test_resumed_with_bounds(tmp_path: Path) -> None:
    problem = decay(bounds={"k": (0, 2)})
    whole = solve(problem, Network(layers=[1, 4, 1]), Adam(30))
    solve(problem, Network(layers=[1, 4, 1]), Adam(30), seconds=0, out=tmp_path)
    again = solve(problem, Network(layers=[1, 4, 1]), Adam(30), out=tmp_path, options=Options(resume=True))
    assert again.coefficients == whole.coefficients
    assert torch.equal(again.net.theta, whole.net.theta)


def test_adam_starts_at_the_guess_where_the_pde_starts_outside() -> None:
    inverse = replace(get_problem("burgers-inverse"), bounds={"nu": (0, None)})
    net = MLP([2, 3, 1])
    assert fit(get_problem("burgers-inverse"), net, Adam(0)).coefficients == {"nu": 0.0}
    assert fit(inverse, net, Adam(0)).coefficients["nu"] == pytest.approx(0.1, rel=1e-6)
    given = fit(inverse, net, Adam(0), coefficients={"nu": 0.25}).coefficients
    assert given["nu"] == pytest.approx(0.25, rel=1e-6)
    with pytest.raises(InputError, match="bounds: nu starts at -1, expected a start strictly between 0 and inf"):
        fit(inverse, net, Adam(0), coefficients={"nu": -1.0})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bounds": {"nu": (0, 1)}}, r"bounds: the unknown coefficients are \['k'\], got 'nu'"),
        ({"bounds": {"k": (1, 0)}}, r"bounds: k: expected low < high, got \(1, 0\)"),
        ({"bounds": {"k": (1, 1)}}, r"bounds: k: expected low < high, got \(1, 1\)"),
        ({"bounds": {"k": (INF, None)}}, "bounds: k: expected low < high"),
        ({"bounds": {"k": (math.nan, 1)}}, "bounds: k: low: expected None or a number, got nan"),
        ({"bounds": {"k": ("0", 1)}}, "bounds: k: low: expected None or a number, got '0'"),
        ({"bounds": {"k": (0, True)}}, "bounds: k: high: expected None or a number, got True"),
        ({"bounds": {"k": (0, 1j)}}, "bounds: k: high: expected None or a number, got 1j"),
        ({"bounds": {"k": (None, None)}}, "bounds: k: expected at least one bound that is finite"),
        ({"bounds": {"k": (-INF, INF)}}, "bounds: k: expected at least one bound that is finite"),
        ({"bounds": {"k": 1.0}}, r"bounds: k: expected \(low, high\), None for no bound, got 1.0"),
        ({"bounds": {"k": (0, 1, 2)}}, r"bounds: k: expected \(low, high\)"),
        ({"bounds": [(0, 1)]}, "bounds: expected a mapping such as"),
        ({"bounds": {"k": (0.5, 1)}}, "bounds: k starts at 0.5, expected a start strictly between 0.5 and 1"),
        ({"bounds": {"k": (None, 0.4)}}, "bounds: k starts at 0.5, expected a start strictly between -inf and 0.4"),
        ({"bounds": {"k": (0, 1)}, "guess": {"k": 2.0}}, "bounds: k starts at 2, expected a start strictly between"),
        ({"bounds": {"k": (0, 0.6)}, "true_coefficients": {"k": math.log(2)}}, "bounds: k: its true value 0.693"),
    ],
)
def test_bounds_that_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        decay(**settings)


def test_bounds_are_copied() -> None:
    given: dict[str, Any] = {"k": [0, None]}
    problem = decay(bounds=given)
    given["k"][0] = 0.6
    assert problem.bounds == {"k": (0.0, INF)}


@pytest.mark.parametrize(
    ("bounds", "value", "expected"),
    [
        ((0, 0.2), math.nextafter(0.2, 0), 0.2),
        ((0, 0.2), 0.1999, 0.2),
        ((0, 0.2), 0.199, None),
        ((0, 0.2), 1e-4, None),  # small is not pressed
        ((0, 0.2), 1e-12, 0),
        ((0, None), 1e-4, None),
        ((0, None), 1e-12, 0),
        ((None, -3), -3.0005, -3),
        ((None, -3), -3.1, None),
        ((100, 100.001), 100.0005, None),
        ((100, 100.001), 100.000999999, 100.001),
        (None, 0.0, None),
    ],
)
def test_coefficients_at_their_bounds(bounds: Any, value: float, expected: float | None) -> None:
    start = {(None, -3): -4.0, (100, 100.001): 100.0003}.get(bounds, 0.1)
    unknowns = Unknowns({"a": start}, {}, checked_bounds({} if bounds is None else {"a": bounds}, ["a"]))
    assert unknowns.pressed({"a": value}) == ({} if expected is None else {"a": expected})


@pytest.mark.trajectory
def test_a_coefficient_pressed_against_its_bound_is_said() -> None:
    """u = exp(-0.3 t): a = 0.3 is forbidden."""
    line = Box(t=(0, 1))
    pde = PDE("t", "u", lambda u, a: u.t + a * u, unknown={"a": 0.1})
    data = Data(line.grid(20), u=lambda t: np.exp(-0.3 * t))
    for high, warns in ((0.2, True), (0.5, False)):
        problem = Problem("decay", pde, line, [Residual(line.grid(50)), data], bounds={"a": (0, high)})
        solution = solve(problem, Network(layers=[1, 8, 1]), GaussNewton(60))
        assert ("coefficient a is at its bound 0.2" in solution.status) == warns
        # No free number moves a coefficient at its bound, which is no sign of how accurate it is.
        assert solution.possible_errors.keys() == ({"u"} if warns else {"u", "a"})
        assert warns or solution.coefficients["a"] == pytest.approx(0.3, rel=1e-3)
