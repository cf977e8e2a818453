"""Backends by name. Asked for by name, a backend that cannot run raises and says why; only "auto" chooses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from .. import checks
from ..cpu.backend import CpuBackend
from ..devices import DEVICE_TYPES, check_there, computing_device
from ..errors import BackendLimit, BackendUnavailable, InputError, say_once, short
from ..language.channels import ChannelSet
from ..network.plan import Plan
from ..reference.backend import ReferenceBackend
from ..triton.backend import TritonBackend
from ..triton.gemm import GemmBackend
from .base import OPERATIONS, Backend
from .precision import IEEE, PRECISIONS, check_precision, coarsest
from .returned import reason
from .watching import Watched

_REFERENCE = ReferenceBackend()
# In order of preference for "auto".
BACKENDS: dict[str, Backend] = {
    "triton": TritonBackend(),
    "gemm": GemmBackend(),
    "cpu": CpuBackend(),
    "reference": _REFERENCE,
}
BUILT_IN = tuple(BACKENDS)
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
# Registered ones that "auto" does not consider.
BY_NAME_ONLY: set[str] = set()
# Whether the networks at work are the library's own (`networks_of_the_library`).
_IS_OURS: ContextVar[bool] = ContextVar("is_ours", default=False)


def available_backends() -> dict[str, str | None]:
    """Every backend's name with None, or the reason why it cannot run here."""
    return {name: _why_not(backend) for name, backend in BACKENDS.items()}


def register_backend(backend: Backend, *, automatic: bool = False) -> None:
    """Make a backend known by its ``name``: to `get_backend`, and to every ``backend=`` of the library.

    Args:
        backend: an instance of a subclass of `Backend`, which needs no more than `_jets` and `_jets_backward`.
        automatic: whether ``"auto"`` takes it, before all others, for tensors on its ``device_types``.

    Raises:
        InputError: no `Backend`, a name that is none, or one that is taken; limits of another kind than they have.
    """
    global BACKENDS
    name = _name_of(backend)
    _check_limits_of(backend)
    if name == "auto" or name in BACKENDS:
        advice = "" if name in ("auto", *BUILT_IN) else f", or unregister_backend({name!r}) first"
        raise InputError(f"backend: the name {name!r} is taken; choose another than {['auto', *BACKENDS]}{advice}")
    if automatic:
        BACKENDS = {name: backend, **BACKENDS}
    else:
        BACKENDS = {**BACKENDS, name: backend}
        BY_NAME_ONLY.add(name)


def unregister_backend(name: str) -> None:
    """Forget a backend that was registered, to register another one by its name.

    Raises:
        InputError: no backend of that name was registered.
    """
    global BACKENDS
    own = [one for one in BACKENDS if one not in BUILT_IN]
    if name not in own:
        raise InputError(f"name: expected one of {own}, which were registered, got {short(name)}")
    BACKENDS = {one: backend for one, backend in BACKENDS.items() if one != name}
    BY_NAME_ONLY.discard(name)


def _name_of(backend: object) -> str:
    """The name of an instance of `Backend`; anything else is refused."""
    if not isinstance(backend, Backend):
        is_class = isinstance(backend, type) and issubclass(backend, Backend)
        advice = "; call it: register_backend(...()) takes an instance" if is_class else ""
        raise InputError(f"backend: expected an instance of a subclass of Backend, got {short(backend)}{advice}")
    name = getattr(backend, "name", None)
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"backend: {type(backend).__name__} needs a name, such as name = 'mine', got {short(name)}")
    if not _NAME.fullmatch(name):  # results say "cpu+reference" where two did the work
        raise InputError(
            f"backend: {type(backend).__name__}.name: expected letters, digits, '_', '-' and '.', got {short(name)}"
        )
    return name


def _check_limits_of(backend: Backend) -> None:
    kind, types = type(backend).__name__, backend.device_types
    if types is not None and not (isinstance(types, tuple) and types and all(one in DEVICE_TYPES for one in types)):
        raise InputError(
            f"{kind}.device_types: expected ('cpu',), ('cuda',), {DEVICE_TYPES}, or None for any, got {short(types)}"
        )
    for name in ("widest", "best_width", "deepest", "most_channels"):
        limit = getattr(backend, name)
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise InputError(f"{kind}.{name}: expected an integer >= 1, or None for any number, got {short(limit)}")


