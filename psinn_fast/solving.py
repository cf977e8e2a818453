"""`solve`: from a problem to a trained network and its errors, in one call."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from .devices import find_device
from .files import as_path
from .kernels import checks, get_backend
from .kernels.errors import InputError, short
from .kernels.regularizer import Regularizer
from .natural_scales import natural_scales
from .networks import PsiMLP, TanhMLP
from .output import save_solution, writable_folder
from .problem import Problem
from .problems import as_problem
from .scaling import check_scaling, float32_suffices, in_natural_units, scaled
from .structure import Structure, check_layer_sizes
from .symmetry import structure_from_group
from .training.doubts import Metric, inaccurate
from .training.first_weights import start_where_finite
from .training.gauss_newton_options import GaussNewton
from .training.interrupt import InterruptFlag
from .training.loop import Schedule, fit
from .training.metrics import ErrorMeter
from .training.result import FitResult, TrainingInterrupted, check_regularizer, time_limit
from .training.warm_start import fit_warm
from .widths import default_width

METHODS = ("pinn", "pinn-post", "psi")
OPTIMIZERS = ("adam", "gauss-newton", "adam+gauss-newton")
DTYPES = ("float32", "float64")
CHECKPOINT, WARM_START = "checkpoint.safetensors", "warm-start.safetensors"
# Adam's steps before Gauss-Newton, if not said otherwise.
WARMUP = 1_000


@dataclass(frozen=True, repr=False, kw_only=True)
class Solution(FitResult):
    """What `solve` found: a `FitResult` with what was trained, and ``metrics``, see `error_metrics`.

    Printed, it says what was trained, how accurate it is where that is known, and ``status``.
    """

    problem: Problem
    net: PsiMLP
    method: str
    optimizer: str
    backend: str
    dtype: str
    seed: int
    metrics: dict[str, Metric]

    @property
    def warnings(self) -> tuple[str, ...]:
        return *super().warnings, *inaccurate(self.metrics)

    @property
    def allowed(self) -> str:
        """``possible_errors`` as text, e.g. ``u 1.3e-06``."""
        return ", ".join(f"{name} {error:.1e}" for name, error in self.possible_errors.items())

    def __repr__(self) -> str:
        error = self.metrics["relative_l2"]
        known = "" if error is None else f"relative L2 {error if isinstance(error, dict) else format(error, '.3e')}, "
        allowed = f"residuals allow {self.allowed}, " if self.allowed else ""
        losses = ", ".join(f"{name} {loss:.2e}" for name, loss in self.losses.items())
        found = "".join(f", {name} = {value:.6g}" for name, value in self.coefficients.items())
        return (
            f"Solution of {self.problem.name} by {self.method}, {self.net.structure.n_parameters} parameters, "
            f"{self.optimizer}: {known}{allowed}losses {losses}{found}; status: {self.status}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, as ``--json`` prints them."""
        return {
            "problem": self.problem.name,
            "method": self.method,
            "optimizer": self.optimizer,
            "backend": self.backend,
            "dtype": self.dtype,
            "device": str(self.net.theta.device),
            "seed": self.seed,
            "parameters": self.net.structure.n_parameters,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            **self.metrics,
            "coefficients": self.coefficients,
            "loss": self.losses,
            "held_out": self.held_out,
            "possible_errors": self.possible_errors,
            "status": self.status,
            "ended": self.ended,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "stopped_by": self.stopped_by,
            "solver": self.solver,
        }


