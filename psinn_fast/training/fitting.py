"""`fit`: train a network on a problem by one optimiser, or by one after the other."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ..fusing.fused import Fused
from ..kernels import get_backend
from ..kernels.compiling import told_of_compiling
from ..kernels.errors import InputError
from ..networks.mlp import PsiMLP
from ..problem.checks.factors import fields_as_factors
from ..problem.checks.settings import check_coefficients
from ..problem.checks.trivial_solution import trivial_solution
from ..problem.conditions import EQUATION
from ..problem.problem import Problem
from ..problems import as_problem
from ..scaling.natural_units import as_trained
from ..storage.files import as_path
from ..symmetries.imposed import lost_symmetries
from .callbacks import Callbacks
from .checks import (
    check_fits,
    check_meets,
    check_regularizer,
    check_trainable,
    check_weighting,
    time_limit,
    training_precision,
)
from .earlier_run import check_replaceable
from .exact_terms import is_lifted, is_zero_somewhere, terms_that_hold, without
from .foreseen import foreseen
from .judging import judged
from .optimisers.adam import Adam
from .optimisers.named import chosen_optimizers
from .options import Options, chosen_options
from .progress import say_that_it_compiles
from .protocol import Optimizer
from .result import EXACT, FitResult, TrainingInterrupted, give
from .trainer import Trainer
from .weighting import Weighting, chosen_weighting
from .weighting.weighed import check_columns


def fit(
    problem: Problem | str | Fused,
    net: PsiMLP | Optimizer | str | Sequence[Optimizer] | None = None,
    optimizer: Optimizer | str | Sequence[Optimizer] | None = None,
    *,
    coefficients: Mapping[str, float] | None = None,
    seconds: float | None = None,
    checkpoint: str | Path | None = None,
    weighting: Weighting | str | None = None,
    options: Options | None = None,
) -> FitResult:
    """Train ``net.theta`` and the problem's unknown coefficients; ``net`` is changed in place.

    Args:
        problem: a `Problem` or the name of a built-in one, or a loss of your own from `fuse`; gives the loss terms, in
            the network's dtype and on its device; of points that the network's symmetry makes equal only one is
            computed (`one_point_per_orbit`), and once the network has adapted to its points, others are taken
            (`Redraw`).
        net: a network with the problem's inputs and outputs. A fused loss has its own: leave it out there,
            ``fit(fused, pf.Adam(5_000))``; the coefficients found are then written into their tensors, too.
        optimizer: ``"adam"`` (None as well), ``"gauss-newton"``, ``"adam+gauss-newton"``, ``"lbfgs"``,
            ``"ssbroyden"``; settings: `Adam`, `LBFGS`, `SSBroyden`, `GaussNewton`, `TorchOptimizer`; or several of
            these, each of which starts where the one before it ended.
        coefficients: where the unknown ones start; None: where the problem says.
        seconds: stop after this time (looked at every 0.2 s, or between steps of Gauss-Newton).
        checkpoint: file written at the start, every 30 s, at the end, on Ctrl-C and before an error is raised. That of
            an earlier run which is not resumed is kept beside it (``run.earlier.safetensors`` of ``run.safetensors``),
            with a `CheckpointWarning`; of several such the longest.
        weighting: what the terms of the loss weigh as training goes on (docs/weightings.md), in all optimisers:
            ``"fixed"``, ``"trace-balance"``, ``"gradient-norms"``, ``"ntk"``, ``"residual-attention"``,
            ``"self-adaptive"``, ``"causal"``, or settings: ``pf.GradientNorms(every=50)``. None: the conditions' own
            weights, which Gauss-Newton balances (`GaussNewton`).
        options: how it is trained, the same for all optimisers (`Options`).

    Raises:
        InputError: a network that does not fit the problem, or one of float32, where that is too coarse for it; an
            option out of range or without effect; a weighting that an optimiser or the problem does not allow; a
            ``checkpoint`` that would replace a file which is none.
        CheckpointError: the checkpoint cannot be read or written, or is of another run.
        DivergedError: a loss or gradient became NaN or infinite; net and checkpoint hold the last good weights.
        CallbackError: a callback raised an exception, or returned what it must not.
        TrainingError: any other exception during training, its cause: of an optimiser or weighting of your own.
            Whichever of these ends training, net, checkpoint and ``error.result`` hold what was reached. So they do
            where SystemExit ends it, or anything else that is no `Exception`.
        TrainingInterrupted: on Ctrl-C, at most a moment later; net and checkpoint hold the weights reached.
    """
    options = chosen_options(options)
    if isinstance(problem, Fused):
        return _fitted(problem, net, optimizer, coefficients, time_limit(seconds), checkpoint, weighting, options)
    problem = as_problem(problem)
    if net is None:
        raise InputError("net: expected a PsiMLP or MLP, got None; build_network(problem, ...) makes one")
    check_meets(problem, net)
    optimizer = "adam" if optimizer is None else optimizer
    # What else it may be is refused there.
    return trained(
        problem, cast(PsiMLP, net), optimizer, coefficients, time_limit(seconds), checkpoint, weighting, options
    )


def _fitted(
    fused: Fused,
    net: object,
    optimizer: Optimizer | str | Sequence[Optimizer] | None,
    coefficients: Mapping[str, float] | None,
    seconds: float | None,
    checkpoint: str | Path | None,
    weighting: Weighting | str | None,
    options: Options,
) -> FitResult:
    """`fit` of a loss as it was given, in no other units."""
    if optimizer is None and not isinstance(net, PsiMLP):
        net, optimizer = None, cast("Optimizer | str | Sequence[Optimizer] | None", net)
    if net is not None and net is not fused.net:
        raise InputError("net: a fused loss is of the network that it was fused for; leave it out")
    start = fused.start() if coefficients is None else coefficients
    options = replace(options, scaling=None)
    try:
        result = trained(
            fused.problem, fused.net, "adam" if optimizer is None else optimizer, start or None, seconds, checkpoint,
            weighting, options,
        )  # fmt: skip
    except BaseException as error:  # Ctrl-C as well
        if isinstance(reached := getattr(error, "result", None), FitResult):
            fused.set_coefficients(reached.coefficients)
            reached.on(None)
        raise
    fused.set_coefficients(result.coefficients)
    return result.on(None)  # that of the problem is made of the loss's points


def trained(
    problem: Problem,
    net: PsiMLP,
    optimizer: Optimizer | str | Sequence[Optimizer],
    coefficients: Mapping[str, float] | None,
    seconds: float | None,
    checkpoint: str | Path | None,
    weighting: Weighting | str | None,
    options: Options,
    identity: Mapping[str, Any] | None = None,
    title: str | None = None,
    asks_errors: bool = True,
) -> FitResult:
    """`fit`. ``identity``: what a checkpoint must agree in beside the rest; ``title``: of the progress bar;
    ``asks_errors``: see `Trainer`."""
    check_fits(problem, net)
    check_trainable(net)
    optimizers = chosen_optimizers(optimizer, problem)
    for one in optimizers:
        check_regularizer(options.regularizer, net, one)
    precision = training_precision(options.precision, net, optimizers)
    chosen = chosen_weighting(weighting)
    if chosen is not None:
        check_weighting(chosen)
        check_columns(problem)
        optimizers = tuple(one.weighed_by(chosen) for one in optimizers)
    if coefficients is not None:
        coefficients = check_coefficients("coefficients", coefficients, tuple(problem.pde.unknown))
    if options.resume is True and checkpoint is None:
        raise InputError("resume: needs the file to continue from (checkpoint)")
    if options.resume is True and checkpoint is not None and not as_path("checkpoint", checkpoint).exists():
        raise no_checkpoint(checkpoint)
    if options.resume is not True and checkpoint is not None:
        check_replaceable(as_path("checkpoint", checkpoint))
    held = terms_that_hold(problem, net)
    known = foreseen(problem, net, held)
    is_free = not is_lifted(net.structure, problem.domain)
    known += fields_as_factors(problem) if is_free else ()
    problem = as_trained(problem, net, options.scaling)
    if is_free:
        known += trivial_solution(problem)
    problem = without(problem, held)
    has_conditions = any(condition.kind != EQUATION for condition in problem.conditions)
    if net.structure.ansatz is not None and has_conditions and not (held or is_zero_somewhere(net.structure, problem)):
        known += ("no condition holds by the ansatz: is d zero where they are?",)
    notes: tuple[str, ...] = (f"{EXACT}{', '.join(held)}",) if held else ()
    notes += lost_symmetries(problem, net.structure)
    if isinstance(optimizers[0], Adam):
        for name, natural in problem.unknowns.far(coefficients).items():
            warnings.warn(
                f"coefficients: {name} starts far from its natural size, near {abs(natural):g}, which is farther than "
                "Adam can go; start it nearer, or use Gauss-Newton",
                stacklevel=3,
            )
    engine = get_backend(options.backend, net.theta.device, precision)
    callbacks = Callbacks(options.callbacks)  # type: ignore[arg-type]  # a tuple, since it was checked
    trainer = Trainer(
        problem, net, optimizers, engine, options.backend, coefficients, options.regularizer, seconds, checkpoint,
        options.resume, identity or {}, options.progress, title or problem.name, callbacks, chosen,
        asks_errors,
    )  # fmt: skip
    line = say_that_it_compiles if options.progress else None
    with trainer.interrupt as interrupt, told_of_compiling(line):
        result = judged(trainer.train(), problem, known, notes)
        try:
            callbacks.on_end(result)
        except KeyboardInterrupt:
            interrupt.signal = signal.SIGINT
        except BaseException as error:
            give(error, result)
            raise
    # Also one that came too late to change anything: the caller wants to end.
    if interrupt.signal is not None:
        raise TrainingInterrupted(result, net, interrupt.signal)
    return result


def no_checkpoint(path: str | Path) -> InputError:
    """Of who wants to continue where nothing has begun; ``path``: the file or folder."""
    return InputError(
        f"resume: there is no checkpoint in {path}; leave resume out for a new run, or name the file or folder "
        "of the run to continue instead"
    )
