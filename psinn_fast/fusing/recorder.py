"""Watches a loss function run: what every tensor is, as expressions of the network's outputs and of given numbers.

The function runs for real, on the user's network and tensors. torch tells of each operation before it is done
(`torch.overrides.TorchFunctionMode`), so the user's code needs no tensors of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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
from . import operations
from .gradients import gradients
from .lines import Placed, line
from .recorded import Recorded
from .symbols import Shape, Symbols

# What only looks at a tensor.
_METADATA = frozenset(
    [
        "shape",
        "size",
        "dim",
        "ndim",
        "ndimension",
        "numel",
        "nelement",
        "dtype",
        "device",
        "layout",
        "requires_grad",
        "is_leaf",
        "grad_fn",
        "is_cuda",
        "is_cpu",
        "len",
        "stride",
        "is_contiguous",
        "is_floating_point",
        "is_complex",
        "element_size",
        "storage_offset",
        "names",
        "hash",
        "repr",
        "output_nr",
        "_version",
        "is_sparse",
        "is_meta",
        "is_quantized",
        "is_nested",
        "result_type",
        "is_same_size",
        "data_ptr",
        "untyped_storage",
        "register_hook",
        "id",
        "is_inference",
        "has_names",
        "_backward_hooks",
        "nbytes",
        "itemsize",
        "get_device",
        "is_tensor",
        "is_nonzero_shape",
        "retains_grad",
        "broadcast_tensors_shape",
        "is_xla",
        "is_mps",
        "is_xpu",
        "volatile",
    ]
)
# What makes numbers of Python's out of a tensor, which code may then decide by.
_READS = frozenset(["item", "tolist", "numpy", "allclose", "equal", "is_nonzero", "any", "all", "argmax", "argmin"])
# Numbers that one tensor may have which is trained beside the network.
_MOST_TRAINED = 64


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
        # Numbers went through operations that are not recorded: other ones at these tensors would not be noticed.
        self.consumed: dict[int, tuple[Tensor, int, str]] = {}
        # Why the recording holds for these very points alone, if it does.
        self.fixed: str | None = None
        for tensor in points:
            # One number that is not trained is just that, a weight for instance.
            if tensor.requires_grad or tensor.numel() > 1 or tensor.dim() > 1:
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
        if found is None and tensor.requires_grad and tensor.is_leaf and tensor.is_floating_point():
            return self._lift_leaf(tensor)
        return found

    def value(self, net: PsiMLP, x: Tensor) -> Tensor:
        """`Watcher.value`."""
        own = self._inputs(net, x)
        with torch._C.DisableTorchFunction():
            found = net._value(x)
        fields = self.symbols.call(self._called(own), own.n)
        fault = None if torch.is_grad_enabled() else f"{line()}: the network is called under torch.no_grad"
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

    def _is_trained(self, own: Recorded) -> bool:
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
        own = self.of(x)
        if own is None:
            if x.requires_grad:
                raise Placed.here(f"the points of the network come from {_maker(x)}, which is not recorded")
            if x.dim() < 2:
                raise Placed.here(
                    f"x: expected shape (N, {net.structure.n_inputs}), got {tuple(x.shape)}; write x[None]"
                )
            own = self._keep(lifted_as_symbols(self.symbols, x, tuple(x.shape[:-1])))
        if own.fault:
            raise Placed.here(own.fault)
        if own.items.shape != (net.structure.n_inputs,) or not own.batch:
            raise Placed.here(
                f"the network is called with a tensor {tuple(x.shape)}; its points are to be rows "
                f"(N, {net.structure.n_inputs})"
            )
        return own

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if torch._C._are_functorch_transforms_active():
            raise Placed.here("a transform of torch.func is not recorded; write torch.autograd.grad, or pf.derivatives")
        tensors = [own for own in operations._flat([*args, *options.values()]) if isinstance(own, Tensor)]
        recorded = [own for tensor in tensors if (own := self.of(tensor)) is not None]
        name = operations.name_of(func)
        if not recorded:
            state = torch.get_rng_state()
            result = func(*args, **options)
            self._check_plain(name, tensors, state, result)
            return result
        if name == "backward":
            raise Placed.here(
                "backward() is called in it; return the loss, and call backward() on what the fused loss gives"
            )
        if _is_in_place(name) and name not in operations.SAME:
            if self.of(args[0]) is not None:
                raise Placed.here(f"{name} changes a recorded tensor in place; write an operation that gives a new one")
            raise Placed.here(f"{name} writes recorded numbers into another tensor; write torch.cat or torch.stack")
        if name == "set" and getattr(getattr(func, "__self__", None), "__name__", "") != "requires_grad":
            raise Placed.here("it changes a recorded tensor in place; write an operation that gives a new one")
        if name == "iter":
            func, name = torch.unbind, "unbind"
            return iter(self.__torch_function__(func, types, args))
        result = func(*args, **options)
        if name in _METADATA or name.startswith("is_") or name == "set":
            return result
        self._record(name, func, args, options, recorded, result)
        return result

    def _record(
        self,
        name: str,
        func: Any,
        args: tuple[Any, ...],
        options: dict[str, Any],
        recorded: list[Recorded],
        result: Any,
    ) -> None:
        has_fields = any(map(self._is_trained, recorded))
        if name in _READS or name.endswith("()") or not _tensors_in(result):
            if has_fields or any(own.fault for own in recorded):
                raise Placed.here(f"{name} reads a number of the network's, which is another one at every step")
            self.fixed = f"{name} at {line()}"
            return
        try:
            faults = [own.fault for own in recorded if own.fault]
            if faults and not any(own.moved for own in recorded):
                raise Placed(faults[0])
            if has_fields and not torch.is_grad_enabled() and name != "grad":
                raise InputError(f"{name} under torch.no_grad stops the gradient; leave it out of the loss")
            found = self._found(name, func, args, options, result)
        except InputError as error:
            fault = str(error) if isinstance(error, Placed) else f"{line()}: {name}: {error}"
            found = [Recorded(own, (), _array([]), fault) for own in _tensors_in(result)]
        for own in found:
            self._keep(own)

    def _found(
        self, name: str, func: Any, args: tuple[Any, ...], options: dict[str, Any], result: Any
    ) -> list[Recorded]:
        """
        Raises:
            InputError: the operation is not one that can be computed point by point.
        """
        symbols = self.symbols
        given, named = self._as_recorded(list(args)), {key: self._as_recorded(own) for key, own in options.items()}
        if func is torch.autograd.grad:
            return gradients(symbols, self.of, args, options, result)
        if name in operations.POINTWISE:
            if name in ("div",) and options.get("rounding_mode"):
                raise InputError("rounding_mode has no derivative")
            return [operations.pointwise(symbols, name, given, named, result)]
        if name in operations.COMPARISONS or name == "where":
            decisive = given[:1] if name == "where" else operations._flat(given)
            if any(isinstance(own, Recorded) and self._is_trained(own) for own in decisive):
                raise InputError(
                    "it decides by what the network gives, which has no derivative there; write torch.maximum, "
                    "torch.minimum or torch.relu, or decide by the points"
                )
            if name == "where":
                return [operations.chosen(symbols, given, result)]
            return [operations.pointwise(symbols, name, given, named, result)]
        if name in ("clamp", "clamp_min", "clamp_max"):
            bounds = [None, *given[1:]] if name == "clamp_max" else given[1:]
            return [operations.clamped(symbols, [given[0], *bounds], named, result)]
        if name in ("detach", "data", "detach_copy"):
            if self._is_trained(given[0]):
                raise InputError("it stops the gradient: a fused loss has all of its gradient, or is another one")
            return [Recorded(result, given[0].batch, given[0].items)]
        if name in operations.SAME:
            own = given[0]
            if result.dtype != own.tensor.dtype and not (result.is_floating_point() and not self._is_trained(own)):
                raise InputError(f"it changes {own.tensor.dtype} to {result.dtype}")
            return [] if result is own.tensor else [Recorded(result, own.batch, own.items)]
        if name in operations.MOVEMENTS:
            return self._moved(func, args, given, options, result)
        if name in operations.SUMS:
            return [operations.summed(symbols, name, given, named, result)]
        if name in operations.SQUARED:
            return [operations.squared(symbols, name, given, named, result)]
        if name in ("matmul", "rmatmul"):
            pair = given[::-1] if name == "rmatmul" else given
            return [operations.product(symbols, pair, result)]
        if name == "linear":
            return [operations.linear(symbols, given, named, result)]
        if name.endswith("_like") or name.startswith("new_"):
            return []  # numbers of its own
        raise InputError("it is not among the operations that a fused loss knows (docs/fusing.md lists them)")

    def _moved(self, func: Any, args: Any, given: Any, options: dict[str, Any], result: Any) -> list[Recorded]:
        for index in operations._flat(given[1:]):
            if isinstance(index, Recorded):
                self.fixed = f"the choice of points at {line()}"
        return operations.moved(self.symbols, func, [given[0], *args[1:]], options, result)

    def _as_recorded(self, given: Any) -> Any:
        """With recorded tensors in place of tensors that are."""
        if isinstance(given, (list, tuple)):
            return [self._as_recorded(own) for own in given]
        if isinstance(given, Tensor):
            return self.of(given) or given
        return given

    def _lift_leaf(self, tensor: Tensor) -> Recorded:
        if tensor is self.net.theta:
            fault = "the network's own parameters in a loss are not known; take pf.Regularizer in the options of fit"
            return self._keep(Recorded(tensor, (), _array([]), fault))
        if isinstance(tensor, nn.Parameter) or tensor.dim() == 0 or (tensor.dim() == 1 and tensor.numel() == 1):
            if tensor.numel() > _MOST_TRAINED:
                fault = (
                    f"a trained tensor {tuple(tensor.shape)} beside the network is not known; numbers may be trained"
                )
                return self._keep(Recorded(tensor, (), _array([]), fault))
            return self._keep(Recorded(tensor, (), self.symbols.trained(tensor)))
        batch = tuple(tensor.shape[:-1]) if tensor.dim() > 1 else tuple(tensor.shape)
        return self._keep(lifted_as_symbols(self.symbols, tensor, batch))

    def _keep(self, own: Recorded) -> Recorded:
        self._known[id(own.tensor)] = own
        return own

    def _check_plain(self, name: str, tensors: list[Tensor], state: Tensor, result: Any) -> None:
        """An operation on given numbers alone, which is done once and for all."""
        if not torch.equal(state, torch.get_rng_state()):
            raise Placed.here(
                f"{name} draws random numbers, which would be the same at every step; draw them outside, and give them "
                "to the loss function as an argument"
            )
        made = [own for own in _tensors_in(result) if own.requires_grad and not own.is_leaf]
        if made:
            raise Placed.here(f"{name} computes with {_maker(made[0])}, whose operands are not recorded")
        self.symbols.made.update({id(own): own for own in _tensors_in(result)})
        for tensor in tensors:
            if name not in _METADATA:
                self.consumed.setdefault(id(tensor), (tensor, tensor._version, line()))


def lifted_as_symbols(symbols: Symbols, tensor: Tensor, batch: Shape) -> Recorded:
    """Numbers of points that derivatives are taken by, or that the network is called with: symbols all of them."""
    return Recorded(tensor, batch, symbols.entries(tensor, batch))


def _is_in_place(name: str) -> bool:
    return (name.endswith("_") and not name.endswith("__")) or name in (
        "iadd", "isub", "imul", "itruediv", "idiv", "ipow", "setitem",
    )  # fmt: skip


def _maker(tensor: Tensor) -> str:
    return type(tensor.grad_fn).__name__ if tensor.grad_fn is not None else "a leaf"


def _tensors_in(result: Any) -> list[Tensor]:
    return [own for own in operations._flat(result) if isinstance(own, Tensor)]


def _array(items: Iterable[sp.Expr]) -> Any:
    listed = list(items)
    made = np.empty(len(listed), dtype=object)
    made[:] = listed
    return made
