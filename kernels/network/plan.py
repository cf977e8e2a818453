"""The lowered form of a network: what to multiply, what to add, what to reuse.

A backend never sees symbols. It gets, per layer,

    operands = pre h                  (signed sums of the layer's inputs; None: h itself)
    slots    = sum of products W_p operands[inputs_p] into slots[outputs_p]
    z        = post slots + b         (signed sums of the slots; None: the slots themselves)
    h        = a(z)                   (not in the last layer; a: ``Plan.activation``)

with all W_p and b cut from one vector w = E theta (``Plan.expansion``). E has constant coefficients, so every rewrite
that R allows is expressible: merged neurons (fewer rows, summed columns in E), skipped zero blocks (no product),
shared products (one slot read twice by ``post``) and Hadamard-diagonalised pairs (A + B and A - B are rows of E,
``pre`` and ``post`` are the transforms). A neuron that depends on no input is a constant: it becomes part of the next
bias (``Folds``). `expanded_plan` makes the plain dense plan, `kernels.lowering.lower` the rewritten one,
and `Plan.composed` has one dense product per layer again, for backends that gain nothing from the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch
from torch import Tensor

from ..errors import InputError
from ..language.activations import TANH, activation_of
from ..language.channels import ChannelSet
from ..language.closed_form import ClosedForm
from .ansatz import Ansatz
from .linear_map import LinearMap, add_in_order, is_kept, made_outside
from .slopes import Slopes
from .symbols import IntArray, SymbolLayer
from .wiring import PLAIN, check_wiring, encoders


@dataclass(frozen=True)
class Product:
    """slots[outputs] += W operands[inputs], with W = w[weight] row-major, (n_outputs, n_inputs)."""

    outputs: slice
    inputs: slice
    weight: slice

    @property
    def shape(self) -> tuple[int, int]:
        return self.outputs.stop - self.outputs.start, self.inputs.stop - self.inputs.start


@dataclass(frozen=True)
class LayerPlan:
    """One affine layer (see the module's text). ``pre`` and ``post`` act on features, the same for every channel.

    ``note`` says in words what was rewritten.
    """

    fan_in: int
    fan_out: int
    n_slots: int
    products: tuple[Product, ...]
    bias: slice | None
    pre: LinearMap | None = None
    post: LinearMap | None = None
    note: str = ""

    @property
    def n_operands(self) -> int:
        return self.fan_in if self.pre is None else self.pre.shape[0]

    @property
    def is_dense(self) -> bool:
        """One product makes all outputs from all inputs."""
        is_plain = self.pre is None and self.post is None and len(self.products) == 1
        return is_plain and self.products[0].shape == (self.fan_out, self.fan_in)

    @property
    def multiplications(self) -> int:
        """Multiplications per point and channel."""
        return sum(n_out * n_in for n_out, n_in in (product.shape for product in self.products))


@dataclass(frozen=True, eq=False)
class Folds:
    """Constant neurons as parts of biases: w[bias_k] += w[weight_k] a(w[constant_k]) for k = 0, 1, ... in order.

    ``constant`` entries are the biases of constant neurons, themselves complete when they are read; ``weight`` entries
    are read by no product.
    """

    bias: IntArray
    weight: IntArray
    constant: IntArray
    _tensors: dict[torch.device, list[tuple[Tensor, Tensor, Tensor]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __len__(self) -> int:
        return len(self.bias)

    @cached_property
    def levels(self) -> tuple[slice, ...]:
        """Runs in which no constant is read that the same run changes: each can be done at once."""
        starts, changed = [0], set[int]()
        for k, (bias, constant) in enumerate(zip(self.bias.tolist(), self.constant.tolist(), strict=True)):
            if constant in changed:
                starts.append(k)
                changed.clear()
            changed.add(bias)
        return tuple(slice(i, j) for i, j in pairwise([*starts, len(self)]) if i < j)

    def on(self, device: torch.device) -> list[tuple[Tensor, Tensor, Tensor]]:
        """(bias, weight, constant) of every level as index tensors."""
        if device not in self._tensors:
            made = made_outside(lambda: self._made(device))
            if not all(map(is_kept, made)):
                return made
            self._tensors[device] = made
        return self._tensors[device]

    def _made(self, device: torch.device) -> list[tuple[Tensor, Tensor, Tensor]]:
        bias, weight, constant = (
            torch.from_numpy(index).to(device) for index in (self.bias, self.weight, self.constant)
        )
        return [(bias[run], weight[run], constant[run]) for run in self.levels]


_EMPTY = np.empty(0, dtype=np.int64)
NO_FOLDS = Folds(_EMPTY, _EMPTY, _EMPTY)


@dataclass(frozen=True)
class Plan:
    """A whole network, lowered. ``theta`` has ``n_parameters`` entries, the expanded vector w ``expansion.shape[0]``.

    ``slopes``: those of hidden layers are parameters, too, the first of theta; all else that is said here of theta is
    then said of that of `without_slopes`, whose plan backends get.

    ``weight_slices`` says where in theta the independent weights (no biases) of each layer lie, for regularisers;
    ``dense_shapes`` their matrix shapes where the layer is dense, else None. ``embedding``: what the first layer
    acts on, made of the coordinates; None: these. ``unknown``: where in w the numbers lie that it does not know, the
    first of theta. ``ansatz``: what the outputs become.
    ``wiring``: how layers are connected (wiring.py).
    """

    layers: tuple[LayerPlan, ...]
    expansion: LinearMap
    expanded_multiplications: tuple[int, ...]
    weight_slices: tuple[slice, ...]
    dense_shapes: tuple[tuple[int, int] | None, ...]
    folds: Folds = NO_FOLDS
    activation: str = TANH.name
    embedding: ClosedForm | None = None
    ansatz: Ansatz | None = None
    wiring: str = PLAIN
    slopes: Slopes | None = None
    unknown: slice | None = None

    def __post_init__(self) -> None:
        activation_of(self.activation)
        check_wiring(self.wiring, self.layers)
        first, last = self.layers[0], self.layers[-1]
        if self.embedding is not None and self.embedding.n_outputs != first.fan_in:
            raise InputError(f"embedding: it gives {self.embedding.n_outputs} numbers, layer 1 takes {first.fan_in}")
        if self.ansatz is not None and (found := self.ansatz.offset.n_outputs) != last.fan_out:
            raise InputError(f"ansatz: it is one for {found} fields, the last layer gives {last.fan_out}")

    @property
    def n_parameters(self) -> int:
        return self.expansion.shape[1] + (0 if self.slopes is None else self.slopes.number)

    @property
    def d_in(self) -> int:
        """How many coordinates a point has."""
        return self.n_features if self.embedding is None else self.embedding.n_inputs

    @property
    def n_features(self) -> int:
        """How many numbers the first layer acts on."""
        return self.layers[0].fan_in

    @property
    def has_ends(self) -> bool:
        """There is an embedding or an ansatz."""
        return self.embedding is not None or self.ansatz is not None

    @property
    def is_network(self) -> bool:
        """Plain layers, of which the first acts on the coordinates and the last one gives the fields."""
        return not self.has_ends and self.wiring == PLAIN

    @property
    def on_inputs(self) -> range:
        """Numbers of the layers that act on the inputs."""
        return range(encoders(self.wiring) + 1)

    @cached_property
    def bare(self) -> Plan:
        """Without ansatz."""
        return self if self.ansatz is None else replace(self, ansatz=None)

    @cached_property
    def without_slopes(self) -> Plan:
        """The plan of theta' = `Slopes.apply` (theta)."""
        return self if self.slopes is None else replace(self, slopes=None)

    def with_embedding(self, embedding: ClosedForm) -> Plan:
        """The plan whose first layer acts on these features; their unknown numbers go to the front of theta, the end of
        w."""
        n, expansion = len(embedding.unknown), self.expansion
        if not n:
            return replace(self, embedding=embedding)
        n_w, n_theta = expansion.shape
        return replace(
            self,
            expansion=LinearMap(
                (n_w + n, n_theta + n),
                np.concatenate([expansion.row, n_w + np.arange(n)]),
                np.concatenate([n + expansion.col, np.arange(n)]),
                np.concatenate([expansion.coefficient, np.ones(n)]),
            ),
            weight_slices=tuple(slice(n + part.start, n + part.stop) for part in self.weight_slices),
            embedding=embedding,
            unknown=slice(n_w, n_w + n),
        )

    def embedded(self, x: Tensor, channels: ChannelSet, unknown: Tensor | None = None) -> Tensor | None:
        """Jets of what the first layer acts on, (C, N, n_features) at points x (N, d); None: of the coordinates.

        ``unknown``: w[self.unknown], or the same for each point, (N, K).
        """
        if self.embedding is None:
            return None
        given = None if unknown is None else unknown.double()
        return self.embedding.jets(x.double(), channels, given).to(x.dtype)

    @property
    def d_out(self) -> int:
        return self.layers[-1].fan_out

    @cached_property
    def widest(self) -> int:
        """Largest number of values alive per point and channel between two layers."""
        return max(max(layer.fan_in, layer.n_operands, layer.n_slots, layer.fan_out) for layer in self.layers)

    @cached_property
    def composed(self) -> Plan:
        """The same network of the same theta with one dense product per layer, W = post blockdiag(W_p) pre.

        For backends where signed sums and small products cost more than the multiplications that they spare. What was
        merged stays merged.
        """
        return self if all(layer.is_dense for layer in self.layers) else _composed(self)

    def composed_matrix(self, number: int) -> Any:
        """The whole matrix of layer ``number`` as a map of theta (scipy, rows of vec(W) row by row):

        vec(W) = sum over products of kron(post[:, outputs_p], pre[inputs_p, :]^T) E[weight_p, :] theta,

        where the halves of A + B and A - B cancel back to A and B.
        """
        layer, expansion = self.layers[number], self.expansion.sparse()
        post = (layer.post or LinearMap.identity(layer.fan_out)).sparse().tocsc()
        pre = (layer.pre or LinearMap.identity(layer.fan_in)).sparse()
        weight = scipy.sparse.csr_array((layer.fan_out * layer.fan_in, self.n_parameters))
        for product in layer.products:
            by_entry = scipy.sparse.kron(post[:, product.outputs], pre[product.inputs].T, format="csr")
            weight += by_entry @ expansion[product.weight]
        weight.eliminate_zeros()
        return weight

    def about(self, centre: Sequence[float]) -> Plan:
        """The plan whose layers on the inputs act on x - centre: z = W x + (b - W centre).

        The new bias is linear in theta, so it is rows of E. Where such a layer had no bias, they are appended to w.
        """
        if not any(centre):
            return self
        plan = self
        for number in self.on_inputs:
            plan = plan._layer_about(number, centre)
        return plan

    def _layer_about(self, number: int, centre: Sequence[float]) -> Plan:
        first, expansion = self.layers[number], self.expansion
        contraction = scipy.sparse.kron(scipy.sparse.identity(first.fan_out), np.asarray(centre)[None])
        shift = -(contraction.tocsr() @ self.composed_matrix(number)).tocoo()
        bias = first.bias or slice(expansion.shape[0], expansion.shape[0] + first.fan_out)
        return replace(
            self,
            layers=(*self.layers[:number], replace(first, bias=bias), *self.layers[number + 1 :]),
            expansion=LinearMap(
                (max(expansion.shape[0], bias.stop), self.n_parameters),
                np.concatenate([expansion.row, bias.start + shift.row]),
                np.concatenate([expansion.col, shift.col]),
                np.concatenate([expansion.coefficient, shift.data]),
            ),
        )

    def scaled(self, inputs: Sequence[float], outputs: Sequence[float]) -> Plan:
        """The plan of s N(x / h), ``inputs`` h and ``outputs`` s: rows of E times a factor, and nothing else.

        Raises:
            InputError: inputs that one operand sums have different scales, or outputs that read one slot.
        """
        if all(scale == 1 for scale in (*inputs, *outputs)):
            return self
        last, expansion = self.layers[-1], self.expansion
        fields = np.asarray(outputs, dtype=np.float64)
        slots = _one_scale("outputs", fields, None if last.post is None else last.post.transposed)
        factor = np.ones(expansion.shape[0])
        for first in (self.layers[number] for number in self.on_inputs):
            operands = 1 / _one_scale("inputs", np.asarray(inputs, dtype=np.float64), first.pre)
            for product in first.products:
                factor[product.weight] *= np.tile(operands[product.inputs], product.shape[0])
        for product in last.products:
            factor[product.weight] *= slots[product.outputs].repeat(product.shape[1])
        if last.bias is not None:
            factor[last.bias] *= fields
            own = (self.folds.bias >= last.bias.start) & (self.folds.bias < last.bias.stop)
            factor[self.folds.weight[own]] *= fields[self.folds.bias[own] - last.bias.start]
        coefficient = expansion.coefficient * factor[expansion.row]
        return replace(self, expansion=LinearMap(expansion.shape, expansion.row, expansion.col, coefficient))

    def expand(self, theta: Tensor) -> Tensor:
        """w: E theta with the constants folded in. Differentiable; may be theta itself."""
        w, activation = self.expansion.apply(theta), activation_of(self.activation)
        for bias, weight, constant in self.folds.on(w.device):
            w = add_in_order(w, 0, bias, w[weight] * activation.value(w[constant]))
        return w

    def pull_back(self, w: Tensor, w_bar: Tensor) -> Tensor:
        """Gradient for theta from that for w = `expand` (theta)."""
        return self.expansion.transpose(self._unfold(w, w_bar))

    def pull_back_rows(self, w: Tensor, w_bar: Tensor) -> Tensor:
        """The same row by row: (N, n_w) to (N, n_parameters), for per-point gradients."""
        return self.expansion.transpose_rows(self._unfold(w, w_bar))

    def _unfold(self, w: Tensor, w_bar: Tensor) -> Tensor:
        activation = activation_of(self.activation)
        for bias, weight, constant in reversed(self.folds.on(w.device)):
            value, slope = activation.derivatives(activation.keep(w[constant]), 1)
            bias_bar = w_bar[..., bias]
            w_bar = add_in_order(w_bar, -1, weight, bias_bar * value)
            w_bar = add_in_order(w_bar, -1, constant, bias_bar * (w[weight] * slope))
        return w_bar

    def describe(self) -> str:
        """Per layer: neurons and multiplications per point and channel, expanded and in this plan; what was done."""
        rows, n_in = [("layer", "neurons", "multiplications", "what was done")], self.n_features
        for number, (layer, before) in enumerate(zip(self.layers, self.expanded_multiplications, strict=True), start=1):
            n_out = before // n_in
            counts = f"{n_out} -> {layer.fan_out}", f"{before} -> {layer.multiplications}"
            rows.append((str(number), *counts, layer.note))
            n_in = n_out
        before, after = sum(self.expanded_multiplications), sum(layer.multiplications for layer in self.layers)
        ratio = f"{before / after:.3g} times fewer" if after else "no products left"
        rows.append(("all", "", f"{before} -> {after}", ratio))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            f"{a:>{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}  {what}".rstrip() for a, b, c, what in rows
        )