def _why_not(backend: Backend, device: torch.device | None = None) -> str | None:
    found = backend.unavailable() if device is None else backend.unavailable_on(device)
    return reason(f"{type(backend).__name__}.unavailable", found)


def get_backend(name: str = "auto", device: torch.device | str | None = None, precision: str = IEEE) -> Backend:
    """The backend of that name; ``"auto"`` takes the first that can run, with one warning for each that cannot.

    What ``"auto"`` gives leaves networks that are beyond its limits (width, depth, memory) to the next backend that can
    run there, in the end to the reference, and says so once.

    Args:
        name: see `available_backends`.
        device: where the tensors are, also as "cuda:1"; None: on the CPU.
        precision: of products in float32, at most that coarse: "ieee" or "tf32x3" (docs/triton.md). Backends that
            know no other take "ieee"; `Backend.products` says what they have.

    Raises:
        InputError: no such backend, device or precision; a device that is neither the CPU nor an NVIDIA GPU, or not
            among those that are here.
        BackendUnavailable: it cannot run here; the message says why.
    """
    precision = check_precision(precision)
    if device is not None:
        device = computing_device(device)
        check_there(device)
    if name == "auto":
        kind = "cpu" if device is None else device.type
        found: list[Backend] = []
        better: dict[str, list[str]] = {}
        for backend in automatic(kind):
            why_not = _why_not(backend, device)
            if why_not is None:
                found.append(_of_precision(backend, precision))
            elif not found:
                better.setdefault(why_not, []).append(repr(backend.name))
        for why_not, names in better.items():
            which = f"backend {names[0]} is" if len(names) == 1 else f"backends {', '.join(names)} are"
            say_once(f"{which} not used: {why_not}")
        if not found:
            raise BackendUnavailable(f"no backend can run here: {available_backends()}")
        return found[0] if found[0] is _REFERENCE else WithFallback(*found, is_silent=_IS_OURS.get())
    if not isinstance(name, str) or name not in BACKENDS:
        raise InputError(f"backend: expected one of {['auto', *BACKENDS]}, got {name!r}")
    backend = _of_precision(BACKENDS[name], precision)
    why_not = _why_not(backend, device)
    if why_not is not None:
        raise BackendUnavailable(f"backend {name!r} cannot run here: {why_not}")
    return or_reference(backend) if _IS_OURS.get() else backend


def automatic(kind: str) -> Iterator[Backend]:
    """Those that "auto" may take for tensors on devices of that type, the best first."""
    for backend in BACKENDS.values():
        if backend.name not in BY_NAME_ONLY and (backend.device_types is None or kind in backend.device_types):
            yield backend


def kernels_for(
    plan: Plan, channels: ChannelSet, dtype: torch.dtype, device: torch.device, precision: str = IEEE
) -> Backend | None:
    """The kernels that "auto" would take for a network; None, silently, where only the reference backend would do."""
    for backend in automatic(device.type):
        if backend is not _REFERENCE and _why_not(backend, device) is None:
            if _is_too_wide(plan, backend):
                return None
            limit = reason(f"{type(backend).__name__}.supports", backend.supports(plan, channels, dtype, device))
            return _of_precision(backend, precision) if limit is None else None
    return None


def _is_too_wide(plan: Plan, backend: Backend) -> bool:
    """Not for the backend, but for it to be the fastest."""
    return backend.best_width is not None and plan.widest > backend.best_width


def _of_precision(backend: Backend, precision: str) -> Backend:
    found = backend.with_precision(precision)
    if not isinstance(found, Backend) or found.name != backend.name:
        what = f"{type(backend).__name__}.with_precision"
        raise InputError(f"{what}: expected a Backend of the name {backend.name!r}, got {short(found)}")
    return found


@contextmanager
def networks_of_the_library() -> Iterator[None]:
    """Inside, `get_backend` gives what `or_reference` makes of a backend, also by name.

    For networks that the library chose (teachers, students): who asked for a backend did not ask for these, and
    nothing is to stop because they are wider than it takes.
    """
    before = _IS_OURS.set(True)
    try:
        yield
    finally:
        _IS_OURS.reset(before)