def solve(
    problem: Problem | str,
    method: str = "pinn",
    *,
    structure: Structure | None = None,
    width: int | None = None,
    layers: Sequence[int] | None = None,
    optimizer: str | GaussNewton = "adam",
    steps: int | None = None,
    warmup: int | None = None,
    lr: float | None = None,
    milestones: Sequence[int] = (),
    seconds: float | None = None,
    dtype: torch.dtype | str | None = None,
    device: torch.device | str = "cpu",
    backend: str = "auto",
    regularizer: Regularizer | None = None,
    scaling: str | None = "auto",
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Solution:
    """Train a network on a problem.

    Args:
        problem: a `Problem`, or the name of a built-in one.
        method: ``"pinn"``: a dense `TanhMLP`; ``"pinn-post"``: the same network made symmetric by summing it over the
            problem's known symmetries; ``"psi"``: a `PsiMLP`.
        structure: for ``"psi"``; None takes the problem's published one.
        width: scales the structure; None: by the cost of a step (`default_width`).
        layers: sizes of the dense network, inputs first; None takes the problem's.
        optimizer: ``"adam"`` (full batch), ``"gauss-newton"``, or ``"adam+gauss-newton"``: the one, then the other; a
            `GaussNewton` for the second with other than its default settings.
        steps: of Adam, None takes the problem's; or iterations of Gauss-Newton, None takes its own.
        warmup: Adam's steps for ``"adam+gauss-newton"``; None: 1,000.
        lr, milestones: Adam's rate, None takes the problem's, and the steps at which it drops to a tenth.
        seconds: stop after this time.
        dtype: ``"float32"`` or ``"float64"``, or the types themselves, of the network; None: float32 for Adam alone,
            where the problem can be trained in it, else float64.
        device: where the network is trained: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; the solution's network stays there.
        backend: see `available_backends`.
        regularizer: a weight penalty; on a problem's own loss it conflicts with the physics (the paper's point).
        scaling: "auto": where coordinates, fields, unknown coefficients or residuals are far from order 1, they are
            trained in the problem's natural units; the network that comes out still takes x and gives u (see
            `build_network`). None: as they are.
        seed: of the initial weights; everything else is deterministic.
        out: folder for the checkpoint and, at the end or on Ctrl-C, what `save_solution` writes; on SIGTERM and SIGHUP
            without its pictures. What cannot be written then is said in an `OutputWarning`.
        resume: continue from the checkpoint in ``out``.
        progress: show a bar on stderr.

    Raises:
        InputError: also for options that are out of range, or have no effect beside the others.
        CheckpointError, DivergedError, TrainingInterrupted: see `fit`.
    """
    problem, seed, seconds = as_problem(problem), checks.seed("seed", seed), time_limit(seconds)
    named = "gauss-newton" if isinstance(optimizer, GaussNewton) else optimizer
    method_of_steps = checks.choice("optimizer", named, OPTIMIZERS, "a GaussNewton or ")
    _check_network_options(problem, method, structure, width, layers)
    checks.flag("progress", progress)
    if checks.flag("resume", resume) and out is None:
        raise InputError("resume: needs the output folder of the run to continue (out)")
    adam, newton = _schedules(problem, optimizer, method_of_steps, steps, warmup, lr, milestones, seed)
    precision = dtype
    if dtype is None:
        precision = "float32" if newton is None and float32_suffices(problem, scaling) else "float64"
    dtype = str(checks.floating_dtype("dtype", precision)).removeprefix("torch.")
    device = find_device(device)
    engine = get_backend(backend, device)
    net = build_network(
        problem, method, structure=structure, width=width, layers=layers, by_newton=newton is not None, scaling=scaling,
        dtype=dtype, device=device, seed=seed, backend=backend,
    )  # fmt: skip
    check_regularizer(regularizer, net, newton is not None)
    errors = ErrorMeter(problem, backend)  # an exact solution that fails shows now, not after the work
    checkpoint = warm_start = None
    if out is not None:
        checkpoint = as_path("out", out) / CHECKPOINT
        warm_start = checkpoint.with_name(WARM_START)
        if resume and not (os.path.exists(checkpoint) or (adam and newton and os.path.exists(warm_start))):
            raise InputError(f"resume: there is no checkpoint in {out}")
        writable_folder(out)
    settings = dict(problem.true_coefficients) | dict(problem.pde.coefficients)

    def conclude(result: FitResult, pictures: bool = True) -> Solution:
        solution = Solution(
            problem=problem,
            net=net,
            method=method,
            optimizer=method_of_steps,
            backend=engine.name,
            dtype=dtype,
            seed=seed,
            metrics=errors(net),
            **{part.name: getattr(result, part.name) for part in fields(result)},
        )
        if out is not None:
            save_solution(solution, out, pictures)
        return solution

    common: dict[str, Any] = {
        "backend": backend,
        "resume": resume,
        "identity": {"method": method, "seed": seed, "settings": settings},
        "progress": progress,
        "scaling": scaling,
    }
    title = f"{problem.name} {method}"
    try:
        if adam and newton:
            result = fit_warm(
                problem, net, adam, newton, seconds=seconds, checkpoints=(warm_start, checkpoint), title=title,
                **common,
            )  # fmt: skip
        else:
            schedule = newton or adam
            assert schedule is not None
            result = fit(
                problem, net, schedule, seconds=seconds, checkpoint=checkpoint, regularizer=regularizer, title=title,
                **common,
            )  # fmt: skip
    except TrainingInterrupted as stop:
        with InterruptFlag(raised=stop.signal):
            conclude(stop.result, pictures=stop.signal == signal.SIGINT)
        raise
    return conclude(result)


def _schedules(
    problem: Problem,
    optimizer: str | GaussNewton,
    name: str,
    steps: int | None,
    warmup: int | None,
    lr: float | None,
    milestones: Sequence[int],
    seed: int,
) -> tuple[Schedule | None, GaussNewton | None]:
    """Settings of Adam and of Gauss-Newton, those that the optimizer has."""
    if warmup is not None and name != "adam+gauss-newton":
        raise InputError(f"warmup: has no meaning for optimizer {name!r}, only for 'adam+gauss-newton'")
    drops = checks.integers("milestones", milestones, 1)
    if name == "gauss-newton" and (lr is not None or drops):
        raise InputError(f"{'milestones' if lr is None else 'lr'}: has no meaning for optimizer 'gauss-newton'")
    newton = None
    if name != "adam":
        newton = optimizer if isinstance(optimizer, GaussNewton) else GaussNewton(seed=seed)
        if steps is not None:
            steps = checks.integer("steps", steps, 0)
            if newton.iterations not in (GaussNewton.iterations, steps):
                raise InputError(
                    f"steps: expected {newton.iterations}, the iterations of the optimizer given, or none, got {steps}"
                )
            newton = replace(newton, iterations=steps)
        steps = WARMUP if warmup is None else checks.integer("warmup", warmup, 0)
    if name == "gauss-newton":
        return None, newton
    return Schedule(problem.steps if steps is None else steps, problem.lr if lr is None else lr, drops), newton


def build_network(
    problem: Problem,
    method: str,
    *,
    structure: Structure | None = None,
    width: int | None = None,
    layers: Sequence[int] | None = None,
    by_newton: bool = False,
    scaling: str | None = "auto",
    dtype: torch.dtype | str = "float32",
    device: torch.device | str = "cpu",
    seed: int = 0,
    backend: str = "auto",
) -> PsiMLP:
    """The untrained network of a method (see `solve`), for `fit`.

    With ``scaling`` "auto" it is u(x) = s N((x - c) / h), with c, h and s from the problem (`in_frame`,
    `natural_scales`): 0 and 1 where coordinates and fields are of order 1, and such that all relations hold. Where the
    problem's residuals have no value at its initial weights, these are smaller (`start_where_finite`).

    Args:
        by_newton: it is for Gauss-Newton, which counts for the default width, and starts unknown coefficients at
            their guesses.
    """
    _check_network_options(problem, method, structure, width, layers)
    check_scaling(scaling)
    sizes = problem.default_layers if layers is None else check_layer_sizes(layers)
    if method == "pinn":
        chosen = Structure.dense(sizes)
    elif method == "pinn-post":
        # N and its mirror images side by side, summed with their signs: itself a structure.
        chosen = structure_from_group(
            problem.symmetries, sizes[1:-1], "average", f"{problem.name} PINN-post", tuple(problem.domain.centre)
        )
    else:
        given = structure or problem.structure
        assert given is not None
        chosen = given.with_width(default_width(problem, given, by_newton) if width is None else width)
    chosen, start = scaled(chosen, problem) if scaling else (chosen, ())
    kind = TanhMLP if method == "pinn" else PsiMLP
    net = kind(chosen, start=start, seed=seed, dtype=dtype, device=device)
    trained = in_natural_units(problem, natural_scales(problem)) if scaling else problem
    start_where_finite(net, trained, by_newton, get_backend(backend, net.theta.device))
    return net


def _check_network_options(
    problem: Problem, method: str, structure: object, width: object, layers: Sequence[int] | None
) -> None:
    checks.choice("method", method, METHODS)
    for name, value, methods in (
        ("structure", structure, ("psi",)),
        ("width", width, ("psi",)),
        ("layers", layers, ("pinn", "pinn-post")),
    ):
        if value is not None and method not in methods:
            raise InputError(f"{name}: has no meaning for method {method!r}, only for {' and '.join(methods)}")
    if width is not None:
        checks.integer("width", width, 1)
    if method == "psi":
        used = problem.structure if structure is None else structure
        if used is None:
            raise InputError(f"structure: problem {problem.name!r} has no published one; give one, or run discover")
        if not isinstance(used, Structure):
            raise InputError(f"structure: expected a Structure, got {short(used)}")
        _check_ends("structure", (used.n_inputs, used.n_outputs), problem)
        return
    sizes = problem.default_layers if layers is None else check_layer_sizes(layers)
    _check_ends("layers", (sizes[0], sizes[-1]), problem)
    if method == "pinn-post" and not problem.symmetries:
        raise InputError(f"method: 'pinn-post' needs a known symmetry, and problem {problem.name!r} states none")
    if method == "pinn-post" and len(sizes) < 3:
        raise InputError(f"layers: method 'pinn-post' needs a hidden layer, got {list(sizes)}")


def _check_ends(what: str, found: tuple[int, int], problem: Problem) -> None:
    expected = len(problem.pde.coords), len(problem.pde.fields)
    if found != expected:
        raise InputError(
            f"{what}: problem {problem.name!r} has {expected[0]} inputs and {expected[1]} outputs, got {list(found)}"
        )
