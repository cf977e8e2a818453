"""Does this machine compute right? For ``psinn-fast doctor --self-test``: a few seconds, no test suite needed.

Every backend and instruction set that can run here against nested autograd in float64, at small sizes. float32 may have
twice the error of plain float32 PyTorch, averaged over several networks; float64 is compared to 1e-12.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from ..domains import Box
from ..kernels import available_backends, get_backend
from ..kernels.contract import AdamState, Backend, Term
from ..kernels.cpu.extension import ISA_VARIABLE, instruction_sets
from ..kernels.errors import TrainingError
from ..kernels.language.channels import ChannelSet, MultiIndex
from ..kernels.triton import machine as triton_machine
from ..networks.groups import SignedPermutation, Symmetry, structure_from_group
from ..networks.mlp import PsiMLP
from ..networks.published import published_structure
from ..networks.structure import Structure
from ..problem.conditions import Dirichlet, Residual
from ..problem.pde import PDE
from ..problem.problem import Problem
from ..training.fitting import fit
from ..training.metrics import error_metrics
from ..training.optimisers.gauss_newton import GaussNewton
from ..training.optimisers.gauss_newton_settings import Tuning
from ..training.options import Options

# Float32 results depend on luck: errors are means over so many weights, and none has to be below two units of the last
# place, however lucky PyTorch was.
_DRAWS = 8
_ROUNDING = 2.0**-22
# Of results that are sums of some hundred products, relative to the largest.
_FLOAT64_BAR = 1e-12
_POINTS, _ADAM_STEPS = 23, 5
# u = sin(pi x) by Gauss-Newton: the error is then 1.5e-4.
_SOLVE_STEPS, _SOLVE_BAR = 40, 1e-2


@dataclass(frozen=True)
class Check:
    """One comparison: ``error``, relative, of the worst part of a result against its ``bar``.

    Attributes:
        engine: backend and, if it has several, instruction set.
        dtype: "float32" or "float64".
        name: what was computed.
        failure: the exception that came in place of a result; the error is then None.
    """

    engine: str
    dtype: str
    name: str
    error: float | None
    bar: float
    failure: str | None = None

    @property
    def passed(self) -> bool:
        return self.error is not None and self.error <= self.bar  # false for NaN

    def __str__(self) -> str:
        found = f"failed: {self.failure}" if self.error is None else f"error {self.error:.1e}  bar {self.bar:.1e}"
        return f"{self.engine:13s} {self.dtype}  {self.name:32s} {found}  {'ok' if self.passed else 'WRONG'}"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings; an error that is not finite is None."""
        error = self.error if self.error is not None and np.isfinite(self.error) else None
        return {**vars(self), "error": error, "passed": self.passed}


def self_test() -> Iterator[Check]:
    """The checks, each as soon as it is done."""
    tried = cases()
    for engine in _engines():
        with instruction_set(engine.isa):
            for dtype in (torch.float32, torch.float64):
                for case in tried:
                    yield _checked(engine, dtype, case.name, partial(case.error_and_bar, engine, dtype))
            yield _checked(engine, torch.float64, "Gauss-Newton, u'' = f", partial(_solve, engine))


class _Engine(NamedTuple):
    name: str
    backend: Backend
    device: torch.device
    isa: str | None = None


def _engines() -> Iterator[_Engine]:
    for name, reason in available_backends().items():
        if reason is not None:
            continue
        backend = get_backend(name)
        is_on_cpu = name in triton_machine.BY_TRITON and triton_machine.stand_in() is not None
        device = torch.device("cpu" if is_on_cpu else (backend.device_types or ("cpu",))[0])
        for isa in instruction_sets() if name == "cpu" else (None,):
            yield _Engine(f"{name} {isa}" if isa else name, backend, device, isa)


@contextmanager
def instruction_set(isa: str | None) -> Iterator[None]:
    """Within, the C++ kernels use this instruction set: they look at the variable at each call."""
    before = os.environ.get(ISA_VARIABLE)
    if isa is not None:
        os.environ[ISA_VARIABLE] = isa
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ISA_VARIABLE, None)
        else:
            os.environ[ISA_VARIABLE] = before


