"""`solve`: from a problem to a trained network and its errors, in one call."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import torch

from .building import Network, build_network, chosen_network
from .console import complain
from .devices import find_device
from .kernels import checks, get_backend
from .kernels.compiling import told_of_compiling
from .kernels.contract.precision import IEEE
from .kernels.errors import InputError, OutputWarning
from .networks.mlp import PsiMLP
from .networks.structure import Structure
from .problem.problem import Problem
from .problems import as_problem
from .report.output import save_solution, writable_folder
from .report.replaceable import CHECKPOINT, SOLUTION, check_no_strangers
from .results import Setup, Solution
from .scaling.natural_units import float32_suffices
from .storage.files import as_path
from .training.abort import abortable
from .training.checks import check_device, check_meets, check_regularizer, time_limit, training_precision
from .training.doubts import Errors, Metric
from .training.fitting import no_checkpoint, trained
from .training.interrupt import InterruptFlag
from .training.metrics import METRICS, ErrorMeter
from .training.optimisers.adam import Adam
from .training.optimisers.automatic import Asked, Automatic, against_gauss_newton, choose
from .training.optimisers.gauss_newton import GaussNewton
from .training.optimisers.named import AUTO, chosen_optimizers
from .training.options import Options, chosen_options
from .training.progress import say_that_it_compiles
from .training.protocol import Optimizer
from .training.result import FitResult, TrainingInterrupted
from .training.weighting import Weighting, chosen_weighting

# Of a network that was given.
GIVEN = "given"


def solve(
    problem: Problem | str,
    network: PsiMLP | Network | Structure | str = "pinn",
    optimizer: Optimizer | Automatic | str | Sequence[Optimizer | str] = AUTO,
    *,
    seconds: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    weighting: Weighting | str | None = None,
    options: Options | None = None,
) -> Solution:
    """Train a network on a problem.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        network: ``"pinn"``, ``"pinn-post"`` or ``"psi"``, a structure, or a `Network` for other than the defaults; or a
            ready network, which is trained in place.
        optimizer: ``"auto"``: Gauss-Newton where it can be taken, until it has converged; Adam where measurements are
            noisy, or float32, a GPU, a weight penalty or another weighting is asked for; Adam, then L-BFGS for more
            than 5,000 parameters; ``solution.setup.chosen`` says why. ``"adam"`` (full batch), ``"gauss-newton"``,
            ``"adam+gauss-newton"``, ``"lbfgs"``, ``"ssbroyden"``; settings for other than the defaults:
            ``pf.Adam(5_000, lr=1e-3)``, ``pf.GaussNewton(200)``; or a sequence of them.
        seconds: stop after this time.
        seed: of the initial weights, and of what optimisers given by name draw; everything else is deterministic.
        out: folder for the checkpoint and, at the end, on Ctrl-C or where an error ends training, what `save_solution`
            writes; on SIGTERM, SIGHUP and an error without its pictures. What cannot be written then is said in an
            `OutputWarning`. An earlier run's checkpoint there is kept, see `fit`; a folder is refused that has files of
            the same names which psinn_fast did not write.
        weighting: what the terms of the loss weigh as training goes on, by name or as settings (see `fit`).
        options: how it is trained, the same for all optimisers (`Options`); with ``resume`` from the checkpoint in
            ``out``.

    Raises:
        InputError: also for options that are out of range, or have no effect beside the others.
        CheckpointError, DivergedError, CallbackError, TrainingError, TrainingInterrupted: see `fit`. Ctrl-C while
            results are written leaves out the pictures that are left, and raises TrainingInterrupted with the result.
    """
    problem, seed, seconds = as_problem(problem), checks.seed("seed", seed), time_limit(seconds)
    options = chosen_options(options)
    automatic = Automatic(seed=seed) if isinstance(optimizer, str) and optimizer == AUTO else optimizer
    given = () if isinstance(automatic, Automatic) else chosen_optimizers(automatic, problem, seed)
    chosen = chosen_weighting(weighting)
    if options.resume is True and out is None:
        raise InputError("resume: needs the output folder of the run to continue (out)")
    is_given = isinstance(network, PsiMLP)
    with told_of_compiling(say_that_it_compiles if options.progress else None):
        if isinstance(automatic, Automatic):
            net, (optimizers, why) = _chosen(automatic, problem, network, chosen, options, seed)
        else:
            net, optimizers, why = _built(problem, network, given, options, seed), given, None
    check_meets(problem, net)
    check_device(net)
    get_backend(options.backend, net.theta.device)  # one that is unknown, or cannot run
    for one in optimizers:
        check_regularizer(options.regularizer, net, one)
    training_precision(options.precision, net, optimizers)
    errors = ErrorMeter(problem, options.backend)  # an exact solution that fails shows now, not after the work
    problem.quantities_of(net)  # and so does a quantity
    checkpoint = None
    if out is not None:
        checkpoint = as_path("out", out) / CHECKPOINT
        if options.resume is True and not os.path.exists(checkpoint):
            raise no_checkpoint(out)
        check_no_strangers(writable_folder(out), SOLUTION if options.resume is not True else SOLUTION[1:])
    method = GIVEN if is_given else chosen_network(network).method  # type: ignore[arg-type]  # no network

    def conclude(result: FitResult, pictures: bool = True, is_over: Callable[[], bool] = lambda: False) -> Solution:
        setup = Setup(
            method, "+".join(one.name for one in optimizers), chosen.name if chosen else None,
            result.end.backend, str(net.theta.dtype).removeprefix("torch."), seed,
            result.end.precision, net.structure.activation, why,
        )  # fmt: skip
        found = {part.name: getattr(result, part.name) for part in fields(result)}
        metrics = _metrics(problem, net, errors, has_failed=result.ended == "failed")
        solution = Solution(problem=problem, setup=setup, metrics=metrics, **found)
        if out is not None:
            with abortable(is_over):
                save_solution(solution, out, pictures)
        return solution

    identity = {
        "method": method, "seed": seed, "settings": dict(problem.true_coefficients) | dict(problem.pde.coefficients)
    }  # fmt: skip
    try:
        result = trained(
            problem, net, optimizers, None, seconds, checkpoint, chosen, options, identity,
            f"{problem.name} {method}",
        )  # fmt: skip
    except TrainingInterrupted as stop:
        with InterruptFlag(raised=stop.signal), suppress(KeyboardInterrupt):  # a second one ends what is left of this
            conclude(stop.result, pictures=stop.signal == signal.SIGINT)
        raise
    except BaseException as error:
        reached = getattr(error, "result", None)
        if isinstance(reached, FitResult):
            with InterruptFlag():
                conclude(reached, pictures=False)
        raise
    with InterruptFlag() as late:
        solution = conclude(result, is_over=lambda: late.raised)
    if late.signal is not None:
        raise TrainingInterrupted(result, net, late.signal)
    return solution


def _metrics(problem: Problem, net: PsiMLP, errors: ErrorMeter, has_failed: bool) -> dict[str, Metric]:
    """Errors and quantities of a trained network."""
    try:
        found = errors(net)
    except Exception:  # what ended training, a backend of the user's own, may fail here, too
        if not has_failed:
            raise
        return dict.fromkeys(METRICS)
    if problem.quantities:
        found["quantities"] = _quantities(problem, net)
    return found


def _quantities(problem: Problem, net: PsiMLP) -> Errors:
    """A function of a user's may not cost what was trained."""
    try:
        return {**problem.quantities_of(net)}
    except InputError as error:
        warnings.warn(str(error), OutputWarning, stacklevel=5)
        return dict.fromkeys(problem.quantities)


