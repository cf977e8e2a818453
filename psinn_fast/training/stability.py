"""How far from the solution a network can be, whose residuals are as small as they are.

To first order a change v of the unknowns changes the residuals by J v and the fields by G v. The largest change of a
field that the residuals left over can hide is

    max over v of |G v|   where   sum over terms of (mean over points of |J_t v|^2) / loss_t <= 1,

|G v| the root mean square over that of the field about its start (293 K). It is the problem's stability constant times
the residuals: about their size for an elliptic problem, exponentially larger in time where small perturbations grow,
infinite where nothing determines a field. What an unknown coefficient can change by is found in the same way. Errors of
measurements are independent: of N of them, it is the sum that stays below their loss.

The changes are those of the network's own weights and, at the end of training, those of another network of its
structure: what a small network cannot reach, such as sin(pi x) in u'' + pi^2 u = 0, may be a solution all the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..kernels import or_reference
from ..kernels.contract import Backend, Term
from ..kernels.network.plan import Plan
from ..networks.mlp import PsiMLP
from ..networks.structure import Structure
from ..problem.conditions import DATA, Dirichlet
from ..problem.problem import Problem
from ..scaling.natural_scales import Scales, natural_scales
from .abort import Aborted, abortable
from .contradictions import Without, contested
from .points.held_out import HeldOut
from .residuals import Residuals

# More unknowns would take seconds: of those so many are changed.
MOST_UNKNOWNS, CHANGED = 2_000, 1_000
# The weights of the random network beside it, and by how much they are larger than usual: functions far from linear.
# Of 1 to 6 times, 2 came nearest to both sin(pi x) and sin(pi x) sin(pi y).
CHANGED_BESIDE, _NONLINEAR = 400, 2.0
# So many points of a term, fewer where points times changed unknowns squared, or times all, are more than this; for the
# wider space at the end no more than so many for each unknown.
_POINTS, _PER_UNKNOWN, _WORK, _NUMBERS = 16_384, 8, 1.5e10, 4e8
# Terms of no more points are not divided.
_FEW = 64
# Points at which fields are compared, and the directions that are tried at other points.
_FIELD_POINTS, _DIRECTIONS = 1_024, 64
# Changes found at the first points may be thin ones, which others do not confirm. Those of a coefficient are therefore
# sought with the weights held back as well: |J v|^2 + (a part of J's longest column times |v|)^2 <= 1, by these parts.
_HELD_BACK = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# A field of a smaller part of its natural size than one over this is zero, which no error can be relative to; a
# coefficient, which is more often small.
_ORDINARY, _UNUSUAL = 30.0, 100.0
# By which c(z) is differentiated.
_STEP = 1e-6
# What is shorter than this part of J's longest column is rounding; so are losses below that part of 1.
_ROUNDING, _SMALLEST = 1e-13, 1e-28


class Allowed(NamedTuple):
    """``errors``: by field and unknown coefficient. ``contested``: see `contested`."""

    errors: dict[str, float]
    contested: dict[str, float]


def possible_errors(
    problem: Problem, engine: Backend, plan: Plan, x: Tensor, terms: Sequence[Term], structure: Structure | None = None
) -> dict[str, float] | None:
    """By field and unknown coefficient: the relative error (root mean square) that its residuals allow.

    ``terms``: at points that represent the problem (`HeldOut.or_own`). J is taken at half of them; changes that it
    finds are measured at the other half, too, as thin ones fit between points. Of more than 2,000 unknowns 1,000
    random ones change, which are nearly as free. ``structure``: so do about 400 weights of a random network of that
    one, beside it. None: residuals that are not finite.
    """
    return _hidden_and_changes(problem, engine, plan, x, terms, structure, False)[0]


def _hidden_and_changes(
    problem: Problem,
    engine: Backend,
    plan: Plan,
    x: Tensor,
    terms: Sequence[Term],
    structure: Structure | None,
    with_changes: bool,
) -> tuple[dict[str, float] | None, dict[str, dict[str, float]]]:
    """`possible_errors`, and if asked for, by the same names and by condition, `Without.moves`."""
    # What is trained in float32 is judged in float64, and beside it is a network of another width.
    engine = or_reference(engine)
    own = _Own(engine, plan, x, len(problem.pde.unknown))
    spaces: list[_Own | _Beside] = [own]
    if structure is not None:
        spaces.append(_Beside(engine, plan, x, len(problem.pde.unknown), structure))
    n, most = sum(space.size for space in spaces), max(space.n_unknowns for space in spaces)
    points = _POINTS if structure is None else min(_POINTS, _PER_UNKNOWN * n)
    share = min(points, _WORK / n**2, _NUMBERS / most) / max(term.n_rows for term in terms)
    halves = [_halves(term, share) for term in terms]
    residuals = Residuals(engine, plan, [], [])
    # Of all points: a few of them may have nearly all of it.
    losses = [float(residuals.of_term(term, x).square().sum(1).mean()) for term in terms]
    if not all(map(math.isfinite, losses)):
        return None, {}
    weights = [
        (term.n_points if condition.kind == DATA else 1) / max(loss, _SMALLEST) if condition.weight else 0.0
        for condition, loss, term in zip(problem.conditions, losses, terms, strict=True)
    ]
    first, second = zip(*halves, strict=True)
    # Of terms that weigh nothing there are no rows.
    blocks = [
        torch.cat([torch.cat([*space.rows([term], [1.0])]) for space in spaces], 1) if weight else x.new_empty(0, n)
        for term, weight in zip(first, weights, strict=True)
    ]
    jacobian = torch.cat([math.sqrt(weight) * rows for weight, rows in zip(weights, blocks, strict=True) if weight])
    longest = float(jacobian.square().sum(0).max().sqrt())
    if not math.isfinite(longest):
        return None, {}
    floor = max(_ROUNDING * longest, _SMALLEST)
    without = None
    if with_changes:
        blocks = [rows[:, : own.size] for rows in blocks]
        without = Without(problem, first, blocks, [own.vector(term) for term in first], losses)
    triangle = torch.linalg.qr(torch.cat([jacobian, floor * torch.eye(n).to(jacobian)]), mode="r").R
    steady = _steady(triangle, [own.size - len(own.free) + i for i in range(len(own.free))], longest)
    found, moved = dict[str, float](), dict[str, dict[str, float]]()
    for name, changes in _changes(problem, spaces, terms):
        # The changes that are largest where |J v| = 1 at the first points; of their span, the largest at all points.
        _, _, best = torch.linalg.svd(
            torch.linalg.solve_triangular(triangle, changes, upper=True, left=False), full_matrices=False
        )
        best = best[:_DIRECTIONS].T
        if name not in problem.pde.fields:
            best = torch.linalg.qr(torch.cat([triangle @ steady, best], 1)).Q
        v = torch.linalg.solve_triangular(triangle, best, upper=True)
        parts = zip(spaces, v.split([space.size for space in spaces]), strict=True)
        by_space = [torch.cat([rows @ part for rows in space.rows(second, weights)]) for space, part in parts]
        seen = torch.stack(by_space).sum(0)
        # By eigenvalues: where a few points leave nearly everything free, rounding makes some of them negative.
        values, q = torch.linalg.eigh(seen.T @ seen)
        found[name] = float(torch.linalg.matrix_norm(changes @ v @ q / ((values.clamp_min(0) + 1) / 2).sqrt(), 2))
        moved[name] = {} if without is None else dict(without.moves(changes[:, : own.size], found[name]))
    return found, moved


def errors_allowed(
    problem: Problem,
    engine: Backend,
    net: PsiMLP,
    x: Tensor,
    unseen: HeldOut,
    own: Sequence[Term],
    is_interrupted: Callable[[], bool],
) -> Allowed:
    """`possible_errors` by the residuals at unseen points, among functions beside the network's, too, and as far as
    the fields would go if a condition were given up; nothing where they are not known, or nobody wants to wait."""
    if is_interrupted():
        return Allowed({}, {})
    try:
        with abortable(is_interrupted):
            hidden, moved = _hidden_and_changes(
                problem, engine, net.plan, x, unseen.or_own(own), net.structure, with_changes=True
            )
    except Aborted:
        return Allowed({}, {})
    errors = {name: error + max(moved[name].values(), default=0.0) for name, error in (hidden or {}).items()}
    return Allowed(errors, contested(moved))


def _steady(triangle: Tensor, chosen: Sequence[int], longest: float) -> Tensor:
    """(n, changes): each coefficient alone, then what moves it furthest where weights are held back by h, from much to
    little, (J^T J + h^2)^-1 e. The one change that is largest at the first points alone would not do: where it is a
    thin one, it is nearly none at all points, though the coefficient by itself may move much further."""
    eye = torch.eye(len(triangle)).to(triangle)
    alone, gram = eye[:, list(chosen)], triangle.T @ triangle
    changes = [alone]
    for part in _HELD_BACK if chosen else ():
        held = torch.linalg.cholesky(gram + (part * longest) ** 2 * eye)
        changes.append(torch.cholesky_solve(alone, held))
    found = torch.cat(changes, 1)
    return torch.div(found, torch.linalg.vector_norm(found, dim=0))


class _Own:
    """Changes of the network's weights and of the unknown coefficients."""

    def __init__(self, engine: Backend, plan: Plan, x: Tensor, n_coefficients: int) -> None:
        self._engine, self._plan, self.x = engine, plan, x
        self.chosen = chosen_unknowns(x.numel(), n_coefficients, CHANGED, MOST_UNKNOWNS).to(x.device)
        self.size, self.n_unknowns = self.chosen.numel(), x.numel()
        self.free = x[x.numel() - n_coefficients :]

    def vector(self, term: Term) -> Tensor:
        return Residuals(self._engine, self._plan, [term], [1.0]).vector(self.x)

    def rows(self, terms: Sequence[Term], weights: Sequence[float]) -> Iterator[Tensor]:
        """J (rows, size)."""
        for _, rows in Residuals(self._engine, self._plan, terms, weights).chunks(self.x):
            yield rows[:, self.chosen]