def _checked(engine: _Engine, dtype: torch.dtype, name: str, measure: Callable[[], tuple[float, float]]) -> Check:
    label = str(dtype).removeprefix("torch.")
    try:
        return Check(engine.name, label, name, *measure())
    except Exception as error:
        # What ended the small training is said by itself.
        cause = error.__cause__ if isinstance(error, TrainingError) and error.__cause__ else error
        return Check(engine.name, label, name, None, 0.0, f"{type(cause).__name__}: {cause}")


class Computation(Protocol):
    """The same results twice: by a backend, and by autograd in the precision of ``theta``."""

    structure: Structure

    def by_engine(self, engine: _Engine, theta: Tensor) -> list[Tensor]: ...

    def by_autograd(self, theta: Tensor) -> list[Tensor]: ...


class Case:
    """A computation at several weights, with what float64 autograd finds and how far float32 PyTorch is from it."""

    def __init__(self, name: str, computation: Computation) -> None:
        self.name, self._computation = name, computation
        structure = computation.structure
        # Weights that float32 holds exactly, so that both precisions mean the same network.
        self._thetas = [PsiMLP(structure, seed=draw, dtype=torch.float32).theta.detach() for draw in range(_DRAWS)]
        self._exact = [computation.by_autograd(theta.double()) for theta in self._thetas]
        plain = [_errors(computation.by_autograd(theta), exact) for theta, exact in self._pairs()]
        self._bars = 2 * torch.tensor(plain).mean(0).clamp_min(_ROUNDING)

    def error_and_bar(self, engine: _Engine, dtype: torch.dtype) -> tuple[float, float]:
        """Of the part of the result that comes closest to its bar, or exceeds it most."""
        found = [
            _errors(self._computation.by_engine(engine, theta.to(engine.device, dtype)), exact)
            for theta, exact in self._pairs()
        ]
        errors = torch.tensor(found).mean(0)
        bars = self._bars if dtype == torch.float32 else torch.full_like(errors, _FLOAT64_BAR)
        worst = int((errors / bars).nan_to_num(nan=torch.inf).argmax())
        return float(errors[worst]), float(bars[worst])

    def _pairs(self) -> Iterator[tuple[Tensor, list[Tensor]]]:
        return zip(self._thetas, self._exact, strict=True)


def _errors(found: Sequence[Tensor], exact: Sequence[Tensor]) -> list[float]:
    return [
        float((value.detach().cpu().double() - reference).norm() / reference.norm())
        for value, reference in zip(found, exact, strict=True)
    ]


def cases() -> list[Case]:
    """Every operation on networks of both kinds, dense and tied."""
    even_y, odd_x = Symmetry(SignedPermutation.flip(2, 1), (1,)), Symmetry(SignedPermutation.flip(2, 0), (-1,))
    networks = {
        "dense 2-8-8-1": Structure.dense([2, 8, 8, 1]),
        "dense 3-17-2": Structure.dense([3, 17, 2]),
        "even in y, published": published_structure("laplace").with_width(3),
        "even in y, odd in x": structure_from_group([even_y, odd_x], (2, 2)),
    }
    burgers = published_structure("burgers").with_width(3)
    return [
        *(Case(f"jets, {name}", Jets(structure)) for name, structure in networks.items()),
        Case("loss and gradient, dense", Loss(Structure.dense([2, 8, 8, 1]))),
        Case("loss and gradient, odd", Loss(burgers)),
        Case(f"{_ADAM_STEPS} Adam steps, odd", AdamSteps(burgers)),
        Case("Jacobian, odd", Jacobian(burgers)),
        Case("Gram matrix", Gram(burgers)),
    ]


def _random(*shape: int, seed: int = 0) -> Tensor:
    """In [-1, 1], held exactly by float32."""
    return torch.empty(shape).uniform_(-1, 1, generator=torch.Generator().manual_seed(seed)).double()


