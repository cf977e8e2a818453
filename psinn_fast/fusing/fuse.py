"""`fuse`: a loss written for PyTorch, with nested gradients, as one fused pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn

from ..kernels.errors import InputError, short
from ..language.names import Names, split_names
from ..language.reads import Reads
from ..networks.mlp import PsiMLP, check_network
from .as_problem import planned
from .fused import Fused, Recording
from .recorder import Recorder
from .squares import as_squares
from .symbols import Symbols

_COORDS = ("x", "y", "z", "w")
# Of a network's parameters, relative to their size: where the recorded loss is compared with the function.
_PERTURBATION = 0.3
# What float32 and float64 may differ by, of losses and of gradients.
_TOLERANCES = {torch.float32: (1e-3, 1e-2), torch.float64: (1e-8, 1e-6)}


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
        net: a `PsiMLP` or `MLP`, or a module that holds one (`accelerate` makes it) and nothing else that is
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
    losses = _losses(returned, recorder)
    squares = as_squares(symbols, losses)
    for tensor, _ in symbols.coefficients.values():
        if id(tensor) in recorder.consumed:
            where = recorder.consumed[id(tensor)][1]
            raise InputError(
                f"loss_fn: {where}: a trained number is used under torch.no_grad, which stops its gradient"
            )
    if (untrained := recorder.untrained(losses.values())) is not None:
        raise InputError(
            f"loss_fn: a tensor {tuple(untrained.shape)} requires a gradient, which a fused loss would not give: "
            "trained beside the network are nn.Parameter of up to 64 numbers; where it needs none, give tensor.detach()"
        )
    names = _coefficient_names(loss_fn, net, symbols)
    renamed = {symbol: sp.Symbol(own_name, real=True) for symbol, own_name in names.items()}
    plans = tuple(planned(symbols, term, renamed) for term in squares.terms)
    written = [(tensor, "the constants of the loss") for tensor in symbols.written.values()]
    recording = Recording(
        own, symbols, plans, squares.constants, names, [*recorder.consumed.values(), *written], recorder.decisions
    )
    title = name or getattr(loss_fn, "__name__", "fused").strip("<>") or "fused"
    fused = Fused(recording, net, backend, title)
    again = Recorder(own, Symbols(symbols.coords, symbols.fields), tensors)
    _compare(fused, loss_fn, net, tensors, again)
    # What is another object the next time was made by code that is not watched: a script of torch.jit, for instance.
    recording.has_unseen = any(key not in again.met and key not in symbols.made for key in recorder.met)
    symbols.forget()
    fused.hold_to(lambda: Reads.of(loss_fn, net, arrays=False))
    return fused


def _numpy_state() -> str:
    return repr(np.random.get_state())  # noqa: NPY002  # users draw from the global generator


def _network_in(net: object) -> PsiMLP:
    found = [part for part in net.modules() if isinstance(part, PsiMLP)] if isinstance(net, nn.Module) else []
    if len(found) != 1:
        raise InputError(
            f"net: expected a PsiMLP or MLP, or a module that holds one, got {type(net).__name__} with "
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
            raise InputError(own.fault)
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
        free = (own for j in count(i) if (own := f"coefficient{j}") not in taken)
        names[symbol] = name if name not in taken and _is_name(name) else next(free)
        taken.add(names[symbol])
    return names


def _is_name(name: str) -> bool:
    try:
        return split_names((name,), "coefficient") == (name,)
    except InputError:
        return False


def _compare(
    fused: Fused, loss_fn: Callable[..., Any], net: nn.Module, tensors: tuple[Tensor, ...], again: Recorder
) -> None:
    """At two other weights.

    Raises:
        InputError: the function's loss, or its gradient, is another one.
    """
    parameters = list(fused.net.parameters())
    generator = torch.Generator().manual_seed(0)
    wanted = [*parameters, *fused.coefficients]
    of_loss, of_gradient = _TOLERANCES[fused.net.theta.dtype]
    for watching in (again.watching, nullcontext):
        with _perturbed(parameters, generator), torch.enable_grad(), _requiring_grad(parameters):
            with watching():
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
