"""One step of Gauss-Newton: which are taken, what becomes of the damping, when there is none."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from small import newton, small_laplace
from torch import Tensor

from psinn_fast import MLP, GaussNewton, PsiMLP, get_problem
from psinn_fast.kernels import get_backend
from psinn_fast.training.doubts import NEGLIGIBLE
from psinn_fast.training.optimisers.marquardt import Failure, Marquardt

GRADIENT = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)


class Identity:
    """r = GRADIENT, J = 1: |r|^2 = 1, and the step is -GRADIENT / (1 + damping)."""

    def __init__(self, diagonal: tuple[float, ...] = (1.0, 1.0, 1.0), square: float = 1.0) -> None:
        self.name, self.square, self.gradient = "identity", square, GRADIENT
        self.diagonal = torch.tensor(diagonal, dtype=torch.float64)
        self.damped: list[float] = []
        self.scale = torch.empty(0)

    def damp(self, damping: float, scale: Tensor) -> None:
        self.damped.append(damping)
        self.scale = scale

    def step(self) -> Tensor:
        return self.solve(-self.gradient)

    def solve(self, right: Tensor) -> Tensor:
        return right / (1 + self.damped[-1])


class Residuals:
    """What is found at the points that are tried."""

    def __init__(self, vector: Callable[[Tensor], Tensor], jacobian: Tensor | None = None) -> None:
        self.vector, self._jacobian = vector, jacobian

    def pull_back(self, x: Tensor, s: Tensor) -> Tensor:
        assert self._jacobian is not None
        return self._jacobian.T @ s


def predicted(damping: float) -> float:
    """1 - |r + J d|^2."""
    return 1 - (damping / (1 + damping)) ** 2


def run_with(residuals: Residuals, damping: float = 1.0, **options: object) -> Marquardt:
    net = MLP([2, 1], seed=0, dtype=torch.float64)
    settings = newton(**{"damping": damping, "acceleration": False, "points": "all", **options})
    run = Marquardt(small_laplace(3), net, settings, get_backend("auto"))
    run.residuals, run.r = residuals, GRADIENT  # type: ignore[assignment]
    return run


def with_gains(*gains: float, damping: float = 1.0) -> Residuals:
    """One trial after the other falls short of, or exceeds, what was predicted for it."""
    left = list(gains)
    state = {"damping": damping, "growth": 2.0}

    def vector(_: Tensor) -> Tensor:
        gain = left.pop(0)
        square = 1 - gain * predicted(state["damping"])
        state["damping"], state["growth"] = state["damping"] * state["growth"], state["growth"] * 2
        return torch.tensor([square, 0.0], dtype=torch.float64).sqrt()

    return Residuals(vector)


@pytest.mark.parametrize(
    ("gain", "factor"),
    [(1.0, 1 / 3), (1.2, 1 / 3), (0.9, 1 - 0.8**3), (0.5, 1.0), (0.25, 1 + 0.5**3), (1e-3, 1 + 0.998**3)],
)
def test_the_damping_follows_the_gain(gain: float, factor: float) -> None:
    """Nielsen's rule, max(1/3, 1 - (2 gain - 1)^3)."""
    run, equations = run_with(with_gains(gain)), Identity()
    before = run.x.clone()
    assert run.advance(equations) is None
    assert run.damping == pytest.approx(factor, rel=1e-9)
    assert torch.allclose(run.x, before - GRADIENT / 2, rtol=1e-14)
    assert run.step == 1
    assert float(run.r @ run.r) == pytest.approx(1 - gain * predicted(1.0))
    assert run.solvers == ["identity"]


@pytest.mark.parametrize("bad", [0.0, -1e-9, -0.4, -3.0, math.nan, -math.inf])
def test_steps_that_do_not_lower_the_loss_are_refused(bad: float) -> None:
    """And are tried again with the damping grown by 2, 4, 8; after a success growth starts anew."""
    run, equations = run_with(with_gains(bad, bad, bad, 0.5)), Identity()
    before = run.x.clone()
    assert run.advance(equations) is None
    assert equations.damped == [1.0, 2.0, 8.0, 64.0]
    assert run.damping == pytest.approx(64.0)
    assert torch.allclose(run.x, before - GRADIENT / 65, rtol=1e-14)
    run.residuals = with_gains(bad, 0.5, damping=64.0)  # type: ignore[assignment]
    equations = Identity()
    assert run.advance(equations) is None
    assert equations.damped == pytest.approx([64.0, 128.0])
    assert run.step == 2


