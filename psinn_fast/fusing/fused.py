"""`fuse`: a loss written for PyTorch, with nested gradients, as one fused pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn

from ..kernels import get_backend
from ..kernels.contract import Term
from ..kernels.errors import GradientError, InputError, short
from ..language.names import Names, split_names
from ..language.reads import Reads
from ..networks.mlp import PsiMLP, check_network
from ..problem.problem import Problem
from .as_problem import TermPlan, planned, problem_of
from .recorder import Recorder
from .squares import Constant, as_squares
from .symbols import Symbols

_COORDS = ("x", "y", "z", "w")
# Of a network's parameters, relative to their size: where the recorded loss is compared with the function.
_PERTURBATION = 0.3
# What float32 and float64 may differ by, of losses and of gradients.
_TOLERANCES = {torch.float32: (1e-3, 1e-2), torch.float64: (1e-8, 1e-6)}


class Fused:
    """A loss that was recorded by `fuse`.

    Calling it gives the loss, (), with gradients for ``net.theta`` and the trained coefficients, in one pass of the
    kernels; not for points, and not to be differentiated again (a `GradientError`). It sees in-place changes of the
    tensors that were given or read.

    Attributes:
        net: the network.
        coefficients: the trained tensors beside it.
    """

    def __init__(
        self, net: PsiMLP, symbols: Symbols, plans: Sequence[TermPlan], constants: Sequence[Constant],
        recorder: Recorder, names: Mapping[sp.Symbol, str], backend: str, title: str,
    ) -> None:  # fmt: skip
        self.net, self._symbols, self._plans, self._constants = net, symbols, plans, constants
        self._recorder, self._names, self._backend, self._title = recorder, names, backend, title
        self._reads: Callable[[], Reads] | None = None
        self._terms: tuple[list[Term], Tensor] | None = None
        self._make()

    @property
    def coefficients(self) -> tuple[Tensor, ...]:
        return tuple({id(tensor): tensor for tensor, _ in self._symbols.coefficients.values()}.values())

    @property
    def problem(self) -> Problem:
        """The loss as a problem: its terms, points and residuals, as `describe` shows them.

        Raises:
            InputError: a tensor has changed through which operations went that were not recorded.
        """
        self._follow()
        return self._problem

    def describe(self) -> str:
        """The residuals that were found, term by term, and the derivatives they need."""
        return self.problem.describe()

    def __str__(self) -> str:
        return self.describe()

    def __call__(self) -> Tensor:
        """
        Raises:
            InputError: a tensor has changed through which operations went that were not recorded.
        """
        self._follow()
        theta = self.net.theta
        if self._terms is None or self._terms[1].dtype != theta.dtype or self._terms[1].device != theta.device:
            terms = self._problem.terms(theta.dtype, theta.device)
            self._terms = terms, self._problem.weights(theta.dtype, theta.device)
        tensors = self.coefficients
        # torch leaves Function.apply without types.
        total: Tensor = _Loss.apply(self, theta, *tensors)  # type: ignore[no-untyped-call]
        return total

    def numbers(self, like: Tensor) -> Tensor:
        """(K,): the trained numbers beside the network, as they are now."""
        own = [tensor.detach().reshape(-1)[k] for tensor, k in self._symbols.coefficients.values()]
        return torch.stack([value.to(like) for value in own]) if own else like.new_empty(0)

    def set_coefficients(self, values: Mapping[str, float]) -> None:
        """Write what `fit` found, by name, into the tensors."""
        with torch.no_grad():
            for symbol, (tensor, k) in self._symbols.coefficients.items():
                tensor.view(-1)[k] = values[self._names[symbol]]

    def start(self) -> dict[str, float]:
        """The trained numbers beside the network, by name."""
        return {self._names[s]: float(t.detach().reshape(-1)[k]) for s, (t, k) in self._symbols.coefficients.items()}

    def _make(self) -> None:
        """From the tensors as they are now."""
        self._versions = self._now()
        self._problem = problem_of(self._title, self._symbols, self._plans, self.start())
        self._offset = sum(constant.value(self._symbols) for constant in self._constants)
        self._terms = None

    def _now(self) -> dict[int, int]:
        return {id(tensor): tensor._version for tensor in self._symbols.tensors}

    def hold_to(self, reads: Callable[[], Reads]) -> None:
        """From now on numbers of Python's that the function reads are to stay what they are."""
        self._reads, self._read = reads, reads()

    def _follow(self) -> None:
        if self._reads is not None:
            for place, was, is_now in self._reads().changes(self._read):
                raise InputError(
                    f"fused loss: its function reads {place}, which was {was} when it was recorded, and is "
                    f"{is_now} now; change a tensor in place instead (tensor.data.copy_(...)), which is seen, or fuse "
                    "the loss anew"
                )
        written = ((tensor, version, "the constants of the loss") for tensor, version in self._symbols.written.values())
        for tensor, version, line in (*self._recorder.consumed.values(), *written):
            if tensor._version != version:
                raise InputError(
                    f"fused loss: a tensor {tuple(tensor.shape)} has changed since the loss was recorded, and went "
                    f"through operations that were not, at {line}; give it to the loss function as an argument of "
                    "fuse, or fuse the loss anew"
                )
        now = self._now()
        if now == self._versions:
            return
        if self._recorder.fixed:
            raise InputError(
                "fused loss: points or data have changed since the loss was recorded, which holds for those alone that "
                f"it had: because of {self._recorder.fixed}; fuse the loss anew"
            )
        self._make()

    def _evaluated(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert self._terms is not None
        terms, weights = self._terms
        engine = get_backend(self._backend, theta.device)
        found = engine.loss_and_gradient(self.net.plan, theta, self.numbers(theta), terms, weights)
        return weights @ found.losses + self._offset, found.theta, found.coefficients


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, fused: Fused, theta: Tensor, *tensors: Tensor) -> Tensor:
        total, theta_bar, coefficients_bar = fused._evaluated(theta.detach())
        bars = [torch.zeros_like(tensor) for tensor in tensors]
        places = {id(tensor): bar for tensor, bar in zip(tensors, bars, strict=True)}
        for value, (tensor, k) in zip(coefficients_bar, fused._symbols.coefficients.values(), strict=True):
            places[id(tensor)].view(-1)[k] = value
        ctx.save_for_backward(theta_bar, *bars)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise GradientError(
                "fused loss: it is differentiated once, and create_graph=True asks for more; differentiate the loss "
                "function itself"
            )
        return None, *(grad.to(bar) * bar for bar in ctx.saved_tensors)


