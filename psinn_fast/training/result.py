"""What training returns, whatever the optimiser, and what it checks before it starts."""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..kernels import checks
from ..kernels.errors import InputError
from ..kernels.language.regularizer import Regularizer
from ..networks.mlp import PsiMLP, check_network
from ..problem.checks.coverage import coverage
from ..problem.problem import Problem
from ..scaling.natural_scales import natural_losses
from .checkpoint import Snapshot
from .doubts import largest, smaller, trend, unsolved
from .history import History
from .interrupt import Interrupted

if TYPE_CHECKING:
    from .protocol import Optimizer


@dataclass(frozen=True)
class FitResult:
    """``ended``: "done", "time limit", "interrupted" or "stopped" (by a callback); ``status`` says with it what
    speaks against the result.

    ``loss``: the weighted total at the final weights, as it was minimised, without a weight penalty; ``losses`` by term
    (unweighted); ``held_out`` the same at points that training did not see (`HeldOut`), None where there are none.
    ``warnings``: that these are much larger, or that a loss hardly fell; ``notes``: that it was still falling, that
    no step was taken, that the weights ``returned`` are not the last ones, and what is ``loose``: residuals that are
    larger between the points but allow small errors only, what errors Adam's allow.
    ``possible_errors``: by field and unknown coefficient, the relative errors that the residuals left over allow
    (`training.stability`); empty where they are not known, and none of coefficients that are ``pressed``.
    ``unsolved``: by term, its loss where nothing is solved: the largest of training, or of random fields if that is
    more, or for values that are given (`natural_losses`); ``size``: the weighted total of random fields;
    ``least_loss``: ``loss`` with each term's held-out loss where that is smaller.
    ``pressed``: bounds that unknown coefficients are at, which may hide a better value; ``problem_warnings``: what
    was known before training, that the equation is asked for in a part of the domain only (`coverage`), that its points
    miss a source (`unseen_sources`), that it has too few conditions (`missing_conditions`), or that the network has a
    symmetry that the problem breaks (`broken_symmetries`).
    ``net``: the network that was trained; ``snapshot``: where training was, for ``Options(resume=result)``.
    ``stopped_by``: "steps", "seconds", "interrupt", "callback NAME", or what the optimiser found; ``solver``: how it
    solved its equations, in order of first use.
    """

    ended: str
    steps: int
    seconds: float
    loss: float
    losses: dict[str, float]
    coefficients: dict[str, float]
    history: History
    stopped_by: str = "steps"
    solver: str | None = None
    held_out: dict[str, float | None] = field(default_factory=dict)
    held_out_warnings: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    possible_errors: dict[str, float] = field(default_factory=dict)
    unsolved: dict[str, float] = field(default_factory=dict)
    size: float = 0.0
    least_loss: float = math.inf
    pressed: dict[str, float] = field(default_factory=dict)
    problem_warnings: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    net: PsiMLP | None = field(default=None, repr=False)
    snapshot: Snapshot | None = field(default=None, repr=False, compare=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        loss = min(self.loss, self.least_loss)
        doubts = unsolved(self.history, loss, self.losses, self.unsolved, self.size, self.held_out)
        at_bounds = (f"coefficient {name} is at its bound {bound:g}" for name, bound in self.pressed.items())
        return *self.held_out_warnings, *self.problem_warnings, *doubts, *at_bounds

    @property
    def notes(self) -> tuple[str, ...]:
        idle = () if self.steps else ("no step was taken",)
        return *idle, *self.returned, *self.loose, *trend(self.history, self.stopped_by, self.size)

    @property
    def status(self) -> str:
        """``done``, or ``done, but the residual between the points is 1e5 times larger``."""
        doubts = "; ".join([*self.warnings, *self.notes])
        return f"{self.ended}, but {doubts}" if doubts else self.ended


def judged(result: FitResult, problem: Problem, known: tuple[str, ...] = ()) -> FitResult:
    """With what follows from the problem that was trained (`as_trained`); ``known``: from the one that was given."""
    natural = natural_losses(problem)
    found = dict[str, float]()
    terms = zip(problem.conditions, problem.losses_as_given(natural.losses).items(), natural.gives, strict=True)
    for condition, (name, loss), gives in terms:
        if condition.weight:
            found[name] = loss if gives and loss else max(loss, largest(result.history, name))
    pressed = problem.unknowns.pressed(result.coefficients)
    size, known = problem.total_loss(natural.losses), (*coverage(problem), *problem.unseen_sources, *known)
    least = [
        smaller(loss, result.held_out.get(name)) / unit
        for (name, loss), unit in zip(result.losses.items(), problem.loss_units, strict=True)
    ]
    # At a bound no free number moves the coefficient: what its residuals allow is not known there.
    errors = {name: error for name, error in result.possible_errors.items() if name not in pressed}
    return replace(
        result, unsolved=found, size=size, least_loss=problem.total_loss(least), pressed=pressed,
        possible_errors=errors, problem_warnings=known,
    )  # fmt: skip


class TrainingInterrupted(Interrupted):
    """Ctrl-C, SIGTERM or SIGHUP during training; the checkpoint is written.

    ``result`` says how far it came, ``net`` is the network with the weights reached.
    """

    def __init__(self, result: FitResult, net: PsiMLP, number: int = signal.SIGINT) -> None:
        super().__init__(f"training interrupted at step {result.steps}", number)
        self.result, self.net = result, net

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result, self.net, self.signal)