def _one_scale(what: str, scales: npt.NDArray[np.float64], mixing: LinearMap | None) -> npt.NDArray[np.float64]:
    """The scale of every row of ``mixing`` (None: the identity): that of all columns it reads."""
    if mixing is None:
        return scales
    mixed = np.ones(mixing.shape[0])
    mixed[mixing.row] = scales[mixing.col]
    if (mixed[mixing.row] != scales[mixing.col]).any():
        raise InputError(f"{what}: relations that mix them need equal scales, got {scales.tolist()}")
    return mixed


def expanded_plan(layers: Sequence[SymbolLayer], activation: str = TANH.name, wiring: str = PLAIN) -> Plan:
    """The expanded dense plan: one product per layer, gradients gathered back to theta through R^T."""
    if not layers:
        raise InputError("layers: a network needs at least one layer")
    lowered, slices = [], []
    position = theta_start = 0
    for layer in layers:
        n_entries = layer.fan_out * layer.fan_in
        weight = slice(position, position + n_entries)
        bias = slice(weight.stop, weight.stop + layer.fan_out) if any(layer.bias) else None
        position = bias.stop if bias else weight.stop
        product = Product(slice(0, layer.fan_out), slice(0, layer.fan_in), weight)
        lowered.append(LayerPlan(layer.fan_in, layer.fan_out, layer.fan_out, (product,), bias))
        slices.append(slice(theta_start, theta_start + layer.n_weights))
        theta_start += layer.n_parameters
    # Of dense layers w is theta: nothing is built entry by entry for the millions of weights that they may have.
    dense = all(layer.is_dense for layer in layers)
    return Plan(
        tuple(lowered),
        LinearMap.identity(position) if dense else LinearMap.stack(map(_layer_map, layers)),
        tuple(layer.fan_out * layer.fan_in for layer in layers),
        tuple(slices),
        tuple((layer.fan_out, layer.fan_in) if layer.is_dense else None for layer in layers),
        activation=activation,
        wiring=wiring,
    )