def fuse(
    loss_fn: Callable[..., Tensor | Mapping[str, Tensor]],
    net: nn.Module,
    *tensors: Tensor,
    coords: Names | None = None,
    fields: Names | None = None,
    name: str | None = None,
    backend: str = "auto",
) -> Fused:
    """A loss written for PyTorch, as one fused pass through the network, its derivatives, residuals and gradients.

        def loss_fn(net, points):
            u = net(points)
            gradient = torch.autograd.grad(u.sum(), points, create_graph=True)[0]
            ...
            return (residual**2).mean() + 10 * F.mse_loss(net(boundary), target)

        fused = pf.fuse(loss_fn, net, points)
        fused().backward()                      # in any training loop of torch
        pf.fit(fused, pf.GaussNewton(300))      # or whole trainings

    The function is called on these very tensors and watched: calls of the network (and `derivatives`), nested
    `torch.autograd.grad`, pointwise arithmetic, slices, joins and sums become one residual program. Then it is called
    twice more at other weights, where loss and gradient must be what the program gives.

    Args:
        loss_fn: from the network and the tensors to the loss, a sum over points of squares; or to several by name,
            whose sum is the loss.
        net: a `PsiMLP` or `TanhMLP`, or a module that holds one (`accelerate` makes it) and nothing else that is
            trained but a few numbers.
        tensors: points and data, with one row for each point. Tensors that the function reads from elsewhere may be
            given numbers; trained are those that require a gradient: `nn.Parameter`, and tensors of one number.
        coords, fields: names of the network's inputs and outputs, for what `Fused.describe` says.
        name: of the problem that results, in files and titles; None: the function's.
        backend: see `available_backends`.

    Raises:
        InputError: the loss cannot be computed point by point, or is no sum of squares: the message names the operation
            and its line; it depends on random numbers or on decisions; what the program gives is not what the function
            gives. Nothing is approximated.
    """
    if not callable(loss_fn):
        raise InputError(f"loss_fn: expected a function, got {short(loss_fn)}")
    own = _network_in(net)
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise InputError(f"tensors[{i}]: expected a torch.Tensor, got {short(tensor)}")
    d, n_fields = own.structure.n_inputs, own.structure.n_outputs
    symbols = Symbols(
        _names("coords", coords, _COORDS[:d] if d <= len(_COORDS) else tuple(f"x{i}" for i in range(d)), d),
        _names("fields", fields, ("u",) if n_fields == 1 else tuple(f"u{i}" for i in range(n_fields)), n_fields),
    )
    recorder = Recorder(own, symbols, tensors)
    before = _numpy_state()
    with torch.enable_grad(), recorder.watching():
        returned = loss_fn(net, *tensors)
    if before != _numpy_state():
        raise InputError("loss_fn: it draws random numbers by numpy, which would be the same at every step")
    squares = as_squares(symbols, _losses(returned, recorder))
    names = _coefficient_names(loss_fn, net, symbols)
    renamed = {symbol: sp.Symbol(own_name, real=True) for symbol, own_name in names.items()}
    plans = tuple(planned(symbols, term, renamed) for term in squares.terms)
    title = name or getattr(loss_fn, "__name__", "fused").strip("<>") or "fused"
    fused = Fused(own, symbols, plans, squares.constants, recorder, names, backend, title)
    _compare(fused, loss_fn, net, tensors)
    fused.hold_to(lambda: Reads.of(loss_fn, net, arrays=False))
    return fused