class _Beside:
    """Changes w of the fields, w those of a random network by its weights; J w = sum_j dr/djet_j (jet_j of w)."""

    def __init__(self, engine: Backend, plan: Plan, x: Tensor, n_coefficients: int, structure: Structure) -> None:
        self._engine, self._own, self._x = engine, Residuals(engine, plan, [], []), x
        structure = structure.without_slopes
        width, sizes = 1, [structure.with_width(k).n_parameters for k in (1, 2)]
        while sizes[-2] < sizes[-1] <= CHANGED_BESIDE:
            width += 1
            sizes.append(structure.with_width(width + 1).n_parameters)
        net = PsiMLP(structure, width, seed=0, dtype=x.dtype, device=x.device)
        self._plan = net.plan
        theta, n_ahead = net.theta.detach(), len(structure.ahead)
        self._y = torch.cat([theta[:n_ahead], _NONLINEAR * theta[n_ahead:], x[x.numel() - n_coefficients :]])
        self._chosen = chosen_unknowns(net.theta.numel(), 0, CHANGED_BESIDE, CHANGED_BESIDE).to(x.device)
        self.size, self.n_unknowns = self._chosen.numel(), self._y.numel()

    def rows(self, terms: Sequence[Term], weights: Sequence[float]) -> Iterator[Tensor]:
        """J (rows, size)."""
        linear = [self._own.linearised(term, self._x) for term in terms]
        for _, rows in Residuals(self._engine, self._plan, linear, weights).chunks(self._y):
            yield rows[:, self._chosen]