def or_reference(engine: Backend) -> Backend:
    """``engine``; what is beyond its limits the next one does, in the end the reference, and nothing is said.

    For what the library evaluates of its own accord: other networks than the user's, other derivatives or another
    dtype than those trained with.
    """
    if isinstance(engine, WithFallback):
        return WithFallback(engine.first, *engine.others, is_silent=True)
    return engine if engine is _REFERENCE else WithFallback(engine, is_silent=True)


def at_work(engine: Backend) -> str:
    """Which backends did an engine's work on loss terms so far: "cpu", "reference", or both, "cpu+reference"."""
    used = engine.used if isinstance(engine, WithFallback) else {}
    return "+".join(used) or engine.name


def products_at_work(engine: Backend, dtypes: Iterable[torch.dtype], device: torch.device) -> str:
    """The coarsest precision that products of these dtypes had in an engine's work on loss terms so far.

    Raises:
        InputError: a backend's `products` gives something else than a precision.
    """
    own = [engine]
    if isinstance(engine, WithFallback):
        own = [one for one in (engine.first, *engine.others) if one.name in engine.used] or [engine.first]
    return coarsest(_products(one, dtype, device) for one in own for dtype in dtypes)


def _products(backend: Backend, dtype: torch.dtype, device: torch.device) -> str:
    return checks.choice(f"{type(backend).__name__}.products", backend.products(dtype, device), PRECISIONS)


class WithFallback(Backend, is_checked=False):
    """``first``; what is beyond the limits of that the others do, in turn, and a warning says so once.

    The last of them is the reference, given or not. ``used``: names of those that did work on loss terms, as keys in
    the order of first use.
    """

    def __init__(self, first: Backend, *others: Backend, is_silent: bool = False) -> None:
        self.first, self.used, self._is_silent = first, dict[str, None](), is_silent
        self.others = others if _REFERENCE in others else (*others, _REFERENCE)
        self.name, self.device_types = first.name, first.device_types

    def unavailable(self) -> str | None:
        return self.first.unavailable()

    def unavailable_on(self, device: torch.device) -> str | None:
        return self.first.unavailable_on(device)

    def supports(self, plan: Plan, channels: ChannelSet, dtype: torch.dtype, device: torch.device) -> str | None:
        return _REFERENCE.supports(plan, channels, dtype, device)

    def with_precision(self, precision: str) -> WithFallback:
        first, *others = (_of_precision(one, precision) for one in (self.first, *self.others))
        return WithFallback(first, *others, is_silent=self._is_silent)

    def products(self, dtype: torch.dtype, device: torch.device) -> str:
        return self.first.products(dtype, device)

    @contextmanager
    def watched(self, dtype: torch.dtype) -> Iterator[Watched]:
        with self.first.watched(dtype) as found:
            yield found

    def _jets(self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet) -> Tensor:
        return self.jets(plan, theta, x, channels)

    def _jets_backward(
        self, plan: Plan, theta: Tensor, x: Tensor, channels: ChannelSet, grad: Tensor, need_x: bool
    ) -> tuple[Tensor, Tensor | None]:
        return self.jets_backward(plan, theta, x, channels, grad, need_x)


_ON_TERMS = {"loss_and_gradient", "term_gradients", "train", "residuals", "residuals_backward", "residual_jacobian"}


def _by_either(operation: str) -> Callable[..., Any]:
    """The operation by the first backend, or by the next one where that has a limit."""
    counts = operation in _ON_TERMS

    def run(backend: WithFallback, *arguments: Any, **named: Any) -> Any:
        *engines, last = backend.first, *backend.others
        reason: BackendLimit | None = None
        plan = named.get("plan", arguments[0] if arguments else None)  # `add_gram` has none
        for chosen in engines:
            if len(engines) > 1 and isinstance(plan, Plan) and _is_too_wide(plan, chosen):
                continue
            try:
                found = getattr(chosen, operation)(*arguments, **named)
                break
            except BackendLimit as limit:
                reason = reason or limit
        else:
            chosen = last
            found = getattr(chosen, operation)(*arguments, **named)
        if reason is not None and not backend._is_silent:
            say_once(f"backend {backend.name!r} is not used, but {chosen.name!r}: {reason}")
        if counts:
            backend.used[chosen.name] = None
        return found

    return run


# The backend that does the work checks the arguments: twice would take twice as long.
for _operation in OPERATIONS:
    setattr(WithFallback, _operation, _by_either(_operation))
