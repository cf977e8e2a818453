"""`solve`: from a problem to a trained network and its errors, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .kernels.errors import InputError
from .kernels.registry import get_backend
from .kernels.regularizer import Regularizer
from .networks import PsiMLP, TanhMLP
from .output import save_solution, writable_folder
from .problem import Problem
from .problems import get_problem
from .structure import Structure
from .symmetry import structure_from_group
from .training.history import History
from .training.loop import FitResult, Schedule, TrainingInterrupted, fit
from .training.metrics import Metric, error_metrics

METHODS = ("pinn", "pinn-post", "psi")
OPTIMIZERS = ("adam",)
DTYPES = {"float32": torch.float32, "float64": torch.float64}
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Solution:
    """What `solve` found. ``metrics``: see `error_metrics`; ``losses``: by term, at the final weights."""

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

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, as ``--json`` prints them."""
        return {
            "problem": self.problem.name,
            "method": self.method,
            "optimizer": self.optimizer,
            "backend": self.backend,
            "dtype": self.dtype,
            "seed": self.seed,
            "parameters": self.net.structure.n_parameters,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            **self.metrics,
            "coefficients": self.coefficients,
            "loss": self.losses,
            "status": self.status,
        }


def solve(
    problem: Problem | str,
    method: str = "pinn",
    *,
    structure: Structure | None = None,
    width: int | None = None,
    layers: Sequence[int] | None = None,
    optimizer: str = "adam",
    steps: int | None = None,
    lr: float | None = None,
    milestones: Sequence[int] = (),
    seconds: float | None = None,
    dtype: str = "float32",
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
        width: scales the structure; None takes the problem's.
        layers: sizes of the dense network, inputs first; None takes the problem's.
        optimizer: ``"adam"`` (full batch).
        steps, lr: None takes the problem's.
        milestones: steps at which lr drops to a tenth.
        seconds: stop after this time.
        dtype: ``"float32"`` or ``"float64"``.
        backend: see `available_backends`.
        regularizer: a weight penalty; on a problem's own loss it conflicts with the physics (the paper's point).
        seed: of the initial weights; everything else is deterministic.
        out: folder for the checkpoint and, at the end or on Ctrl-C, what `save_solution` writes.
        resume: continue from the checkpoint in ``out``.
        progress: show a bar on stderr.

    Raises:
        InputError, CheckpointError, DivergedError, TrainingInterrupted: see `fit`.
    """
    if isinstance(problem, str):
        problem = get_problem(problem)
    if optimizer not in OPTIMIZERS:
        raise InputError(f"optimizer: expected one of {list(OPTIMIZERS)}, got {optimizer!r}")
    if resume and out is None:
        raise InputError("resume: needs the output folder of the run to continue (out)")
    engine = get_backend(backend)
    net = build_network(problem, method, structure=structure, width=width, layers=layers, dtype=dtype, seed=seed)
    checkpoint = None
    if out is not None:
        checkpoint = writable_folder(out) / CHECKPOINT
        if resume and not checkpoint.exists():
            raise InputError(f"resume: there is no checkpoint in {out}")
    schedule = Schedule(problem.steps if steps is None else steps, problem.lr if lr is None else lr, milestones)
    settings = dict(problem.true_coefficients) | dict(problem.pde.coefficients)

    def conclude(result: FitResult) -> Solution:
        solution = Solution(
            problem=problem,
            net=net,
            method=method,
            optimizer=optimizer,
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
        )
        if out is not None:
            save_solution(solution, out)
        return solution

    try:
        result = fit(
            problem,
            net,
            schedule,
            backend=engine.name,
            seconds=seconds,
            checkpoint=checkpoint,
            resume=resume,
            identity={"method": method, "seed": seed, "settings": settings},
            regularizer=regularizer,
            progress=progress,
            title=f"{problem.name} {method}",
        )
    except TrainingInterrupted as stop:
        conclude(stop.result)
        raise
    return conclude(result)


def build_network(
    problem: Problem,
    method: str,
    *,
    structure: Structure | None = None,
    width: int | None = None,
    layers: Sequence[int] | None = None,
    dtype: str = "float32",
    seed: int = 0,
) -> PsiMLP:
    """The untrained network of a method (see `solve`)."""
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
        return TanhMLP(sizes, seed=seed, dtype=DTYPES[dtype])
    if method == "pinn-post":
        if not problem.symmetries:
            raise InputError(f"method: 'pinn-post' needs a known symmetry, and problem {problem.name!r} states none")
        # N and its mirror images side by side, summed with their signs: itself a structure.
        post = structure_from_group(problem.symmetries, sizes[1:-1], "average", f"{problem.name} PINN-post")
        return PsiMLP(post, seed=seed, dtype=DTYPES[dtype])
    structure = structure or problem.structure
    if structure is None:
        raise InputError(f"structure: problem {problem.name!r} has no published one; give one, or run discover")
    _check_ends("structure", (structure.n_inputs, structure.n_outputs), ends, problem)
    return PsiMLP(structure, problem.width if width is None else width, seed=seed, dtype=DTYPES[dtype])


def _check_ends(what: str, found: tuple[int, ...], expected: tuple[int, int], problem: Problem) -> None:
    if found != expected:
        raise InputError(
            f"{what}: problem {problem.name!r} has {expected[0]} inputs and {expected[1]} outputs, got {list(found)}"
        )