def _numpy_state() -> str:
    return repr(np.random.get_state())  # noqa: NPY002  # users draw from the global generator


def _network_in(net: object) -> PsiMLP:
    found = [part for part in net.modules() if isinstance(part, PsiMLP)] if isinstance(net, nn.Module) else []
    if len(found) != 1:
        raise InputError(
            f"net: expected a PsiMLP or TanhMLP, or a module that holds one, got {type(net).__name__} with "
            f"{len(found)}; pf.accelerate(net) puts one in the place of every nn.Sequential(Linear, Tanh, ..., Linear)"
        )
    return check_network(found[0])


def _names(what: str, given: Names | None, default: tuple[str, ...], n: int) -> tuple[str, ...]:
    if given is None:
        return default
    names = split_names(given, what)
    if len(names) != n:
        raise InputError(f"{what}: the network has {n}, got {len(names)} names {list(names)}")
    return names


def _losses(returned: Any, recorder: Recorder) -> dict[str, sp.Expr]:
    by_name = dict(returned) if isinstance(returned, Mapping) else {"": returned}
    found = {}
    for name, loss in by_name.items():
        what = f"loss_fn: what it returns{f' as {name!r}' if name else ''}"
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"a tensor {tuple(loss.shape)}" if isinstance(loss, Tensor) else short(loss)
            raise InputError(f"{what}: expected one number, a torch.Tensor, got {got}")
        own = recorder.of(loss)
        if own is None:
            raise InputError(f"{what} does not depend on the network")
        if own.fault:
            raise InputError(f"loss_fn: {own.fault}")
        if own.batch:
            raise InputError(f"{what}: expected a sum or mean over points")
        found[str(name)] = own.items.reshape(-1)[0]
    return found


