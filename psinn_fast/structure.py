"""Structures: which weights of a tanh network are equal, opposite or zero, and the relation matrix R that says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from . import entries
from .files import MOST_TEXT, BadJson, from_json, read_text, to_json, write_atomically
from .kernels import checks
from .kernels.errors import CheckpointError, InputError, short
from .kernels.lowering import lower
from .kernels.plan import Plan, expanded_plan
from .kernels.symbols import MOST_WEIGHTS, SymbolLayer

SCHEMA = "psinn_fast.structure/1"
# What a file holds where it is not the default.
_FRAME = ("centre", "input_scale", "output_scale")
MOST_LAYERS = 1000


@dataclass(frozen=True)
class Structure:
    """The relations among the weights of a network, layer by layer.

    Layer l maps h to z = W h + b. W is a matrix of blocks, each +Theta_k, -Theta_k or zero; vec(W) = R theta with
    R in {0, +1, -1}, one non-zero a row (Liu et al. 2025, "relation matrix"). R is frozen, theta trains. Inputs are
    measured from a centre, about which are the reflections and swaps that R expresses, and like outputs in units of
    their own: u(x) = output_scale N((x - centre) / input_scale).

    Args:
        layers: one `SymbolLayer` per affine layer, the last one linear, all others followed by tanh.
        name: what pictures and files call it.
        centre: one number per input; () is the origin.
        input_scale, output_scale: one positive number per input, per output; () is 1 each.

    Raises:
        InputError: no layers, the blocks of a layer do not match those of the next, a centre or scales of the wrong
            length, not finite or not positive, or unequal scales of inputs (outputs) that the relations tie.

    Hidden block sizes are multiples of a unit; `with_width` scales them, so a structure found on a small network
    serves a wide one.
    """

    layers: tuple[SymbolLayer, ...]
    name: str = "structure"
    centre: tuple[float, ...] = ()
    input_scale: tuple[float, ...] = ()
    output_scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise InputError("layers: a structure needs at least one layer")
        if len(self.layers) > MOST_LAYERS:
            raise InputError(f"layers: a structure has at most {MOST_LAYERS}, got {len(self.layers)}")
        if not entries.is_line(self.name):
            raise InputError(f"name: expected {entries.A_LINE}, got {short(self.name)}")
        for number, (before, after) in enumerate(pairwise(self.layers), start=1):
            if before.rows != after.cols:
                raise InputError(
                    f"layers: the blocks that layer {number} gives, {short(list(before.rows))}, "
                    f"do not fit those that layer {number + 1} takes, {short(list(after.cols))}"
                )
        if sum(layer.fan_in * layer.fan_out for layer in self.layers) > MOST_WEIGHTS:
            sizes = "-".join(map(str, self.layer_sizes))
            raise InputError(f"layers: a network may have up to {MOST_WEIGHTS} weights, {short(sizes)} has more")
        given = tuple(self.centre) or (0.0,) * self.n_inputs
        if len(given) != self.n_inputs or not all(map(_is_finite, given)):
            raise InputError(
                f"centre: expected {self.n_inputs} finite numbers, one per input, got {short(list(given))}"
            )
        object.__setattr__(self, "centre", tuple(float(c) for c in given))
        for what, n in (("input", self.n_inputs), ("output", self.n_outputs)):
            scales = tuple(getattr(self, f"{what}_scale")) or (1.0,) * n
            if len(scales) != n or not all(_is_finite(scale) and scale > 0 for scale in scales):
                raise InputError(
                    f"{what}_scale: expected {n} positive finite numbers, one per {what}, got {short(list(scales))}"
                )
            for group in getattr(self, f"tied_{what}s") if len(set(scales)) > 1 else ():
                if len({scales[i] for i in group}) > 1:
                    raise InputError(
                        f"{what}_scale: the relations tie the {what}s {[i + 1 for i in group]}, so their scales must "
                        f"be equal, got {[scales[i] for i in group]}"
                    )
            object.__setattr__(self, f"{what}_scale", tuple(float(scale) for scale in scales))

    @classmethod
    def dense(cls, layers: Sequence[int], name: str = "dense") -> Structure:
        """No relations: the ordinary MLP with the given layer sizes, e.g. ``[2, 8, 8, 16, 1]``."""
        sizes = check_layer_sizes(layers)
        return cls(
            tuple(SymbolLayer.of([[1]], [1], [n_out], [n_in]) for n_in, n_out in pairwise(sizes)),
            name,
        )

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Sizes of the expanded network: inputs, hidden widths, outputs."""
        return (self.layers[0].fan_in, *(layer.fan_out for layer in self.layers))

    @property
    def n_inputs(self) -> int:
        return self.layers[0].fan_in

    @property
    def n_outputs(self) -> int:
        return self.layers[-1].fan_out

    @cached_property
    def n_parameters(self) -> int:
        """Independent parameters: the length of theta."""
        return sum(layer.n_parameters for layer in self.layers)

    @property
    def n_expanded(self) -> int:
        """Parameters of a dense network of the same layer sizes."""
        sizes = self.layer_sizes
        return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(sizes))

    @property
    def is_dense(self) -> bool:
        """No relations: theta is all (W, b) themselves, but for centre and scales."""
        return all(layer.is_dense for layer in self.layers)

    @property
    def is_plain(self) -> bool:
        """The centre is the origin and all scales are 1."""
        return not any(self.centre) and all(scale == 1 for scale in (*self.input_scale, *self.output_scale))

    @cached_property
    def plain(self) -> Structure:
        """The same relations about the origin, unscaled: every W and b is a signed copy of theta."""
        return self if self.is_plain else replace(self, centre=(), input_scale=(), output_scale=())

    @cached_property
    def tied_inputs(self) -> tuple[tuple[int, ...], ...]:
        """Groups of inputs whose weights in the first layer share parameters: what the relations may exchange."""
        index, sign = self.layers[0].weight_map()
        return _groups([set(index[sign[:, i] != 0, i].tolist()) for i in range(self.n_inputs)])

    @cached_property
    def tied_outputs(self) -> tuple[tuple[int, ...], ...]:
        """Groups of outputs whose weights or biases in the last layer share parameters."""
        (index, sign), (bias, bias_sign) = self.layers[-1].weight_map(), self.layers[-1].bias_map()
        return _groups(
            [{*index[i, sign[i] != 0].tolist(), *bias[i : i + 1][bias_sign[i : i + 1] != 0].tolist()}
             for i in range(self.n_outputs)]
        )  # fmt: skip

    @cached_property
    def plan(self) -> Plan:
        """The network with every exact rewrite, as backends run it."""
        if self.is_dense:
            return self.expanded_plan
        return lower(self.layers).scaled(self.input_scale, self.output_scale).about(self.centre)

    @cached_property
    def expanded_plan(self) -> Plan:
        """Plan of the expanded network: w = E theta is all (W, b), layer after layer."""
        return expanded_plan(self.layers).scaled(self.input_scale, self.output_scale).about(self.centre)

    def relation_matrix(self, layer: int, part: str = "weight") -> scipy.sparse.csr_array:
        """R of one layer: vec(W) = R theta (row-major vec), or b = R theta with ``part="bias"``.

        Args:
            layer: 0 for the first affine layer; negative counts from the end.
            part: ``"weight"`` or ``"bias"``.

        Returns:
            Sparse matrix of shape (fan_out * fan_in, n_parameters), or (fan_out, n_parameters) for biases;
            ``theta`` is the whole network's vector. A zero row is a zero weight. All are those of N, which acts on
            (x - centre) / input_scale.
        """
        if not -len(self.layers) <= layer < len(self.layers):
            raise InputError(f"layer: this structure has layers 0..{len(self.layers) - 1}, got {layer}")
        if part not in ("weight", "bias"):
            raise InputError(f"part: expected 'weight' or 'bias', got {part!r}")
        layer %= len(self.layers)
        spec = self.layers[layer]
        index, sign = spec.weight_map() if part == "weight" else spec.bias_map()
        start = sum(before.n_parameters for before in self.layers[:layer])
        flat_sign = sign.ravel()
        row = np.flatnonzero(flat_sign)
        col = index.ravel()[row] + start
        return scipy.sparse.csr_array(
            (flat_sign[row].astype(np.float64), (row, col)), shape=(flat_sign.size, self.n_parameters)
        )

    def expand(self, theta: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(W, b) of every layer from theta, differentiable; zeros where there are no biases.

        The layers act on x itself and give u itself: centre and scales are in the first and last (W, b).
        """
        if theta.shape != (self.n_parameters,):
            raise InputError(f"theta: expected shape ({self.n_parameters},), got {tuple(theta.shape)}")
        plan = self.expanded_plan
        w = plan.expansion.apply(theta)
        expanded = []
        for layer in plan.layers:
            (product,) = layer.products
            bias = w[layer.bias] if layer.bias else w.new_zeros(layer.fan_out)
            expanded.append((w[product.weight].view(product.shape), bias))
        return expanded

    def expand_adjoint(self, gradients: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """R^T: gradients with respect to every (W, b) gathered to the gradient with respect to theta."""
        plan = self.expanded_plan
        if len(gradients) != len(plan.layers):
            raise InputError(f"gradients: expected one (dW, db) per layer ({len(plan.layers)}), got {len(gradients)}")
        parts = []
        for number, (layer, (grad_w, grad_b)) in enumerate(zip(plan.layers, gradients, strict=True)):
            if grad_w.shape != (layer.fan_out, layer.fan_in) or grad_b.shape != (layer.fan_out,):
                raise InputError(
                    f"gradients[{number}]: expected shapes {(layer.fan_out, layer.fan_in)} and {(layer.fan_out,)}, "
                    f"got {tuple(grad_w.shape)} and {tuple(grad_b.shape)}"
                )
            parts.append(grad_w.reshape(-1))
            if layer.bias:
                parts.append(grad_b)
        return plan.expansion.transpose(torch.cat(parts))

    def with_width(self, width: int) -> Structure:
        """The same relations with every hidden block ``width`` times as large."""
        width = checks.integer("width", width, 1)
        last = len(self.layers) - 1
        return replace(
            self,
            layers=tuple(
                SymbolLayer(
                    layer.weight,
                    layer.bias,
                    layer.rows if number == last else tuple(width * n for n in layer.rows),
                    layer.cols if number == 0 else tuple(width * n for n in layer.cols),
                )
                for number, layer in enumerate(self.layers)
            ),
        )

    def named_symbols(self) -> list[tuple[list[list[str]], list[str]]]:
        """Per layer, block matrix and bias vector in letters: lower case for vectors, capitals for matrices."""
        capitals = lowers = 0
        named = []
        for number, layer in enumerate(self.layers):
            matrix_valued = number > 0
            start = capitals if matrix_valued else lowers
            count = len(layer.weight_shapes)
            names = [_letter(start + k, matrix_valued) for k in range(count)]
            capitals, lowers = (capitals + count, lowers) if matrix_valued else (capitals, lowers + count)
            bias_names = [_letter(lowers + k, False) for k in range(len(layer.bias_shapes))]
            lowers += len(layer.bias_shapes)
            weight = [[_signed(symbol, names) for symbol in row] for row in layer.weight]
            named.append((weight, [_signed(symbol, bias_names) for symbol in layer.bias]))
        return named

    def __str__(self) -> str:
        """E.g. ``W1 = [[a, b], [a, -b]]   b1 = [c, c]``, one line per layer."""
        sizes = "-".join(map(str, self.layer_sizes))
        lines = [f"{self.name}: {sizes}, {self.n_parameters} independent of {self.n_expanded} expanded parameters"]
        if not self.is_plain:
            lines.append(f"  {self.frame_text}")
        for number, (weight, bias) in enumerate(self.named_symbols(), start=1):
            rows = ", ".join("[" + ", ".join(row) + "]" for row in weight)
            lines.append(f"  W{number} = [{rows}]   b{number} = [{', '.join(bias)}]")
        return "\n".join(lines)

    @property
    def frame_text(self) -> str:
        """Centre and scales in words; empty for a plain structure."""

        def numbers(values: tuple[float, ...]) -> str:
            return "(" + ", ".join(f"{value:g}" for value in values) + ")"

        inputs = [f"measured from {numbers(self.centre)}"] if any(self.centre) else []
        inputs += [f"in units of {numbers(self.input_scale)}"] if set(self.input_scale) != {1.0} else []
        outputs = [f"outputs in units of {numbers(self.output_scale)}"] if set(self.output_scale) != {1.0} else []
        return ", ".join(([f"inputs {' '.join(inputs)}"] if inputs else []) + outputs)

    def to_entries(self) -> dict[str, Any]:
        """What `to_json` writes, as dictionaries and lists."""
        layers = [
            {
                "weight": [list(row) for row in layer.weight],
                "bias": list(layer.bias),
                "rows": list(layer.rows),
                "cols": list(layer.cols),
            }
            for layer in self.layers
        ]
        plain = self.plain
        frame = {key: list(getattr(self, key)) for key in _FRAME if getattr(self, key) != getattr(plain, key)}
        return {"schema": SCHEMA, "name": self.name, **frame, "layers": layers}

    def to_json(self) -> str:
        return to_json(self.to_entries())

    @classmethod
    def from_json(cls, text: str) -> Structure:
        """Inverse of `to_json`.

        Raises:
            CheckpointError: not JSON, another schema, or entries missing, unknown or of the wrong type.
            InputError: well-formed, but not a valid structure.
        """
        try:
            data = from_json(text)
        except BadJson as error:
            raise CheckpointError(f"structure: {error}") from None
        return cls.from_entries(data)

    @classmethod
    def from_entries(cls, data: Any) -> Structure:
        """Inverse of `to_entries`. Raises: see `from_json`."""
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        if found != SCHEMA:
            raise CheckpointError(f"structure: expected schema {SCHEMA!r}, got {short(found)}")
        data = entries.fields(data, "structure", ("schema", "name", "layers"), _FRAME)
        layers = entries.items(data["layers"], "structure: layers")
        name = entries.text(data["name"], "structure: name")
        frame = {key: tuple(entries.numbers(data[key], f"structure: {key}")) for key in _FRAME if key in data}
        return cls(tuple(_layer(layer, f"structure: layers[{i}]") for i, layer in enumerate(layers)), name, **frame)

    def save(self, path: str | Path) -> None:
        """Write `to_json`.

        Raises:
            OSError: the file cannot be written, or would be too large to be read again.
        """
        contents = self.to_json() + "\n"
        if len(contents) > MOST_TEXT:
            raise OSError(f"{path}: its text has {len(contents)} characters, and only {MOST_TEXT} could be read again")
        write_atomically(path, contents)

    @classmethod
    def load(cls, path: str | Path) -> Structure:
        """What `save` wrote.

        Raises:
            CheckpointError, InputError: see `from_json`; the file cannot be read, or has more than 8 MB.
        """
        try:
            contents = read_text(path)
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"structure file {path}: cannot be read ({error})") from None
        try:
            return cls.from_json(contents)
        except (CheckpointError, InputError) as error:
            raise type(error)(f"structure file {path}: {error}") from None


def _layer(data: Any, where: str) -> SymbolLayer:
    parts = entries.fields(data, where, ("weight", "bias", "rows", "cols"))
    matrix = entries.items(parts["weight"], f"{where}.weight")
    weight = [entries.integers(row, f"{where}.weight[{i}]") for i, row in enumerate(matrix)]
    bias, rows, cols = (entries.integers(parts[name], f"{where}.{name}") for name in ("bias", "rows", "cols"))
    try:
        return SymbolLayer.of(weight, bias, rows, cols)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None


def _is_finite(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def check_layer_sizes(layers: Sequence[int]) -> tuple[int, ...]:
    """Validated layer sizes, inputs first."""
    try:
        sizes = checks.integers("layers", layers, 1)
    except InputError:
        sizes = ()
    if len(sizes) < 2:
        shown = short(layers)
        raise InputError(f"layers: expected at least two positive integers, e.g. [2, 8, 8, 1], got {shown}")
    return sizes


def _groups(parameters: Sequence[set[int]]) -> tuple[tuple[int, ...], ...]:
    """Numbers of sets that overlap, also by way of others."""
    groups: list[tuple[tuple[int, ...], set[int]]] = []
    for i, own in enumerate(parameters):
        touched = [group for group in groups if group[1] & own]
        members = (*(j for group in touched for j in group[0]), i)
        groups = [group for group in groups if group not in touched] + [(members, own.union(*(g[1] for g in touched)))]
    return tuple(sorted(tuple(sorted(members)) for members, _ in groups))


def _letter(k: int, capital: bool) -> str:
    letter = chr((ord("A") if capital else ord("a")) + k % 26)
    return letter + (str(k // 26) if k >= 26 else "")


def _signed(symbol: int, names: list[str]) -> str:
    return ("-" if symbol < 0 else "") + names[abs(symbol) - 1] if symbol else "0"
