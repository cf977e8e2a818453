"""Optimisers by name, and several of them in sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from ...kernels.errors import InputError, short
from ...problem.problem import Problem
from ..checks import check_optimizer
from ..protocol import Optimizer
from .adam import Adam
from .gauss_newton import GaussNewton
from .lbfgs import LBFGS
from .ss_broyden import SSBroyden
from .torch_optimizer import TorchOptimizer

# Adam's steps before Gauss-Newton, if not said otherwise.
WARMUP = 1_000
AUTO = "auto"
OPTIMIZERS = ("adam", "gauss-newton", "adam+gauss-newton", "lbfgs", "ssbroyden")
_LR = 1e-3


def chosen_optimizers(
    optimizer: Optimizer | str | Sequence[Optimizer | str], problem: Problem, seed: int = 0
) -> tuple[Optimizer, ...]:
    """Optimisers as they are run, one after the other: what they leave open is filled in.

    Args:
        optimizer: a name, settings, or several of them.
        problem: its recipe gives Adam's steps and rate.
        seed: of what optimisers given by name draw.

    Raises:
        InputError: none at all, something that is no optimiser, or settings that `check_optimizer` refuses.
    """
    # What is no optimiser is refused below.
    given: list[Optimizer | str] = [*optimizer] if isinstance(optimizer, (list, tuple)) else [optimizer]  # type: ignore[list-item]
    if not given:
        raise InputError("optimizer: expected at least one, e.g. [pf.Adam(1_000), pf.GaussNewton()], got an empty list")
    found = tuple(_filled(one, problem) for one in chain.from_iterable(_named(one, seed) for one in given))
    for one in found:
        check_optimizer(one, problem)
    return found


def _named(given: Optimizer | str, seed: int) -> list[Optimizer]:
    newton = GaussNewton(seed=seed)
    named: dict[str, list[Optimizer]] = {
        "adam": [Adam()],
        "gauss-newton": [newton],
        "adam+gauss-newton": [Adam(WARMUP), newton],
        "lbfgs": [LBFGS()],
        "ssbroyden": [SSBroyden()],
    }
    if isinstance(given, str) and given in named:
        return named[given]
    if given == AUTO:
        raise InputError(
            f"optimizer: {AUTO!r} chooses for solve alone, by itself; name the optimisers here, e.g. 'gauss-newton'"
        )
    if not isinstance(given, Optimizer):
        raise InputError(
            f"optimizer: expected one of {list(OPTIMIZERS)}, for solve also {AUTO!r}, settings such as pf.Adam(1_000), "
            f"pf.GaussNewton(), pf.TorchOptimizer(torch.optim.AdamW, 1_000), or a list of them, got {short(given)}"
        )
    return [given]


def _filled(given: Optimizer, problem: Problem) -> Optimizer:
    if isinstance(given, Adam):
        steps = problem.recipe.steps if given.steps is None else given.steps
        return replace(given, steps=steps, lr=problem.recipe.lr if given.lr is None else given.lr)
    if isinstance(given, TorchOptimizer):
        given.check(bool(problem.pde.unknown))  # not after those before it have trained
    return given