def _network(structure: Structure, theta: Tensor, x: Tensor) -> Tensor:
    """Plain PyTorch."""
    *hidden, (weight, bias) = structure.expand(theta)
    for hidden_weight, hidden_bias in hidden:
        x = torch.tanh(x @ hidden_weight.T + hidden_bias)
    return x @ weight.T + bias


def _derivative(u: Tensor, x: Tensor, index: MultiIndex) -> Tensor:
    for axis, order in enumerate(index):
        for _ in range(order):
            u = torch.autograd.grad(u.sum(), x, create_graph=True)[0][:, axis]
    return u


class Jets:
    """Derivatives of orders 0 to 4, each order by itself, and the gradients of a weighted sum of the first three."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        d = structure.n_inputs
        wanted = [(4, *(0,) * (d - 1)), (2, 2, *(0,) * (d - 2)), (1,) * d]
        self._channels = ChannelSet.closure(d, wanted)
        self._indices: list[MultiIndex] = [index for index in self._channels.channels if not hasattr(index, "axes")]
        self._x = _random(_POINTS, d)
        self._orders = torch.tensor([sum(index) for index in self._indices])
        weights = _random(_POINTS, len(self._indices), structure.n_outputs, seed=1)
        self._weights = weights * (self._orders <= 2)[:, None]

    def by_engine(self, engine: _Engine, theta: Tensor) -> list[Tensor]:
        plan, x = self.structure.plan, self._x.to(theta)
        jets = engine.backend.jets(plan, theta, x, self._channels)
        gradients = engine.backend.jets_backward(plan, theta, x, self._channels, self._weights.to(theta), True)
        return [*self._by_order(jets), *(g for g in gradients if g is not None)]

    def by_autograd(self, theta: Tensor) -> list[Tensor]:
        theta, x = theta.clone().requires_grad_(), self._x.to(theta).requires_grad_()
        u = _network(self.structure, theta, x)
        jets = torch.stack(
            [torch.stack([_derivative(field, x, index) for field in u.unbind(1)], 1) for index in self._indices], 1
        )
        gradients = torch.autograd.grad((jets * self._weights.to(theta)).sum(), (theta, x))
        return [*self._by_order(jets.detach()), *gradients]

    def _by_order(self, jets: Tensor) -> list[Tensor]:
        return [jets[:, self._orders.to(jets.device) == order] for order in range(5)]


class _Burgers:
    """u_t + u u_x - nu u_xx = 0 with nu unknown, and u = -x at some points; both as terms and in plain PyTorch."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        box = Box(t=(-1, 1), x=(-1, 1))
        self._inside, self._edge = _random(_POINTS, 2), _random(_POINTS, 2, seed=1)
        pde = PDE("t x", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, unknown={"nu": 0.25})
        conditions = [Residual(self._inside.numpy()), Dirichlet(self._edge.numpy(), u=lambda t, x: -x, weight=2.0)]
        self._problem = Problem("self test", pde, box, conditions)

    def terms(self, theta: Tensor) -> list[Term]:
        return self._problem.terms(theta.dtype, theta.device)

    def weights(self, theta: Tensor) -> Tensor:
        return self._problem.weights(theta.dtype, theta.device)

    def nu(self, theta: Tensor) -> Tensor:
        return self._problem.initial_coefficients(theta.dtype, theta.device)

    def residuals(self, theta: Tensor, nu: Tensor) -> tuple[Tensor, Tensor]:
        x, edge = self._inside.to(theta).requires_grad_(), self._edge.to(theta)
        u = _network(self.structure, theta, x)[:, 0]
        u_t, u_x, u_xx = (_derivative(u, x, index) for index in ((1, 0), (0, 1), (0, 2)))
        return u_t + u * u_x - nu * u_xx, _network(self.structure, theta, edge)[:, 0] + edge[:, 1]