def chosen_unknowns(n: int, n_coefficients: int, some: int, most: int) -> Tensor:
    """Which unknowns change, in order: ``some`` of more than ``most``; the last ones are the coefficients."""
    if n <= most:
        return torch.arange(n)
    n_weights = n - n_coefficients
    weights = np.random.default_rng(0).permutation(n_weights)[: some - n_coefficients]
    return torch.from_numpy(np.sort(np.concatenate([weights, np.arange(n_weights, n)])))


def _changes(problem: Problem, spaces: Sequence[_Own | _Beside], terms: Sequence[Term]) -> Iterator[tuple[str, Tensor]]:
    """(name, G) of every field, relative to its root mean square about its start (293 K), but no less than 1/30 of its
    natural size, and of every unknown coefficient, relative to its value, but no less than `least_sizes`."""
    own, fields, values = spaces[0], problem.pde.fields, _values(problem, terms)
    assert isinstance(own, _Own)
    u = own.vector(values).reshape(-1, len(fields))
    g = torch.cat([torch.cat([*space.rows([values], [1.0])]) for space in spaces], 1)
    g = g.reshape(len(u), len(fields), -1)
    scales = natural_scales(problem)
    for i, name in enumerate(fields):
        size = float((u[:, i] - float(scales.start[i]) / math.sqrt(len(u))).norm())  # rows are divided by it
        yield name, g[:, i] / max(size, float(scales.sizes[i]) / _ORDINARY)
    free, least = own.free, least_sizes(problem, scales)
    for i, (name, value) in enumerate(problem.unknowns.values(free.tolist()).items()):
        size = max(abs(value), least[name])
        if not size:
            continue
        step = torch.zeros_like(free)
        step[i] = _STEP * max(1.0, abs(float(free[i])))
        slope = (problem.unknowns.values((free + step).tolist())[name] - value) / float(step[i])
        change = torch.zeros(1, g.shape[2]).to(g)
        change[0, own.size - len(free) + i] = slope / size
        yield name, change