def _layer_map(layer: SymbolLayer) -> LinearMap:
    index, sign = layer.weight_map()
    parts = [(index.ravel(), sign.ravel())]
    if any(layer.bias):
        parts.append(layer.bias_map())
    col = np.concatenate([part[0] for part in parts])
    coefficient = np.concatenate([part[1] for part in parts])
    row = np.flatnonzero(coefficient)
    return LinearMap((col.size, layer.n_parameters), row, col[row], coefficient[row])


def _composed(plan: Plan) -> Plan:
    """W is linear in theta, so it is composed once, in E, and not at run time."""
    # The products first, then the rest of w that is read, in its old order: folds only move.
    starts = np.cumsum([0, *(layer.fan_out * layer.fan_in for layer in plan.layers)]).tolist()
    n_w = plan.expansion.shape[0]
    biases = [np.arange(n_w)[layer.bias] for layer in plan.layers if layer.bias is not None]
    folds = plan.folds
    others = [] if plan.unknown is None else [np.arange(n_w)[plan.unknown]]
    rest = np.unique(np.concatenate([folds.bias, folds.weight, folds.constant, *biases, *others]))
    moved = np.zeros(n_w, dtype=np.int64)
    moved[rest] = starts[-1] + np.arange(rest.size)
    layers = []
    for layer, (start, stop) in zip(plan.layers, pairwise(starts), strict=True):
        whole = Product(slice(0, layer.fan_out), slice(0, layer.fan_in), slice(start, stop))
        bias = None
        if layer.bias is not None:
            first = int(moved[layer.bias.start])
            bias = slice(first, first + layer.fan_out)
        layers.append(replace(layer, n_slots=layer.fan_out, products=(whole,), bias=bias, pre=None, post=None))
    parts = [plan.composed_matrix(number) for number in range(len(plan.layers))]
    entries = scipy.sparse.vstack([*parts, plan.expansion.sparse()[rest]], format="csr").tocoo()
    n_rows = entries.shape[0]  # what is unknown is last, as before
    return replace(
        plan,
        layers=tuple(layers),
        expansion=LinearMap(entries.shape, entries.row, entries.col, entries.data),
        folds=Folds(moved[folds.bias], moved[folds.weight], moved[folds.constant]),
        unknown=None if plan.unknown is None else slice(n_rows - len(others[0]), n_rows),
    )
