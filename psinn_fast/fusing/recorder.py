"""Watches a loss function run: what every tensor is, as expressions of the network's outputs and of given numbers.

The function runs for real, on the user's network and tensors. torch tells of each operation before it is done
(`torch.overrides.TorchFunctionMode`), so the user's code needs no tensors of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..kernels.errors import InputError
from ..kernels.language.channels import Channel, Laplacian
from ..language.fields import Operator
from ..networks.mlp import PsiMLP
from ..networks.recording import WATCHER
from . import operations, shapes
from .given import Numbers, Shape
from .lines import Placed, line
from .meaning import meaning
from .recorded import Recorded
from .symbols import Symbols

# Numbers that one tensor may have which is trained beside the network.
_MOST_TRAINED = 64


@dataclass(frozen=True, eq=False)
class Decision:
    """Given numbers that the function read, and that what it does may depend on."""

    items: tuple[sp.Expr, ...]
    n: int
    found: Numbers
    line: str


class Recorder(TorchFunctionMode):
    """
    Args:
        net: the one network whose outputs are fields.
        symbols: what the expressions are made of.
        points: tensors that are given by the points' rows, whether or not they require a gradient.
    """

    def __init__(self, net: PsiMLP, symbols: Symbols, points: Iterable[Tensor]) -> None:
        super().__init__()
        self.net, self.symbols = net, symbols
        self._known: dict[int, Recorded] = {}
        # Tensors whose numbers went through operations that are not recorded, and where.
        self.consumed: dict[int, tuple[Tensor, str]] = {}
        self.decisions: list[Decision] = []
        # Tensors of rows that require a gradient, and those of them that are points.
        self._leaves: dict[int, Tensor] = {}
        self.differentiated: set[int] = set()
        # Given tensors that recorded ones met, in order.
        self.met: dict[int, Tensor] = {}
        for tensor in points:
            # One number that is not trained is just that, a weight for instance.
            if tensor.requires_grad or (tensor.is_floating_point() and (tensor.numel() > 1 or tensor.dim() > 1)):
                self._lift_leaf(tensor)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While the user's function runs."""
        token = WATCHER.set(self)
        try:
            with self:
                yield
        finally:
            WATCHER.reset(token)

    def of(self, tensor: Tensor) -> Recorded | None:
        """What a tensor is, if it has to do with the network, the points or what is trained."""
        found = self._known.get(id(tensor))
        if found is None and tensor.requires_grad and tensor.is_floating_point() and torch.is_grad_enabled():
            if tensor.is_leaf:
                return self._lift_leaf(tensor)
            if id(tensor) not in self.symbols.made:
                raise Placed.here(
                    f"a tensor {tuple(tensor.shape)} that requires a gradient was computed by {_maker(tensor)} outside "
                    "of the function; compute it inside, from what is trained"
                )
        return found

    def untrained(self, expressions: Iterable[sp.Expr]) -> Tensor | None:
        """A tensor of rows that requires a gradient, which is in the expressions, and which nothing is differentiated
        by: the loss's gradient for it would be missing."""
        found = set().union(*(self.symbols.all_symbols(e) for e in expressions))
        for call in self.symbols.calls:
            for symbol in call.inputs:
                found -= self.symbols.all_symbols(symbol)
        leaves = (leaf for key, leaf in self._leaves.items() if key not in self.differentiated)
        return next((leaf for leaf in leaves if found & set(self._known[id(leaf)].items.flat)), None)

    def value(self, net: PsiMLP, x: Tensor) -> Tensor:
        """`Watcher.value`."""
        own = self._inputs(net, x)
        with torch._C.DisableTorchFunction():
            found = net._value(x)
        fields = self.symbols.call(self._called(own), own.n)
        fault = None if torch.is_grad_enabled() else f"loss_fn: {line()}: the network is called under torch.no_grad"
        self._keep(Recorded(found, own.batch, _array(fields), fault))
        return found

    def derivative(self, net: PsiMLP, x: Tensor, found: Tensor, field: int, channel: Channel) -> None:
        """`Watcher.derivative`."""
        own = self._inputs(net, x)
        output = self.symbols.call(self._called(own), own.n)[field]
        orders = [channel] if not isinstance(channel, Laplacian) else [
            tuple(2 * (i == axis) for i in range(len(self.symbols.coords))) for axis in channel.axes
        ]  # fmt: skip
        total = sp.Add(*(Operator(order).of(output, output.args) for order in orders))
        self._keep(Recorded(found, own.batch, _array([total]).reshape(())))

    def is_trained(self, own: Recorded) -> bool:
        return any(map(self.symbols.is_trained, own.items.flat))

    def _called(self, own: Recorded) -> tuple[sp.Symbol, ...]:
        inputs = self.symbols.inputs(tuple(own.items.flat), own.n)
        # Gradients by this tensor are by what the network sees.
        own.items = _array(inputs).reshape(own.items.shape)
        return inputs

    def _inputs(self, net: PsiMLP, x: Tensor) -> Recorded:
        if net is not self.net:
            raise Placed.here(
                "another network than the given one is called; a loss is fused for one, which may have several outputs"
            )
        expected = f"(N, {net.structure.n_inputs})"
        own = self.of(x)
        if own is None:
            if x.dim() < 2:
                raise Placed.here(f"x: expected shape {expected}, got {tuple(x.shape)}; write x[None]")
            own = self._keep(lifted_as_symbols(self.symbols, x, tuple(x.shape[:-1])))
            self.met.setdefault(id(x), x)
        if own.fault:
            raise Placed(own.fault)
        if any(map(self.symbols.is_trained, own.items.flat)):
            raise Placed.here("the network is called at points that depend on what is trained")
        if own.items.shape != (net.structure.n_inputs,) or not own.n:
            raise Placed.here(
                f"the network is called with a tensor {tuple(x.shape)}; its points are to be rows {expected}, one at "
                "least"
            )
        if not own.batch:
            raise Placed.here(f"the network is called at one point, {tuple(x.shape)}; write x[None]")
        return own

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if torch._C._are_functorch_transforms_active():
            raise Placed.here("a transform of torch.func is not recorded; write torch.autograd.grad, or pf.derivatives")
        tensors = [own for own in shapes.flat([*args, *options.values()]) if isinstance(own, Tensor)]
        recorded = [own for tensor in tensors if (own := self.of(tensor)) is not None]
        name = operations.name_of(func)
        state = torch.get_rng_state()
        if recorded:
            result = self._with_recorded(name, func, types, args, options, recorded)
        else:
            result = func(*args, **options)
            self._plain(name, tensors, result)
        if not torch.equal(state, torch.get_rng_state()):
            raise Placed.here(
                f"{name} draws random numbers, which would be the same at every step; draw them outside, and give them "
                "to the loss function as an argument"
            )
        return result

    def _with_recorded(
        self, name: str, func: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any], recorded: list[Recorded]
    ) -> Any:
        if name == "backward":
            raise Placed.here("backward() is called in it; return the loss, and call it on what the fused loss gives")
        if name == "iter":
            return iter(self.__torch_function__(torch.unbind, types, args))
        if name == "set" and getattr(getattr(func, "__self__", None), "__name__", "") != "requires_grad":
            raise Placed.here("it changes a recorded tensor in place; write an operation that gives a new one")
        before: Recorded | None = None
        if _is_in_place(name) and name not in shapes.SAME:
            before = self._changed_in_place(name, args)
        result = func(*args, **options)
        if name in operations.METADATA or name.startswith("is_"):
            return result
        if before is not None:
            self._record(name.removesuffix("_"), func, (before, *args[1:]), options, recorded, result)
        else:
            self._record(name, func, args, options, recorded, result)
        return result

    def _changed_in_place(self, name: str, args: tuple[Any, ...]) -> Recorded:
        """What the tensor was; only where nothing else is a view of it."""
        own = self._known.get(id(args[0]))
        if own is None:
            raise Placed.here(f"{name} writes recorded numbers into another tensor; write torch.cat or torch.stack")
        storage = own.tensor.untyped_storage().data_ptr()
        others = (
            other for other in self._known.values() if other is not own and other.tensor.device == own.tensor.device
        )
        if (
            name not in operations.IN_PLACE
            or own.tensor.is_leaf
            or any(o.tensor.untyped_storage().data_ptr() == storage for o in others)
        ):
            raise Placed.here(
                f"{name} changes a recorded tensor in place; write an operation that gives a new one, such as a = a + b"
            )
        return own

    def _record(
        self,
        name: str,
        func: Any,
        args: tuple[Any, ...],
        options: dict[str, Any],
        recorded: list[Recorded],
        result: Any,
    ) -> None:
        is_trained = any(map(self.is_trained, recorded))
        if name in operations.READS or name.endswith("()") or not _tensors_in(result):
            if is_trained or any(own.fault for own in recorded):
                raise Placed.here(f"{name} reads what the network gives, or what is trained: another number every step")
            self.decide(recorded)
            return
        try:
            faults = [own.fault for own in recorded if own.fault]
            may_be_moved = name in shapes.MOVEMENTS and all(own.moved for own in recorded if own.fault)
            if faults and not may_be_moved:
                raise Placed(faults[0])
            if is_trained and not torch.is_grad_enabled() and name != "grad":
                raise InputError("under torch.no_grad it stops the gradient; leave it out of the loss")
            found = meaning(self, name, func, args, options, result)
        except InputError as error:
            text = str(error) if isinstance(error, Placed) else f"loss_fn: {line()}: {name}: {error}"
            opaque = [] if is_trained else self._opaque(name, recorded, result)
            if opaque is None:
                return
            found = opaque or [Recorded(own, (), _array([]), text) for own in _tensors_in(result)]
        for own in found:
            self._keep(own)

    def _opaque(self, name: str, recorded: list[Recorded], result: Any) -> list[Recorded] | None:
        """What an operation that is not known makes of given numbers: other numbers, for these alone.

        None where no gradient goes through them; [] where they are nothing that a loss may have.
        """
        batch = next((own.batch for own in recorded if own.batch), ())
        reads = frozenset().union(*(self.symbols.all_symbols(e) for own in recorded for e in own.items.flat))
        found = _tensors_in(result)
        has_graph = any(own.requires_grad for own in found)
        if any(own.fault for own in recorded) or not all(
            own.numel() and not own.is_complex() and (not has_graph or tuple(own.shape[: len(batch)]) == batch)
            for own in found
        ):
            return []
        self.decide(recorded)
        if not has_graph:  # as any other given tensors
            self.symbols.made.update({id(own): own for own in found})
            return None
        return [
            Recorded(own, batch, self.symbols.opaque(own, batch, reads, name))
            if batch
            else Recorded(own, (), self.symbols.scalars(own))
            for own in found
        ]

    def decide(self, recorded: Iterable[Recorded]) -> None:
        """From now on given numbers are to be what they are."""
        for own in recorded:
            items = tuple(own.items.flat)
            self.decisions.append(Decision(items, own.n, self.symbols.evaluated(items, own.n), line()))

    def as_recorded(self, given: Any) -> Any:
        """With recorded tensors in place of tensors that are."""
        if isinstance(given, (list, tuple)):
            return [self.as_recorded(own) for own in given]
        if isinstance(given, Tensor):
            own = self.of(given)
            if own is None:
                self.met.setdefault(id(given), given)
                return given
            return own
        return given

    def _lift_leaf(self, tensor: Tensor) -> Recorded:
        if tensor is self.net.theta or any(tensor is own for own in self.net.parameters()):
            fault = "the network's own parameters in a loss are not known; take pf.Regularizer in the options of fit"
            return self._keep(Recorded(tensor, (), _array([]), f"loss_fn: {fault}"))
        if isinstance(tensor, nn.Parameter) or tensor.dim() == 0 or (tensor.dim() == 1 and tensor.numel() == 1):
            if tensor.numel() > _MOST_TRAINED:
                fault = f"a trained tensor {tuple(tensor.shape)} beside the network is not known, up to 64 numbers are"
                return self._keep(Recorded(tensor, (), _array([]), f"loss_fn: {fault}"))
            return self._keep(Recorded(tensor, (), self.symbols.trained(tensor)))
        if not tensor.numel():
            raise Placed.here(f"a tensor {tuple(tensor.shape)} has no rows")
        if tensor.requires_grad:
            self._leaves[id(tensor)] = tensor
        batch = tuple(tensor.shape[:-1]) if tensor.dim() > 1 else tuple(tensor.shape)
        return self._keep(lifted_as_symbols(self.symbols, tensor, batch))

    def _keep(self, own: Recorded) -> Recorded:
        self._known[id(own.tensor)] = own
        return own

    def _plain(self, name: str, tensors: list[Tensor], result: Any) -> None:
        """After an operation on given numbers alone, which is done once and for all."""
        found = _tensors_in(result)
        made = [own for own in found if own.requires_grad and not own.is_leaf]
        if made and torch.is_grad_enabled():
            raise Placed.here(f"{name} computes with {_maker(made[0])}, whose operands are not recorded")
        if name in operations.METADATA:
            return
        for tensor in tensors:
            self.consume(tensor)
        self.symbols.made.update({id(own): own for own in found})

    def consume(self, tensor: Tensor) -> None:
        if id(tensor) not in self.symbols.made:
            self.met.setdefault(id(tensor), tensor)
            self.consumed.setdefault(id(tensor), (tensor, line()))


def lifted_as_symbols(symbols: Symbols, tensor: Tensor, batch: Shape) -> Recorded:
    """Numbers of points that derivatives are taken by, or that the network is called with: symbols all of them."""
    return Recorded(tensor, batch, symbols.entries(tensor, batch))


def _is_in_place(name: str) -> bool:
    return (name.endswith("_") and not name.endswith("__")) or name == "setitem"


def _maker(tensor: Tensor) -> str:
    return type(tensor.grad_fn).__name__ if tensor.grad_fn is not None else "a leaf"


def _tensors_in(result: Any) -> list[Tensor]:
    return [own for own in shapes.flat(result) if isinstance(own, Tensor)]


def _array(items: Iterable[sp.Expr]) -> Any:
    listed = list(items)
    made = np.empty(len(listed), dtype=object)
    made[:] = listed
    return made