def check_trainable(net: PsiMLP) -> None:
    """
    Raises:
        InputError: theta is frozen, has hooks, or holds NaN or infinite numbers, from which no step leads anywhere.
    """
    if not net.theta.requires_grad:
        raise InputError("net: its theta is frozen, and would be trained all the same; net.requires_grad_() frees it")
    if net.theta._backward_hooks:
        raise InputError("net: its theta has hooks on its gradient, which would be ignored: kernels compute that")
    bad = int((~torch.isfinite(net.theta.detach())).sum())
    if bad:
        raise InputError(
            f"net: {bad} of the {net.theta.numel()} numbers of its theta are NaN or infinite before training; make the "
            "network anew, or load weights that are finite"
        )


def check_fits(problem: Problem, net: object, what: str = "net") -> None:
    """It is one of the library's networks, and has the problem's inputs and outputs."""
    net = check_network(net, what)
    expected = (len(problem.pde.coords), len(problem.pde.fields))
    if (net.structure.n_inputs, net.structure.n_outputs) != expected:
        raise InputError(
            f"{what}: problem {problem.name!r} has {expected[0]} inputs and {expected[1]} outputs, "
            f"the network {net.structure.n_inputs} and {net.structure.n_outputs}"
        )


def check_regularizer(regularizer: Regularizer | None, net: PsiMLP, optimizer: Optimizer) -> None:
    """It has a meaning for the network, and the optimiser takes it."""
    if regularizer is None:
        return
    if not optimizer.takes_penalty:
        raise InputError(
            f"regularizer: {optimizer.name} takes none; a weight penalty is no sum of squared residuals, take "
            "pf.Adam or pf.LBFGS"
        )
    regularizer.check(net.plan)


def time_limit(seconds: object) -> float | None:
    """Seconds >= 0, also infinity; None: no limit."""
    return None if seconds is None else checks.number("seconds", seconds, least=0, infinite=True, other="None or ")


def other_weights(undefined: str | None) -> str:
    """What to do where weights have no finite loss; ``undefined``: which operation has no value, as text."""
    found = f"It has {undefined}. " if undefined else ""
    return f"{found}Look at the residual where it is not defined for every u, or start from other weights (seed)"


def divergence(what: str, failed_at: int, kept: int, path: Path | None, advice: str) -> str:
    """The message of a `DivergedError`."""
    where = f" and in {path}" if path is not None else ""
    return (
        f"training diverged: {what} became NaN or infinite at step {failed_at}; "
        f"the weights of step {kept} are kept in the network{where}. {advice}"
    )
