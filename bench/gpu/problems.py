"""The paper's problems from the initial weights to the end, by `fit`, and one call of `train` for the bare steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from psinn_fast import Adam, Dirichlet, Network, Options, fit
from psinn_fast.building import build_network
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.networks.mlp import PsiMLP
from psinn_fast.problem.problem import Problem
from psinn_fast.problems import get_problem
from psinn_fast.training import stability
from psinn_fast.training.metrics import error_metrics

from .cases import case_of, cases
from .clock import seconds_of
from .lines import Row
from .ours import ours
from .settings import Settings, Task

# Those of the bars first; (problem, method).
RUNS = (
    ("laplace", "psi"),
    ("laplace", "pinn"),
    ("burgers", "psi"),
    ("burgers", "pinn"),
    ("poisson", "psi"),
    ("poisson", "pinn"),
    ("burgers-inverse", "psi"),
)
TRAIN_STEPS = 80_000
# Points of a quick run.
FEW = 15


def tasks(settings: Settings) -> list[Task]:
    bare = cases(settings)[:2]
    found = [Task(f"train/{case.name}", partial(_train, case.name, settings)) for case in bare]
    runs = RUNS[:1] if settings.quick else RUNS
    return found + [Task(f"{problem}/{method}", partial(_fit, problem, method, settings)) for problem, method in runs]


def _train(network: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    """Laplace's steps in one call; compiled before."""
    case = cases(settings)[0]
    step = ours(case_of(network, case.points, settings))
    count = 2 if settings.quick else TRAIN_STEPS
    step.steps(1)
    return {"network": network, "points": case.points, "steps": count, "seconds": seconds_of(step, count, settings)}


def problem_and_network(name: str, method: str, settings: Settings) -> tuple[Problem, PsiMLP]:
    problem = get_problem(name)
    if settings.quick:
        stability.CHANGED_BESIDE = 20  # which errors residuals allow is looked for among so many changes
        # Points that stand for nothing but themselves, and errors at the end alone: for thousands of other points the
        # interpreter would take minutes.
        points = np.array(problem.conditions[1].sites[0][:FEW])
        (field,) = problem.pde.fields
        given: dict[str, Any] = {field: problem.exact_at(points)[:, 0]}
        condition = Dirichlet(points, **given)
        problem = replace(problem, conditions=[condition], exact=None)
    net = build_network(problem, Network(method, width=1 if settings.quick and method == "psi" else None), seed=0)
    return problem, net.to(settings.device)


def first_steps(problem: Problem, net: PsiMLP, settings: Settings) -> None:
    """Few, but through everything that `fit` does: all kernels are compiled afterwards."""
    fit(problem, net, Adam(1 if settings.quick else 60), options=Options(backend=TritonBackend.name))


def _fit(name: str, method: str, settings: Settings, done: Mapping[str, Row]) -> Row:
    """With the paper's steps and rate; history, progress checks and errors included. Compiling is timed apart."""
    problem, net = problem_and_network(name, method, settings)
    steps = 2 if settings.quick else (problem.recipe.paper or problem.recipe).steps
    initial = net.theta.detach().clone()
    started = time.perf_counter()
    first_steps(problem, net, settings)
    compiling = time.perf_counter() - started
    with torch.no_grad():
        net.theta.copy_(initial)
    result = fit(
        problem,
        net,
        Adam(steps, (problem.recipe.paper or problem.recipe).lr),
        options=Options(backend=TritonBackend.name),
    )
    return {
        "problem": name,
        "method": method,
        "layers": list(net.structure.layer_sizes),
        "parameters": net.structure.n_parameters,
        "steps": result.steps,
        "seconds": result.seconds,
        "seconds_of_first_steps": compiling,
        "coefficients": result.coefficients,
        **error_metrics(net.cpu(), name),
    }
