"""`compile_kernels`: what a problem's training needs of a GPU's compiler, before it is trained."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from .building import Network, build_network
from .devices import find_device
from .kernels import check_compiler, check_fused, compile_for, get_backend
from .kernels.compiling import told_of_compiling
from .kernels.contract.precision import check_precision
from .kernels.errors import InputError
from .problem.problem import Problem
from .problems import as_problem
from .scaling.natural_units import as_trained
from .solving import solve
from .training.optimisers.adam import Adam
from .training.options import Options
from .training.points.point_orbits import one_point_per_orbit
from .training.protocol import Optimizer


class Compiled(NamedTuple):
    """``kernels``: how many a run needs that this process had not used; ``seconds``: until they were ready."""

    kernels: int
    seconds: float


def compile_kernels(
    problem: Problem | str,
    network: Network,
    optimizers: Sequence[Optimizer],
    precision: str | None = None,
    scaling: str | None = "auto",
) -> Compiled:
    """Compile the Triton kernels of a problem, as `solve` needs them, by training for as few steps as are given.

    They stay in Triton's cache, for all later processes of this user: other seeds, weights and numbers of points need
    no others. What is trained is thrown away.

    Args:
        problem, network: as for `solve`; the network's device is a GPU.
        optimizers: which train, of a step or two each.
        precision, scaling: as for `Options`.

    Raises:
        InputError: no such GPU; the network is not on one.
        BackendUnavailable: Triton cannot run on it, or interprets; the message says why.
        BackendLimit: the network is beyond the kernels' limits, or trains by another backend.
    """
    _check_gpu(network.device)
    check_compiler()
    get_backend("triton", network.device)
    problem = as_problem(problem)
    net = build_network(problem, replace(network, device="cpu"), scaling=scaling)
    check_fused(net.plan, [term.program.channels for term in problem.terms(net.theta.dtype)], net.theta.dtype)
    count = 0

    def note() -> None:
        nonlocal count
        count += 1

    began = time.perf_counter()
    with told_of_compiling(note):
        options = Options(backend="triton", precision=precision, scaling=scaling, progress=False)
        solve(problem, network, optimizers, options=options)
    return Compiled(count, time.perf_counter() - began)


def _check_gpu(device: torch.device | str) -> None:
    elsewhere = "--chip sm_89, for instance, compiles for a GPU that is not here"
    try:
        found = find_device(device)
    except InputError as error:
        raise InputError(f"{error}; {elsewhere}") from None
    if found.type == "cpu":
        raise InputError(f"device: kernels are compiled for a GPU, got 'cpu'; take 'cuda'; {elsewhere}")


def compile_for_chip(
    problem: Problem | str,
    network: Network,
    optimizers: Sequence[Optimizer],
    chip: str,
    precision: str | None = None,
    scaling: str | None = "auto",
) -> Compiled:
    """Compile the kernel of Adam's steps for a chip that need not be here, such as ``"sm_89"``.

    Of all kernels it takes longest; a launch on that chip finds it in Triton's cache, if that is the same folder there
    or a copy of it, and Triton is the same version. The network is `compile_kernels`'s, built on the CPU.

    Raises:
        InputError: an unknown chip; another optimiser than Adam; a precision that networks of float64 do not have.
        BackendUnavailable, BackendLimit: see `compile_kernels`.
    """
    if not all(isinstance(one, Adam) for one in optimizers):
        raise InputError("chip: only Adam's kernel can be compiled for a chip that is not here; give --optimizer adam")
    began = time.perf_counter()
    problem, here = as_problem(problem), replace(network, device="cpu", dtype=network.dtype or torch.float32)
    net = build_network(problem, here, scaling=scaling)
    precision = check_precision(net.precision if precision is None else precision, net.theta.dtype)
    trained = as_trained(problem, net, scaling)
    terms = one_point_per_orbit(trained, net, trained.terms(net.theta.dtype), get_backend())
    compile_for(chip, net.plan.without_slopes, terms, len(trained.pde.unknown), precision)
    return Compiled(1, time.perf_counter() - began)