class Loss(_Burgers):
    """Both losses, and the gradient for the weights and nu."""

    def by_engine(self, engine: _Engine, theta: Tensor) -> list[Tensor]:
        found = engine.backend.loss_and_gradient(
            self.structure.plan, theta, self.nu(theta), self.terms(theta), self.weights(theta)
        )
        return [found.losses, torch.cat([found.theta, found.coefficients])]

    def by_autograd(self, theta: Tensor) -> list[Tensor]:
        theta, nu = theta.clone().requires_grad_(), self.nu(theta).requires_grad_()
        losses = torch.stack([r.square().mean() for r in self.residuals(theta, nu)])
        return [losses.detach(), torch.cat(torch.autograd.grad(losses[0] + 2 * losses[1], (theta, nu)))]


class AdamSteps(_Burgers):
    """The losses before each step, the weights and nu after the last."""

    def by_engine(self, engine: _Engine, theta: Tensor) -> list[Tensor]:
        state = AdamState(theta.clone(), self.nu(theta), lr=1e-2)
        report = engine.backend.train(self.structure.plan, state, self.terms(theta), self.weights(theta), _ADAM_STEPS)
        return [report.losses[:, :2], state.theta, state.coefficients]

    def by_autograd(self, theta: Tensor) -> list[Tensor]:
        theta, nu = theta.clone().requires_grad_(), self.nu(theta).requires_grad_()
        adam, history = torch.optim.Adam([theta, nu], lr=1e-2), []
        for _ in range(_ADAM_STEPS):
            losses = torch.stack([r.square().mean() for r in self.residuals(theta, nu)])
            theta.grad, nu.grad = torch.autograd.grad(losses[0] + 2 * losses[1], (theta, nu))
            adam.step()
            history.append(losses.detach())
        return [torch.stack(history), theta.detach(), nu.detach()]


class Jacobian(_Burgers):
    """Residuals of the equation and their derivatives by every weight and nu."""

    def by_engine(self, engine: _Engine, theta: Tensor) -> list[Tensor]:
        term = self.terms(theta)[0]
        residuals, jacobian = engine.backend.residual_jacobian(self.structure.plan, theta, self.nu(theta), term)
        return [residuals[:, 0], jacobian[:, 0]]

    def by_autograd(self, theta: Tensor) -> list[Tensor]:
        theta, nu = theta.clone().requires_grad_(), self.nu(theta).requires_grad_()
        residuals = self.residuals(theta, nu)[0]
        rows = [torch.cat(torch.autograd.grad(r, (theta, nu), retain_graph=True)) for r in residuals]
        return [residuals.detach(), torch.stack(rows)]


class Gram:
    """[J r]^T [J r] of random numbers, made from the weights so that every draw has others."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure

    def by_engine(self, engine: _Engine, theta: Tensor) -> list[Tensor]:
        both = self._both(theta)
        n = both.shape[1] - 1
        gram = both.new_zeros(n + 1, n + 1)
        engine.backend.add_gram(gram, both[:, :n].contiguous(), both[:, n].contiguous())
        return [gram.tril()]

    def by_autograd(self, theta: Tensor) -> list[Tensor]:
        both = self._both(theta)
        return [(both.T @ both).tril()]

    @staticmethod
    def _both(theta: Tensor) -> Tensor:
        return theta[:30] + _random(300, 30).to(theta)


def _solve(engine: _Engine) -> tuple[float, float]:
    """u'' = -pi^2 sin(pi x), u = 0 at both ends: the relative error of the solution."""
    box = Box(x=(-1, 1))
    pde = PDE("x", "u", lambda u, x: u.xx + sp.pi**2 * sp.sin(sp.pi * x))
    conditions = [Residual(box.grid(41)), Dirichlet([[-1.0], [1.0]], u=0.0)]
    problem = Problem("self test", pde, box, conditions, exact=lambda x: np.sin(np.pi * x))
    net = PsiMLP(Structure.dense([1, 8, 1]), seed=0, dtype=torch.float64, device=engine.device)
    fit(problem, net, GaussNewton(_SOLVE_STEPS, tuning=Tuning(starts=1)), options=Options(backend=engine.backend.name))
    error = error_metrics(net, problem, engine.backend.name)["relative_l2"]
    assert isinstance(error, float)
    return error, _SOLVE_BAR