def test_no_descent_leaves_everything_as_it_was() -> None:
    run, equations = run_with(with_gains(*[-1e-3] * 40), step_tolerance=0.0), Identity()
    before = run.x.clone()
    assert run.advance(equations) == "no descent"
    assert torch.equal(run.x, before)
    assert torch.equal(run.r, GRADIENT)
    assert run.step == 0
    # 2^(k (k + 1) / 2), until it is beyond 1e30.
    assert equations.damped == [2.0 ** (k * (k + 1) // 2) for k in range(len(equations.damped))]
    assert equations.damped[-1] < 1e30 < run.damping


def test_the_damping_has_a_floor() -> None:
    run = run_with(with_gains(1.0, damping=2e-30), damping=2e-30)
    assert run.advance(Identity()) is None
    assert run.damping == 1e-30


def test_columns_are_damped_by_the_longest_that_they_have_been() -> None:
    run = run_with(with_gains(0.5))
    first, second = Identity((4.0, 1.0, 0.0)), Identity((1.0, 9.0, 0.0))
    for equations in (first, second):
        run.residuals = with_gains(0.5, 0.5)  # type: ignore[assignment]
        assert run.advance(equations) is None
    assert first.scale.tolist() == [4.0, 1.0, 4e-12]  # a column of zeros is damped as well
    assert second.scale.tolist() == [4.0, 9.0, 9e-12]


@pytest.mark.parametrize(
    ("options", "square", "reason"),
    [
        ({"loss_target": 1.0}, 1.0, "loss target"),
        ({"loss_target": 0.999}, 1.0, None),
        # The largest cosine between a column and r is 0.8.
        ({"gradient_tolerance": 0.8000001}, 1.0, "gradient"),
        ({"gradient_tolerance": 0.7999999}, 1.0, None),
        # 0.8 / 4.
        ({"gradient_tolerance": 0.2000001}, 16.0, "gradient"),
        ({"gradient_tolerance": 0.1999999}, 16.0, None),
    ],
)
def test_reasons_to_stop(options: dict[str, float], square: float, reason: str | None) -> None:
    run = run_with(with_gains(0.5), **options)
    assert run.advance(Identity(square=square)) == reason
    assert run.step == (reason is None)


def test_columns_of_zeros_are_a_vanishing_gradient() -> None:
    run = run_with(with_gains(0.5))
    assert run.advance(Identity((0.0, 0.0, 0.0))) == "gradient"


def test_a_step_is_short_relative_to_the_parameters() -> None:
    """|d| = 1/2, |x| = 10, both in the scale of the columns."""
    for tolerance, reason in ((0.0500001, "step"), (0.0499999, None)):
        run = run_with(with_gains(0.5), step_tolerance=tolerance)
        run.x = torch.tensor([6.0, 0.0, 8.0], dtype=torch.float64)
        assert run.advance(Identity()) == reason
    run = run_with(with_gains(0.5), step_tolerance=0.04)
    run.x = torch.tensor([0.0, 10.0, 0.0], dtype=torch.float64)
    # The second column is longer, and x lies along it: |x| counts three times as much.
    assert run.advance(Identity((1.0, 9.0, 1.0))) == "step"


def curved(curvature: float, jacobian: Tensor) -> Callable[[Tensor], Tensor]:
    """r along d from r0: r0 + J d + curvature (1, ..., 1) |d|^2."""
    return lambda d: GRADIENT + jacobian @ d + curvature * (d @ d)


@pytest.mark.parametrize(("curvature", "is_trusted"), [(0.1, True), (0.3, True), (3.0, False)])
def test_second_order_along_the_step(curvature: float, is_trusted: bool) -> None:
    """a = -(J^T J + damping)^-1 J^T r'', and the step is d + a / 2; refused where |a| > 3/4 |d|."""
    jacobian = torch.eye(3, dtype=torch.float64)
    run, equations = run_with(Residuals(with_gains().vector), damping=0.5, acceleration=True), Identity()
    origin, r = run.x.clone(), curved(curvature, jacobian)
    run.residuals = Residuals(lambda x: r(x - origin), jacobian)  # type: ignore[assignment]
    assert run.advance(equations) is None
    d = -GRADIENT / 1.5
    a = -2 * curvature * (d @ d) * torch.ones(3, dtype=torch.float64) / 1.5
    assert (float(a.norm()) <= 0.75 * float(d.norm())) is is_trusted
    if is_trusted:
        assert len(equations.damped) == 1
        assert torch.allclose(run.x, origin + d + a / 2, rtol=1e-9)
    else:
        assert len(equations.damped) > 1
    assert float(run.r @ run.r) < 1


def test_an_uphill_step_is_refused_even_where_the_loss_falls() -> None:
    """Equations that rounding errors have spoiled predict a rise; what they give is luck."""
    run, equations = run_with(Residuals(lambda _: GRADIENT / 2), step_tolerance=0.0), Identity()
    equations.gradient = -GRADIENT  # the step is solved from it, and so is downhill; here it is turned round
    equations.step = lambda: -GRADIENT / (1 + equations.damped[-1])  # type: ignore[method-assign]  # others than it has
    before = run.x.clone()
    assert run.advance(equations) == "no descent"
    assert torch.equal(run.x, before)


@pytest.mark.parametrize(("points", "expected"), [("auto", 1000), (7, 7), ("all", 51**2)])
def test_points_that_a_step_sees(points: int | str, expected: int) -> None:
    """By default three for each unknown, but at least 1,000."""
    for layers, by_default in (([2, 4, 1], 1000), ([2, 15, 18, 1], 3 * 352)):
        net = MLP(layers, seed=0, dtype=torch.float64)
        run = Marquardt(small_laplace(51), net, GaussNewton(points=points), get_backend("auto"))
        run.linearise()
        assert run.residuals.terms[0].n_points == (by_default if points == "auto" else expected)


@pytest.mark.parametrize(("points", "share"), [("all", 0.5), (50, 1.0)])
def test_all_points_of_a_symmetric_network_are_one_of_each_orbit(points: int | str, share: float) -> None:
    """Draws need all of them: they are thinned from these."""
    problem = get_problem("laplace")
    assert problem.recipe.structure is not None
    net = PsiMLP(problem.recipe.structure, 2, seed=0, dtype=torch.float64)
    run = Marquardt(problem, net, GaussNewton(points=points), get_backend("auto"))
    assert run.full[0].n_points == pytest.approx(share * 101**2, rel=0.02)


def test_a_loss_at_the_problems_points_that_is_not_finite() -> None:
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    run = Marquardt(small_laplace(3), net, GaussNewton(), get_backend("auto"))
    assert all(math.isfinite(loss) for loss in run.full_losses())
    run.x = run.x * math.nan
    with pytest.raises(Failure, match="term 'residual'"):
        run.full_losses()


@pytest.mark.parametrize(
    ("inside", "edge", "hidden"),
    [
        # More than five times as large as where it was drawn, and larger than the whole loss.
        (5.1, 1.0, 5.1), (4.9, 1.0, None), (4.9, 60.0, 60.0), (100.0, 60.0, 100.0), (math.nan, 1.0, None),
    ],
)  # fmt: skip
def test_what_hides_between_the_points(inside: float, edge: float, hidden: float | None) -> None:
    """The largest term's weighted loss there: of two terms, the boundary's being a tenth of the equation's."""
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    run = Marquardt(small_laplace(51), net, GaussNewton(), get_backend("auto"))
    run.linearise()
    run.step = 3
    here = run.losses
    run.residuals.weights[:] = [2 / here[0], 0.2 / here[1]]
    run.r = run.residuals.vector(run.x)
    others = [inside * here[0], edge * here[1]]
    run.held_out.losses = lambda residual: others  # type: ignore[method-assign]  # others than it has
    expected = 0.0 if hidden is None else max(2 * inside * (inside > 5), 0.2 * edge)
    assert run.watch() == pytest.approx(expected)
    for part, found in ((0.99, expected), (1.01, 0.0)):  # beside the first loss it is nothing
        run.first_loss = part * expected / NEGLIGIBLE
        assert run.watch() == pytest.approx(found)
    run.step, run.first_loss = 0, 1.0  # where the points were drawn
    assert run.watch() == 0


@pytest.mark.parametrize("hidden", [0.0, 0.1])
def test_a_run_without_a_step_goes_on_from_other_points_where_it_has_adapted_to_its_own(hidden: float) -> None:
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    run = Marquardt(small_laplace(51), net, GaussNewton(), get_backend("auto"))
    run.linearise()
    points, run.step = run.residuals.terms[0].points, 3
    run.watch = lambda: hidden  # type: ignore[method-assign]  # others than it has
    assert run.renew() is (hidden > 0)
    assert (run.residuals.terms[0].points is points) is (hidden == 0)


@pytest.mark.parametrize("state", ["new", "started", "failed"])
def test_what_is_saved_is_expected(state: str) -> None:
    """Before anything was looked at, on points drawn, and after a step that left NaN behind."""
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    run = Marquardt(small_laplace(51), net, GaussNewton(), get_backend("auto"))
    if state != "new":
        run.linearise()
    if state == "failed":
        run.r, run._scale = run.r * math.nan, run._scale * math.inf
    (tensors, _), expected = run.saved(), run.expected_tensors
    assert ("points.0" in tensors) is (state != "new")
    assert {name for name, what in expected.items() if not what.optional} <= tensors.keys() <= expected.keys()
    for name, tensor in tensors.items():
        what = expected[name]
        assert tensor.dtype == what.dtype
        assert [n for n, m in zip(tensor.shape, what.shape, strict=True) if m not in (None, n)] == []
        assert not what.finite or bool(torch.isfinite(tensor).all())


def test_the_end_of_a_run_that_did_nothing_has_a_loss() -> None:
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    run = Marquardt(small_laplace(51), net, GaussNewton(), get_backend("auto"))
    assert run.settle().drawn == run.loss > 0


def test_the_end_is_judged_where_it_is() -> None:
    """Not where the held-out points were looked at last."""
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    run = Marquardt(small_laplace(51), net, GaussNewton(), get_backend("auto"))
    assert run.advance(run.linearise()) is None
    last = run.settle()
    assert last.step == run.latest.step == 1
    assert last.x is run.x
    assert last.drawn == run.loss


def test_a_draw_gets_more_points_where_much_hides_beside_the_first_loss() -> None:
    net = MLP([2, 4, 1], seed=0, dtype=torch.float64)
    run = Marquardt(small_laplace(51), net, GaussNewton(), get_backend("auto"))
    run.linearise()
    run.first_loss = 100.0
    refined = []
    for hidden in (0.9e-4, 1.1e-4):
        run._draw(hidden)
        refined.append(run._sampler.refinement)
    assert refined == [0, 1]
