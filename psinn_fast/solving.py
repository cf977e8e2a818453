"""`solve`: from a problem to a trained network and its errors, in one call."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from .devices import find_device
from .kernels.errors import InputError
from .kernels.registry import get_backend
from .kernels.regularizer import Regularizer
from .networks import PsiMLP, TanhMLP
from .output import save_solution, writable_folder
from .problem import Problem
from .problems import get_problem
from .structure import Structure
from .symmetry import structure_from_group
from .training.gauss_newton_options import GaussNewton
from .training.history import History
from .training.interrupt import InterruptFlag
from .training.loop import Schedule, fit
from .training.metrics import Metric, error_metrics
from .training.result import FitResult, TrainingInterrupted
from .training.warm_start import fit_warm
from .widths import default_width

METHODS = ("pinn", "pinn-post", "psi")
OPTIMIZERS = ("adam", "gauss-newton", "adam+gauss-newton")
DTYPES = {"float32": torch.float32, "float64": torch.float64}
CHECKPOINT, WARM_START = "checkpoint.safetensors", "warm-start.safetensors"
# Adam's steps before Gauss-Newton, if not said otherwise.
WARMUP = 1_000


@dataclass(frozen=True)
class Solution:
    """What `solve` found. ``metrics``: see `error_metrics`; ``losses``: by term, at the final weights.

    ``stopped_by``, ``solver``: see `FitResult`.
    """

    problem: Problem
    net: PsiMLP
    method: str
    optimizer: str
    backend: str
    dtype: str
    seed: int
    status: str
    steps: int
    seconds: float
    metrics: dict[str, Metric]
    coefficients: dict[str, float]
    losses: dict[str, float]
    history: History
    stopped_by: str = "steps"
    solver: str | None = None

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
            "status": self.status,
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
    dtype: str | None = None,
    device: torch.device | str = "cpu",
    backend: str = "auto",
    regularizer: Regularizer | None = None,
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
        steps: of Adam, None takes the problem's; or iterations of Gauss-Newton, None takes its default.
        warmup: Adam's steps for ``"adam+gauss-newton"``; None: 1,000.
        lr, milestones: Adam's rate, None takes the problem's, and the steps at which it drops to a tenth.
        seconds: stop after this time.
        dtype: ``"float32"`` or ``"float64"``, of the network; None: float32 for Adam alone, else float64.
        device: where the network is trained: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; the solution's network stays there.
        backend: see `available_backends`.
        regularizer: a weight penalty; on a problem's own loss it conflicts with the physics (the paper's point).
        seed: of the initial weights; everything else is deterministic.
        out: folder for the checkpoint and, at the end or on Ctrl-C, what `save_solution` writes; on SIGTERM and SIGHUP
            without its pictures. What cannot be written then is said in an `OutputWarning`.
        resume: continue from the checkpoint in ``out``.
        progress: show a bar on stderr.

    Raises:
        InputError, CheckpointError, DivergedError, TrainingInterrupted: see `fit`.
    """
    if isinstance(problem, str):
        problem = get_problem(problem)
    method_of_steps = "gauss-newton" if isinstance(optimizer, GaussNewton) else optimizer
    if method_of_steps not in OPTIMIZERS:
        raise InputError(f"optimizer: expected one of {list(OPTIMIZERS)}, got {optimizer!r}")
    if resume and out is None:
        raise InputError("resume: needs the output folder of the run to continue (out)")
    adam, newton = _schedules(problem, optimizer, method_of_steps, steps, warmup, lr, milestones, seed)
    if newton and regularizer is not None:
        raise InputError("regularizer: Gauss-Newton takes none, a weight penalty is no sum of squared residuals")
    dtype = dtype or ("float64" if newton else "float32")
    device = find_device(device)
    engine = get_backend(backend, device)
    net = build_network(
        problem, method, structure=structure, width=width, layers=layers, by_newton=newton is not None, dtype=dtype,
        device=device, seed=seed,
    )  # fmt: skip
    checkpoint = warm_start = None
    if out is not None:
        checkpoint = writable_folder(out) / CHECKPOINT
        warm_start = checkpoint.with_name(WARM_START)
        if resume and not (checkpoint.exists() or (adam and newton and warm_start.exists())):
            raise InputError(f"resume: there is no checkpoint in {out}")
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
            status=result.status,
            steps=result.steps,
            seconds=result.seconds,
            metrics=error_metrics(net, problem),
            coefficients=result.coefficients,
            losses=result.losses,
            history=result.history,
            stopped_by=result.stopped_by,
            solver=result.solver,
        )
        if out is not None:
            save_solution(solution, out, pictures)
        return solution

    common: dict[str, Any] = {
        "backend": backend,
        "resume": resume,
        "identity": {"method": method, "seed": seed, "settings": settings},
        "progress": progress,
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
    if name == "gauss-newton" and (lr is not None or milestones):
        raise InputError(f"{'milestones' if lr is None else 'lr'}: has no meaning for optimizer 'gauss-newton'")
    newton = None
    if name != "adam":
        newton = optimizer if isinstance(optimizer, GaussNewton) else GaussNewton(seed=seed)
        newton = newton if steps is None else replace(newton, iterations=steps)
        steps = WARMUP if warmup is None else warmup
    if name == "gauss-newton":
        return None, newton
    return Schedule(problem.steps if steps is None else steps, problem.lr if lr is None else lr, milestones), newton


def build_network(
    problem: Problem,
    method: str,
    *,
    structure: Structure | None = None,
    width: int | None = None,
    layers: Sequence[int] | None = None,
    by_newton: bool = False,
    dtype: str = "float32",
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> PsiMLP:
    """The untrained network of a method (see `solve`); ``by_newton``: for Gauss-Newton, which counts for the width."""
    if method not in METHODS:
        raise InputError(f"method: expected one of {list(METHODS)}, got {method!r}")
    if dtype not in DTYPES:
        raise InputError(f"dtype: expected one of {list(DTYPES)}, got {dtype!r}")
    for name, value, methods in (
        ("structure", structure, ("psi",)),
        ("width", width, ("psi",)),
        ("layers", layers, ("pinn", "pinn-post")),
    ):
        if value is not None and method not in methods:
            raise InputError(f"{name}: has no meaning for method {method!r}, only for {' and '.join(methods)}")
    sizes = tuple(layers) if layers is not None else problem.default_layers
    ends = (len(problem.pde.coords), len(problem.pde.fields))
    if method != "psi":
        _check_ends("layers", (sizes[0], sizes[-1]) if len(sizes) > 1 else sizes, ends, problem)
    if method == "pinn":
        return TanhMLP(sizes, seed=seed, dtype=DTYPES[dtype], device=device)
    if method == "pinn-post":
        if not problem.symmetries:
            raise InputError(f"method: 'pinn-post' needs a known symmetry, and problem {problem.name!r} states none")
        # N and its mirror images side by side, summed with their signs: itself a structure.
        post = structure_from_group(problem.symmetries, sizes[1:-1], "average", f"{problem.name} PINN-post")
        return PsiMLP(post, seed=seed, dtype=DTYPES[dtype], device=device)
    structure = structure or problem.structure
    if structure is None:
        raise InputError(f"structure: problem {problem.name!r} has no published one; give one, or run discover")
    _check_ends("structure", (structure.n_inputs, structure.n_outputs), ends, problem)
    width = default_width(problem, structure, by_newton) if width is None else width
    return PsiMLP(structure, width, seed=seed, dtype=DTYPES[dtype], device=device)


def _check_ends(what: str, found: tuple[int, ...], expected: tuple[int, int], problem: Problem) -> None:
    if found != expected:
        raise InputError(
            f"{what}: problem {problem.name!r} has {expected[0]} inputs and {expected[1]} outputs, got {list(found)}"
        )
