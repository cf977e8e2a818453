"""Exact derivatives of a tanh network by Taylor mode: `derivatives(net, points, "u u_x u_xx")`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar, overload

import numpy.typing as npt
import torch
from torch import Tensor

from ..kernels import get_backend
from ..kernels.contract.precision import check_precision
from ..kernels.errors import InputError, short
from ..kernels.language.channels import MAX_ORDER, Channel, ChannelSet, Laplacian
from ..language.cartesian import misread
from ..language.derivative_names import (
    LAPLACIAN,
    parse_derivative,
    refuse_ambiguous,
    spatial_axes,
    undeclared_time,
)
from ..language.names import Names, normal, split_names, split_words
from .evaluation import at_points
from .jets import are_transformed, jets
from .mlp import PsiMLP, check_network
from .operators import channels_of, channels_text
from .postponed import can_wait, postponed
from .recording import WATCHER

Values = TypeVar("Values")


class Derivatives(Mapping[str, Values], Generic[Values]):
    """Derivatives by name, as attributes (``d.u_xx``) or items (``d["u_xx"]``): tensors (N,), or arrays."""

    def __init__(self, values: Mapping[str, Values]) -> None:
        self._values = dict(values)

    def __getattr__(self, name: str) -> Values:
        if name.startswith("_"):  # copying and pickling look for these before there are values
            raise AttributeError(name)
        if name not in self:
            raise AttributeError(f"{name!r} was not asked for; there are {', '.join(self._values)}")
        return self[name]

    def __getitem__(self, name: str) -> Values:
        return self._values[name if name in self._values else normal(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Derivatives({', '.join(self._values)})"


def derivatives(
    net: PsiMLP,
    points: Tensor,
    wanted: Names,
    *,
    coords: Names,
    fields: Names,
    time: str | None = "auto",
    parameters: Names = (),
    backend: str = "auto",
    precision: str | None = None,
) -> Derivatives[Tensor]:
    """Values and derivatives of a network's outputs at points.

    Args:
        net: a `PsiMLP` or `MLP` with d inputs and F outputs.
        points: (N, d), of the network's dtype and device.
        wanted: e.g. ``"u, u_x, u_xx, v_xy"``: field, underscore, coordinates to differentiate by (total order 0 to 4);
            ``u_lap`` is the Laplacian over all coordinates but ``time``, as ``u.lap`` in a `PDE`; ``u_laptx`` over t
            and x.
        coords: names of the inputs, in order, e.g. ``"x y"``.
        fields: names of the outputs, in order, e.g. ``"u v"``.
        time: the coordinate that ``u_lap`` leaves out; "auto": the one named t; None: there is none.
        parameters: coordinates that ``u_lap`` leaves out, too, those of the `PDE`: a network cannot tell which of its
            inputs are. `Solution.derivatives` knows them.
        backend: see `available_backends`.
        precision: of products in float32, at most that coarse: "ieee" or "tf32x3" (docs/triton.md); None: as the
            network has it.

    Returns:
        The derivatives by name, each (N,). Autograd differentiates them with respect to ``net.theta`` and, if
        ``points.requires_grad``, to the points, to any order. The backward pass recomputes; it stores no activations.
        On the CPU, while theta alone requires a gradient, they are computed where numbers are needed, at the weights
        and points of the call: a loss of pointwise operations, means and sums, and its gradient, take one fused pass.
        Gradients for the points with ``create_graph=True`` are the next derivatives, by the kernels up to order 4.
        Gradients beyond that, those for theta with a graph (Hessians of the weights), forward mode and the transforms
        of torch.func (grad, hessian, vmap, ...) are as exact, but come from torch's own operations, which take several
        times as long. Code compiled by `torch.compile` is differentiated once.

    Raises:
        InputError: names, shapes, dtypes or devices that do not fit; an unknown derivative; ``u_lap`` by a coordinate
            that is called tau or time, of which nobody said what it is, or over such as r and theta, where it would be
            Cartesian; an order above 4; a precision that is none, or has no meaning in float64.
        GradientError: a second derivative of compiled code, or forward mode in it; raised as it is computed. It is a
            RuntimeError, as torch's own is, which comes first where torch compiles the backward pass (all its
            backends but "eager").
    """
    check_network(net)
    precision = net.precision if precision is None else check_precision(precision, net.theta.dtype, "None or ")
    asked, channels = _request(
        wanted, coords, fields, time, (net.structure.n_inputs, net.structure.n_outputs), parameters
    )
    if not torch.compiler.is_compiling() and (watcher := WATCHER.get()) is not None:
        if precision != net.precision:
            raise InputError(
                f"precision: a fused loss has that of its network, {net.precision!r}; leave it out, and write "
                f"net.precision = {precision!r}"
            )
        with torch._C.DisableTorchFunction():
            found = _computed(net, points, asked, channels, backend, precision)
        for name, field, c in asked:
            watcher.derivative(net, points, found[name], field, channels_of(channels).channels[c])
        return Derivatives(found)
    return Derivatives(_computed(net, points, asked, channels, backend, precision))


def _computed(
    net: PsiMLP, points: Tensor, asked: tuple[tuple[str, int, int], ...], channels: str, backend: str, precision: str
) -> dict[str, Tensor]:
    if torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active():
        # An operator costs as much again as a call of the kernels on a few points: only where it is needed.
        compiled = torch.ops.psinn_fast.jets(net.theta, points, net.structure_text, channels, backend, precision)
        return {name: compiled[:, c, field] for name, field, c in asked}
    engine = get_backend(backend, net.theta.device, precision)
    plan, channel_set = net.plan, channels_of(channels)
    if are_transformed(net.theta, points):
        jet = engine.differentiable_jets(plan, net.theta, points, channel_set).unbind(1)
    elif WATCHER.get() is None and can_wait(engine, net.theta, points, channel_set):
        return postponed(engine, plan, net.theta, points, channel_set, asked)
    else:
        jet = jets(engine, plan, net.theta, points, channel_set)
    columns = [channel.unbind(-1) for channel in jet]
    return {name: columns[c][field] for name, field, c in asked}


@overload
def derivatives_at(
    net: PsiMLP,
    points: Tensor,
    wanted: Names,
    coords: Names,
    fields: Names,
    time: str | None,
    parameters: tuple[str, ...],
) -> Derivatives[Tensor]: ...
@overload
def derivatives_at(
    net: PsiMLP,
    points: npt.ArrayLike,
    wanted: Names,
    coords: Names,
    fields: Names,
    time: str | None,
    parameters: tuple[str, ...],
) -> Derivatives[npt.NDArray[Any]]: ...
def derivatives_at(
    net: PsiMLP,
    points: npt.ArrayLike | Tensor,
    wanted: Names,
    coords: Names,
    fields: Names,
    time: str | None,
    parameters: tuple[str, ...],
) -> Derivatives[npt.NDArray[Any]] | Derivatives[Tensor]:
    """`derivatives` by NumPy, without a graph, some points at a time, see `PsiMLP.predict`: arrays (...).

    ``parameters``: coordinates that Laplacians leave out, as time.
    """
    check_network(net)
    asked, channels = _request(
        wanted, coords, fields, time, (net.structure.n_inputs, net.structure.n_outputs), parameters
    )
    names = [name for name, _, _ in asked]

    def columns(x: Tensor) -> Tensor:
        found = _computed(net, x, asked, channels, "auto", net.precision)
        return torch.stack([found[name] for name in names], 1)

    values = at_points(net, points, columns, len(names), len(channels_of(channels)))
    if isinstance(values, Tensor):
        return Derivatives({name: column.contiguous() for name, column in zip(names, values.unbind(-1), strict=True)})
    return Derivatives({name: values[..., i].copy() for i, name in enumerate(names)})


def _request(
    wanted: Names,
    coords: Names,
    fields: Names,
    time: str | None,
    sizes: tuple[int, int],
    parameters: Names = (),
) -> tuple[tuple[tuple[str, int, int], ...], str]:
    """(name, field, position of the channel) of each derivative, and the channels as text; sizes: inputs, outputs."""
    words = split_words(wanted, "wanted"), split_words(coords, "coords"), split_words(fields, "fields")
    if time is not None and not isinstance(time, str):
        raise InputError(f"time: expected one of the coordinates {list(words[1])} or None, got {short(time)}")
    return _read(*words, time, sizes, split_words(parameters, "parameters") if parameters else ())


# What torch.compiler.assume_constant_result does, without importing the compiler and Triton, which takes a second.
# Functions have no such attribute as far as type checkers know.
_request._dynamo_marked_constant = True  # type: ignore[attr-defined]


@lru_cache(maxsize=256)
def _read(
    wanted: tuple[str, ...],
    coords: tuple[str, ...],
    fields: tuple[str, ...],
    time: str | None,
    sizes: tuple[int, int],
    parameters: tuple[str, ...],
) -> tuple[tuple[tuple[str, int, int], ...], str]:
    coord_names, field_names = split_names(coords, "coords"), split_names(fields, "fields")
    left_out = split_names(parameters, "parameters") if parameters else ()
    if unknown := [name for name in left_out if name not in coord_names]:
        raise InputError(f"parameters: {unknown[0]!r} is none of the coordinates {list(coord_names)}")
    for what, names, size in (("coords", coord_names, sizes[0]), ("fields", field_names, sizes[1])):
        if len(names) != size:
            raise InputError(f"{what}: the network has {size}, got {len(names)} names {list(names)}")
    asked = _parse(wanted, coord_names, field_names, time, left_out)
    channels = ChannelSet.closure(len(coord_names), [channel for _, channel in asked.values()])
    found = tuple((name, field, channels.position(channel)) for name, (field, channel) in asked.items())
    return found, channels_text(channels)


def _parse(
    names: tuple[str, ...],
    coords: tuple[str, ...],
    fields: tuple[str, ...],
    time: str | None,
    parameters: tuple[str, ...],
) -> dict[str, tuple[int, Channel]]:
    if not names:
        raise InputError("wanted: expected at least one derivative, e.g. 'u u_x'")
    refuse_ambiguous(coords)
    spatial = [axis for axis in spatial_axes(coords, time) if coords[axis] not in parameters]
    asked: dict[str, tuple[int, Channel]] = {}
    for name in map(normal, names):
        field, underscore, suffix = name.partition("_")
        channel = parse_derivative(suffix, coords, spatial)
        if suffix == LAPLACIAN and not spatial:
            raise InputError(f"wanted: {name!r} has no coordinates left: all but time are parameters")
        if field not in fields or channel is None or bool(underscore) != bool(suffix):
            raise InputError(f"wanted: {name!r} is no derivative of the fields {list(fields)} by {list(coords)}")
        if suffix == LAPLACIAN and time == "auto" and (likely := undeclared_time(coords)):
            axes = "".join(one for one in coords if one != likely)
            raise InputError(
                f"wanted: {name!r} leaves time out; is {likely!r} that? Say time={likely!r}, or time=None if it is "
                f"not, or write {name}{axes}"
            )
        if suffix == LAPLACIAN and (text := misread([name], [coords[axis] for axis in spatial])):
            axes = "".join(coords[axis] for axis in spatial)
            raise InputError(f"wanted: {text}. If that is meant, write {name}{axes}")
        if not isinstance(channel, Laplacian) and sum(channel) > MAX_ORDER:
            raise InputError(f"wanted: {name!r} has order {sum(channel)}; derivatives go up to order {MAX_ORDER}")
        asked[name] = (fields.index(field), channel)
    return asked