def _coefficient_names(loss_fn: Callable[..., Any], net: nn.Module, symbols: Symbols) -> dict[sp.Symbol, str]:
    """As the function's variables or the module's parameters are called, where it can be seen."""
    try:
        read = inspect.getclosurevars(loss_fn)
        variables = {id(value): name for name, value in {**read.globals, **read.nonlocals}.items()}
    except TypeError:
        variables = {}
    variables = {id(own): name.rpartition(".")[2] for name, own in net.named_parameters()} | variables
    taken = {*symbols.coords, *symbols.fields}
    names: dict[sp.Symbol, str] = {}
    for i, (symbol, (tensor, k)) in enumerate(symbols.coefficients.items()):
        name = variables.get(id(tensor), "").replace("_", "")
        name = name if tensor.numel() == 1 else f"{name}{k}"
        names[symbol] = name if name not in taken and _is_name(name) else f"coefficient{i}"
        taken.add(names[symbol])
    return names


def _is_name(name: str) -> bool:
    try:
        return split_names((name,), "coefficient") == (name,)
    except InputError:
        return False


def _compare(fused: Fused, loss_fn: Callable[..., Any], net: nn.Module, tensors: tuple[Tensor, ...]) -> None:
    """At two other weights.

    Raises:
        InputError: the function's loss, or its gradient, is another one.
    """
    parameters = list(fused.net.parameters())
    generator = torch.Generator().manual_seed(0)
    wanted = [*parameters, *fused.coefficients]
    of_loss, of_gradient = _TOLERANCES[fused.net.theta.dtype]
    for _ in range(2):
        with _perturbed(parameters, generator), torch.enable_grad(), _requiring_grad(parameters):
            returned = loss_fn(net, *tensors)
            parts = list(returned.values()) if isinstance(returned, Mapping) else [returned]
            expected = sum((part.reshape(()) for part in parts[1:]), parts[0].reshape(()))
            gradients = torch.autograd.grad(expected, wanted, allow_unused=True, materialize_grads=True)
            got = fused()
            own = torch.autograd.grad(got, wanted)
        expected, got = expected.detach(), got.detach()
        if not bool(torch.isfinite(expected)):
            continue
        exact = torch.cat([g.reshape(-1) for g in gradients]).double()
        error = torch.cat([g.reshape(-1).to(exact) for g in own]) - exact
        is_same = abs(float(got) - float(expected)) <= of_loss * abs(float(expected))
        if not is_same or not float(error.norm()) <= of_gradient * float(exact.norm()):
            raise InputError(
                f"loss_fn: what was recorded is not what the function computes: at other weights it gives "
                f"{float(expected):.6g}, the recording {float(got):.6g} (gradients differ by {float(error.norm()):.2g} "
                f"of {float(exact.norm()):.2g}). It may decide by numbers or by how often it was called, or "
                f"differentiate by a tensor that the network also sees in another way. Recorded was: {fused}"
            )


@contextmanager
def _perturbed(parameters: Sequence[Tensor], generator: torch.Generator) -> Any:
    kept = [parameter.detach().clone() for parameter in parameters]
    try:
        with torch.no_grad():
            for parameter, own in zip(parameters, kept, strict=True):
                size = _PERTURBATION * float(own.square().mean().sqrt() or 1.0)
                noise = torch.randn(own.shape, generator=generator, dtype=torch.float64)
                parameter.add_(size * noise.to(own))
        yield
    finally:
        with torch.no_grad():
            for parameter, own in zip(parameters, kept, strict=True):
                parameter.copy_(own)


@contextmanager
def _requiring_grad(parameters: Sequence[Tensor]) -> Any:
    before = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_(True)
        yield
    finally:
        for parameter, own in zip(parameters, before, strict=True):
            parameter.requires_grad_(own)
