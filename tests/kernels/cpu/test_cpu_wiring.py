"""Gated and residual layers in C++ against the reference backend, and a training that ends alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from agreement import REFERENCE, agree, channel_sets, check_jets, check_losses
from cases import CASES, make
from float32_errors import check_errors, jacobian_errors, jets_errors
from helpers import random_points, random_theta

import psinn_fast as pf
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.activations import ACTIVATIONS
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.language.closed_form import ClosedForm
from psinn_fast.kernels.language.program import Instruction
from psinn_fast.networks.structure import Structure

each_wiring = pytest.mark.parametrize("wiring", ["gated", "residual"])
FEATURES = ClosedForm(2, (Instruction("cos", 1), Instruction("sin", 1)), (0, 2, 3))
SOME_OF_SIX = ChannelSet.closure(6, [(0, 2, 0, 0, 0, 1)])


def dense(wiring: str, d: int, width: int, depth: int, f: int, activation: str = "tanh") -> Structure:
    return Structure.dense([d, *[width] * depth, f], activation=activation, wiring=wiring)


@each_wiring
@pytest.mark.parametrize(
    ("d", "width", "depth", "f"), [(1, 1, 2, 1), (2, 7, 1, 3), (2, 19, 2, 1), (3, 8, 3, 2), (4, 5, 2, 1)]
)
def test_jets(backend: CpuBackend, wiring: str, d: int, width: int, depth: int, f: int) -> None:
    structure = dense(wiring, d, width, depth, f)
    theta = random_theta(structure, 1)
    for number, channels in enumerate(channel_sets(d).values()):
        check_jets(backend, structure.plan, theta, channels, (17, 31, 64, 15)[(number + depth) % 4])


@each_wiring
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(backend: CpuBackend, wiring: str, activation: str) -> None:
    structure = dense(wiring, 2, 9, 3, 1, activation)
    for name in ("laplacian", "some"):
        check_jets(backend, structure.plan, random_theta(structure, 1), channel_sets(2)[name], 33)


@each_wiring
@pytest.mark.parametrize("depth", [1, 3])
def test_inputs(backend: CpuBackend, wiring: str, depth: int) -> None:
    """An embedding, more coordinates than the first layer's own form takes, a centre and scales."""
    embedded = replace(dense(wiring, 3, 7, depth, 2), embedding=FEATURES, centre=(0.3,) * 3, output_scale=(2.0, 0.5))
    several = replace(dense(wiring, 6, 7, depth, 1), centre=(0.1,) * 6, input_scale=(2.0, *(1.0,) * 5))
    for structure, sets in (
        (embedded, channel_sets(2)),
        (several, {"own": ChannelSet.closure(6, [(0, 2, 0, 0, 0, 1)])}),
    ):
        plan, theta = structure.plan, random_theta(structure, 1)
        for channels in sets.values():
            x, n = random_points(37, plan.d_in, 1), len(channels)
            grad = random_points(37 * n, plan.d_out, 1).view(37, n, plan.d_out)
            ours, theirs = (b.jets(plan, theta, x, channels) for b in (backend, REFERENCE))
            agree(ours.unbind(1), theirs.unbind(1), 1e-11)
            agree(*(b.jets_backward(plan, theta, x, channels, grad, True) for b in (backend, REFERENCE)), 1e-11)


@each_wiring
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("width", "depth"), [(1, 1), (8, 2), (21, 3)])
def test_losses_and_jacobian(backend: CpuBackend, wiring: str, case: str, width: int, depth: int) -> None:
    plain, _, coefficients, terms, _ = make(case, (width,) * depth, 21)
    structure = plain.with_wiring(wiring)
    check_losses(backend, structure.plan, random_theta(structure, 3), coefficients, terms)


@each_wiring
def test_many_tiles(backend: CpuBackend, wiring: str) -> None:
    """Several panels and tiles a thread, sums of them, and terms with different channels in one step."""
    for case, n in (("laplace", 4609), ("periodic", 1501)):
        plain, _, coefficients, terms, _ = make(case, (6, 6), n)
        structure = plain.with_wiring(wiring)
        check_losses(backend, structure.plan, random_theta(structure, 3), coefficients, terms, jacobian=False)
    check_jets(backend, structure.plan, random_theta(structure, 3), channel_sets(2)["value"], 5000)


@each_wiring
def test_wide_layers(backend: CpuBackend, wiring: str) -> None:
    """Gradients that are summed over lanes tile by tile; tiles of one panel."""
    structure = dense(wiring, 2, 300, 2, 1)
    check_jets(backend, structure.plan, random_theta(structure, 1) / 10, channel_sets(2)["laplacian"], 33)


@each_wiring
@pytest.mark.parametrize("name", ["value", "laplacian", "heat", "some"])
def test_float32_jets(backend: CpuBackend, wiring: str, name: str) -> None:
    check_errors(*jets_errors(backend, dense(wiring, 3, 16, 3, 2), channel_sets(3)[name], 333, 4))


@each_wiring
@pytest.mark.parametrize("case", ["laplace", "periodic", "two outputs"])
def test_float32_jacobian(backend: CpuBackend, wiring: str, case: str) -> None:
    check_errors(*jacobian_errors(backend, make(case, (16, 16), 1)[0].with_wiring(wiring), case, 31, 4))


@each_wiring
@pytest.mark.trajectory
def test_training(wiring: str) -> None:
    """Gauss-Newton ends as it does with the reference."""
    box = pf.Box(x=(0, 1), y=(0, 1))
    pde = pf.PDE("x y", "u", lambda u, x, y: u.lap + 2 * sp.pi**2 * sp.sin(sp.pi * x) * sp.sin(sp.pi * y))
    walls = pf.Dirichlet(box.boundary(60), u=0.0, name="walls")
    problem = pf.Problem("bump", pde, box, [pf.Residual(box.random(300, seed=0)), walls])
    network = pf.Network("psi", structure=dense(wiring, 2, 8, 2, 1), dtype="float64")
    x = box.random(100, seed=5)
    exact = np.sin(np.pi * x[:, 0]) * np.sin(np.pi * x[:, 1])
    found = []
    for name in ("cpu", "reference"):
        options = pf.Options(backend=name, progress=False)
        solution = pf.solve(problem, network, pf.GaussNewton(60), options=options)
        assert solution.setup.backend == name
        found.append(np.asarray(solution(x))[:, 0])
        assert np.abs(found[-1] - exact).max() < 2e-3
    assert np.abs(found[0] - found[1]).max() < 1e-6