def _chosen(
    automatic: Automatic,
    problem: Problem,
    network: PsiMLP | Network | Structure | str,
    weighting: Weighting | None,
    options: Options,
    seed: int,
) -> tuple[PsiMLP, tuple[tuple[Optimizer, ...], str]]:
    """The untrained network, the optimisers that suit it, and why."""
    if isinstance(network, PsiMLP):
        device, dtype, precision = network.theta.device, network.theta.dtype, IEEE
    else:
        own = chosen_network(network)
        own.check(problem)
        device, dtype, precision = torch.device(own.device), own.dtype, own.precision  # type: ignore[assignment]  # a dtype, since it was checked
    needs_float32 = options.precision is not None or precision != IEEE
    asked = Asked(device, dtype, needs_float32, options.regularizer is not None, weighting)
    against = against_gauss_newton(problem, asked)
    net = _built(problem, network, (GaussNewton() if against is None else Adam(),), options, seed)
    choice = choose(automatic, problem, against, net.theta.numel())
    optimizers = chosen_optimizers(choice.optimizers, problem)
    if against is None and not isinstance(optimizers[0], GaussNewton):
        net = _built(problem, network, optimizers, options, seed)
    if options.progress:
        complain(f"optimizer: {'+'.join(one.name for one in optimizers)}: {choice.why}")
    return net, (optimizers, choice.why)


def _built(
    problem: Problem,
    network: PsiMLP | Network | Structure | str,
    optimizers: Sequence[Optimizer],
    options: Options,
    seed: int,
) -> PsiMLP:
    """The untrained network, of float64 where float32 is too coarse; a ready one as it is."""
    if isinstance(network, PsiMLP):
        return network
    chosen = chosen_network(network)
    chosen.check(problem)
    find_device(chosen.device)
    if chosen.dtype is None:
        is_coarse = any(one.needs_float64 for one in optimizers) or not float32_suffices(problem, options.scaling)
        chosen = replace(chosen, dtype="float64" if is_coarse else "float32")
    by_newton = any(isinstance(one, GaussNewton) for one in optimizers)
    return build_network(
        problem, chosen, by_newton=by_newton, scaling=options.scaling, seed=seed, backend=options.backend
    )