def least_sizes(problem: Problem, scales: Scales) -> dict[str, float]:
    """By unknown coefficient, below which it is zero, to which no error can be relative: 1/100 of what is known of its
    size, the least of its start, of what its equations ask for, and of bounds on both sides of zero; 0 where bounds are
    on one side, and where nothing is known."""
    unknowns = problem.unknowns
    starts = unknowns.values(unknowns.start(guessed=True))
    found = {}
    for balanced, (name, start) in zip(scales.balanced, starts.items(), strict=True):
        low, high = unknowns.interval(name)
        asked = 0.0 if name in unknowns.bounds else balanced * unknowns.units.get(name, 1.0)
        sizes = [size for size in (abs(start), asked, -low, high) if 0 < size < math.inf]
        found[name] = min(sizes, default=0.0) / _UNUSUAL if low < 0 < high else 0.0
    return found


def _halves(term: Term, share: float) -> tuple[Term, Term]:
    """A share of a term's points, in random order: consecutive ones of a Sobol sequence lie in different halves of a
    box. A term of few points is both halves, and so is an integral."""
    if term.n_rows <= _FEW:
        return term, term
    count = min(term.n_points, max(_FEW, math.ceil(share * term.n_points)))
    order = torch.from_numpy(np.random.default_rng(0).permutation(term.n_points)[:count]).to(term.points.device)
    first, second = (
        replace(term, points=term.points[:, index], columns=term.columns[index]) for index in (order[0::2], order[1::2])
    )
    return first, second


def _values(problem: Problem, terms: Sequence[Term]) -> Term:
    """A term whose residuals are the fields themselves, at some of the points of all others."""
    points = torch.cat([term.points[0] for term in terms]).cpu().numpy()
    chosen = points[np.random.default_rng(0).permutation(len(points))[:_FIELD_POINTS]]
    zero: dict[str, Any] = dict.fromkeys(problem.pde.fields, 0.0)
    condition = Dirichlet(chosen, outside=True, **zero)
    program = condition.traced(problem.pde).program
    columns = np.stack([*condition.columns.values()], 1)
    like = terms[0].points
    return Term("fields", program, like.new_tensor(chosen[None]), like.new_tensor(columns))
