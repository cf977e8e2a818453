"""Structures: which weights of a network are equal, opposite or zero, and the relation matrix R that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ..kernels import checks
from ..kernels.errors import CheckpointError, InputError, short
from ..kernels.language.activations import TANH, activation_of
from ..kernels.language.closed_form import ClosedForm
from ..kernels.network.ansatz import Ansatz
from ..kernels.network.lowering.lowering import lower
from ..kernels.network.plan import Plan, expanded_plan
from ..kernels.network.slopes import Slopes
from ..kernels.network.symbols import MOST_WEIGHTS, SymbolLayer
from ..kernels.network.wiring import PLAIN, WIRINGS, check_wiring, encoders
from ..storage import entries
from ..storage.files import MOST_TEXT, BadJson, from_json, read_text, to_json, write_atomically
from .activations import Adaptive
from .blocks import single_columns
from .structure_entries import structure_arguments, structure_entries
from .structure_html import structure_html
from .structure_text import structure_text
from .tied_numbers import one_each, overlapping

MOST_LAYERS = 1000


@dataclass(frozen=True)
class Structure:
    """The relations among the weights of a network, layer by layer.

    Layer l maps h to z = W h + b. W is a matrix of blocks, each +Theta_k, -Theta_k or zero; vec(W) = R theta with
    R in {0, +1, -1}, one non-zero a row (Liu et al. 2025, "relation matrix"). R is frozen, theta trains. Inputs are
    measured from a centre, about which are the reflections and swaps that R expresses, and like outputs in units of
    their own: u(x) = output_scale N((x - centre) / input_scale).

    Signs of hidden neurons are symmetries only with odd activations, tanh and sin: `pf.field_symmetries` says which
    ones a structure has with its own.

    Args:
        layers: one `SymbolLayer` per affine layer, the last one linear, all others followed by the activation.
        name: what pictures and files call it.
        centre: one number per input; () is the origin.
        input_scale, output_scale: one positive number per input, per output; () is 1 each.
        activation: "tanh", "sin", "silu", "gelu" or "softplus".
        embedding: features of the coordinates that the first layer acts on; centre, input scales and relations are
            those of features then. None: the coordinates themselves.
        ansatz: u = g + d N for known g and d; None: u = N.
        wiring: "plain"; "gated": the first two layers make U and V of the inputs, and hidden layers blend these, H =
            a(z) U + (1 - a(z)) V (Wang, Teng & Perdikaris 2021); "residual": hidden layers from the second on add
            their input, H_l = H_(l-1) + a(z_l). Of dense layers only.
        slope_factor: n of hidden layers a(n s_l z) with trained slopes s_l, see `Adaptive`; None: a(z).

    Raises:
        InputError: no layers, an unknown activation, slopes without a hidden layer, the blocks of a layer do not match
            those of the next, a centre or scales of the wrong length, not finite or not positive, or unequal scales of
            inputs (outputs) that the relations tie.

    Hidden block sizes are multiples of a unit; `with_width` scales them, so a structure found on a small network
    serves a wide one.
    """

    layers: tuple[SymbolLayer, ...]
    name: str = "structure"
    centre: tuple[float, ...] = ()
    input_scale: tuple[float, ...] = ()
    output_scale: tuple[float, ...] = ()
    activation: str = TANH.name
    embedding: ClosedForm | None = None
    ansatz: Ansatz | None = None
    wiring: str = PLAIN
    slope_factor: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise InputError("layers: a structure needs at least one layer")
        activation_of(self.activation)
        if len(self.layers) > MOST_LAYERS:
            raise InputError(f"layers: a structure has at most {MOST_LAYERS}, got {len(self.layers)}")
        if not entries.is_line(self.name):
            raise InputError(f"name: expected {entries.A_LINE}, got {short(self.name)}")
        first = encoders(self.wiring)
        for number, (before, after) in enumerate(pairwise(self.layers[first:]), start=first + 1):
            if before.rows != after.cols:
                raise InputError(
                    f"layers: the blocks that layer {number} gives, {short(list(before.rows))}, "
                    f"do not fit those that layer {number + 1} takes, {short(list(after.cols))}"
                )
        check_wiring(self.wiring, self.layers)
        if self.wiring != PLAIN and not self.is_dense:
            raise InputError(f"wiring: {self.wiring} layers have no relations; this structure has some")
        if self.slope_factor is not None:
            factor = checks.number("slope_factor", self.slope_factor, above=0)
            object.__setattr__(self, "slope_factor", factor)
            if len(self.layers) == 1:
                raise InputError("slope_factor: slopes are those of hidden layers, and there is none")
        if sum(layer.fan_in * layer.fan_out for layer in self.layers) > MOST_WEIGHTS:
            sizes = "-".join(map(str, self.layer_sizes))
            raise InputError(f"layers: a network may have up to {MOST_WEIGHTS} weights, {short(sizes)} has more")
        object.__setattr__(self, "centre", one_each("centre", self.centre, "input", self.n_features, 0.0))
        self._check_ends()
        for what, n in (("input", self.n_features), ("output", self.n_outputs)):
            scales = one_each(f"{what}_scale", getattr(self, f"{what}_scale"), what, n, 1.0, above=0)
            object.__setattr__(self, f"{what}_scale", scales)
            for group in getattr(self, f"tied_{what}s") if len(set(scales)) > 1 else ():
                if len({scales[i] for i in group}) > 1:
                    raise InputError(
                        f"{what}_scale: the relations tie the {what}s {[i + 1 for i in group]}, so their scales must "
                        f"be equal, got {[scales[i] for i in group]}"
                    )

    @classmethod
    def dense(
        cls, layers: Sequence[int], name: str = "dense", activation: str | Adaptive = TANH.name, wiring: str = PLAIN
    ) -> Structure:
        """No relations: the ordinary MLP with the given layer sizes, e.g. ``[2, 8, 8, 16, 1]``.

        Of gated layers the sizes are without the two that make U and V, which are as wide as the hidden ones.
        """
        sizes = check_layer_sizes(layers)
        own = [SymbolLayer.of([[1]], [1], [n_out], [n_in]) for n_in, n_out in pairwise(sizes)]
        return cls((*own[:1] * encoders(wiring), *own), name, **_chosen(activation), wiring=wiring)

    def _check_ends(self) -> None:
        if self.embedding is not None and self.embedding.n_outputs != self.n_features:
            raise InputError(
                f"embedding: it gives {self.embedding.n_outputs} features, the first layer takes {self.n_features}"
            )
        ends = self.n_inputs, self.n_outputs
        if self.ansatz is not None and (found := (self.ansatz.offset.n_inputs, self.ansatz.offset.n_outputs)) != ends:
            raise InputError(
                f"ansatz: it has {found[0]} inputs and {found[1]} outputs, the network {ends[0]} and {ends[1]}"
            )

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Sizes of the expanded network: inputs of its first layer, hidden widths, outputs."""
        return (self.layers[0].fan_in, *(layer.fan_out for layer in self.layers[encoders(self.wiring) :]))

    @property
    def n_inputs(self) -> int:
        """How many coordinates a point has."""
        return self.n_features if self.embedding is None else self.embedding.n_inputs

    @property
    def n_features(self) -> int:
        """How many numbers the first layer acts on: the coordinates, or what the embedding makes of them."""
        return self.layers[0].fan_in

    @property
    def n_outputs(self) -> int:
        return self.layers[-1].fan_out

    @cached_property
    def n_parameters(self) -> int:
        """The length of theta: `ahead`, then the independent weights and biases of layer after layer."""
        return len(self.ahead) + self.n_independent

    @cached_property
    def n_independent(self) -> int:
        """Independent weights and biases."""
        return sum(layer.n_parameters for layer in self.layers)

    @cached_property
    def ahead(self) -> dict[str, float]:
        """By name, what the first parameters of theta, which are no weights, start at: slopes s_l, at 1/n, then the
        unknown numbers of an embedding."""
        n_slopes = 0 if self.slope_factor is None else len(self.layers) - 1
        slopes = {f"slope {number + 1}": 1 / (self.slope_factor or 1.0) for number in range(n_slopes)}
        return slopes if self.embedding is None else {**slopes, **dict(self.embedding.unknown)}

    @property
    def n_expanded(self) -> int:
        """Parameters of a dense network of the same layer sizes."""
        return sum(layer.fan_out * (layer.fan_in + 1) for layer in self.layers)

    @property
    def is_dense(self) -> bool:
        """No relations: theta is all (W, b) themselves, but for centre and scales."""
        return all(layer.is_dense for layer in self.layers)

    @property
    def has_ends(self) -> bool:
        """An embedding before the first layer, or an ansatz behind the last one."""
        return self.embedding is not None or self.ansatz is not None

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
        return overlapping([set(index[sign[:, i] != 0, i].tolist()) for i in range(self.n_features)])

    @cached_property
    def tied_outputs(self) -> tuple[tuple[int, ...], ...]:
        """Groups of outputs whose weights or biases in the last layer share parameters."""
        (index, sign), (bias, bias_sign) = self.layers[-1].weight_map(), self.layers[-1].bias_map()
        return overlapping(
            [{*index[i, sign[i] != 0].tolist(), *bias[i : i + 1][bias_sign[i : i + 1] != 0].tolist()}
             for i in range(self.n_outputs)]
        )  # fmt: skip

    @cached_property
    def free_outputs(self) -> tuple[bool, ...]:
        """Which outputs have a bias of their own, so that they may start anywhere."""
        index, sign = self.layers[-1].bias_map()
        return tuple(bool(sign[i]) and int((index == index[i]).sum()) == 1 for i in range(self.n_outputs))

    @cached_property
    def plan(self) -> Plan:
        """The network with every exact rewrite, as backends run it."""
        return self.expanded_plan if self.is_dense else self._in_frame(lower(self.layers, self.activation))

    @cached_property
    def expanded_plan(self) -> Plan:
        """Plan of the expanded network: w = E theta is all (W, b), layer after layer."""
        return self._in_frame(expanded_plan(self.layers, self.activation, self.wiring))

    def _in_frame(self, plan: Plan) -> Plan:
        found = plan.scaled(self.input_scale, self.output_scale).about(self.centre)
        n_unknown = 0
        if self.embedding is not None:
            found, n_unknown = found.with_embedding(self.embedding), len(self.embedding.unknown)
        if self.slope_factor is not None:
            counts = (n_unknown, *(layer.n_parameters for layer in self.layers[:-1]))
            found = replace(found, slopes=Slopes(self.slope_factor, tuple(accumulate(counts))))
        return found if self.ansatz is None else replace(found, ansatz=self.ansatz)

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
        start = len(self.ahead) + sum(before.n_parameters for before in self.layers[:layer])
        flat_sign = sign.ravel()
        row = np.flatnonzero(flat_sign)
        col = index.ravel()[row] + start
        return scipy.sparse.csr_array(
            (flat_sign[row].astype(np.float64), (row, col)), shape=(flat_sign.size, self.n_parameters)
        )

    def expand(self, theta: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(W, b) of every layer from theta, differentiable; zeros where there are no biases.

        The layers act on x itself, or on its features, and give u itself, or what an ansatz takes: centre and scales
        are in the first and last (W, b), slopes in those of hidden layers.
        """
        if theta.shape != (self.n_parameters,):
            raise InputError(f"theta: expected shape ({self.n_parameters},), got {tuple(theta.shape)}")
        plan = self.expanded_plan
        w = plan.expansion.apply(theta if plan.slopes is None else plan.slopes.apply(theta))
        expanded = []
        for layer in plan.layers:
            (product,) = layer.products
            bias = w[layer.bias] if layer.bias else w.new_zeros(layer.fan_out)
            expanded.append((w[product.weight].view(product.shape), bias))
        return expanded

    def expand_adjoint(self, gradients: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """R^T: gradients with respect to every (W, b) gathered to the gradient with respect to theta.

        Raises:
            InputError: other shapes; a structure with slopes, on which they depend.
        """
        plan = self.expanded_plan
        if plan.slopes is not None:
            raise InputError("gradients: those of theta depend on the slopes; torch.autograd of expand(theta) has them")
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
        if plan.unknown is not None:
            parts.append(parts[0].new_zeros(len(self.ahead)))
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
                    layer.cols if number <= encoders(self.wiring) else tuple(width * n for n in layer.cols),
                )
                for number, layer in enumerate(self.layers)
            ),
        )

    def with_wiring(self, wiring: str) -> Structure:
        """The same sizes with layers connected otherwise. Raises: see `Structure`."""
        if wiring == self.wiring:
            return self
        chain, first = self.layers[encoders(self.wiring) :], encoders(wiring) if wiring in WIRINGS else 0
        return replace(self, layers=(*chain[:1] * first, *chain), wiring=wiring)

    def with_activation(self, activation: str | Adaptive) -> Structure:
        """The same relations with another activation; trained slopes are those of an `Adaptive` one alone."""
        return replace(self, **_chosen(activation))

    @cached_property
    def without_slopes(self) -> Structure:
        """The same relations, hidden layers a(z)."""
        return self if self.slope_factor is None else replace(self, slope_factor=None)

    def with_inputs(self, order: Sequence[int]) -> Structure:
        """The same networks of inputs in another order: input i of the new one is input ``order[i]`` of this one.

        ``with_inputs([1, 0])`` makes a structure for (t, x) one for (x, t).

        Raises:
            InputError: no ordering of 0, 1, ...
        """
        order = checks.integers("order", order, 0)
        if self.has_ends:
            raise InputError("order: a structure with an embedding or ansatz knows its coordinates; make those anew")
        if sorted(order) != list(range(self.n_inputs)):
            raise InputError(f"order: expected an ordering of 0..{self.n_inputs - 1}, got {short(list(order))}")
        first = self.layers[0]
        if not first.is_dense:  # with no relations, those of no input differ from another's
            single = single_columns(first)
            first = replace(single, weight=tuple(tuple(row[i] for i in order) for row in single.weight))
        centre, scale = ([values[i] for i in order] for values in (self.centre, self.input_scale))
        return replace(self, layers=(first, *self.layers[1:]), centre=tuple(centre), input_scale=tuple(scale))

    def __str__(self) -> str:
        """E.g. ``W1 = [[a, b], [a, -b]]   b1 = [c, c]``, one line per layer."""
        return structure_text(self)

    def _repr_html_(self) -> str:
        """For notebooks: blocks of one colour are the same symbol, hatched ones have a minus sign."""
        return structure_html(self)

    def to_entries(self) -> dict[str, Any]:
        """What `to_json` writes, as dictionaries and lists."""
        return structure_entries(self)

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
        return cls(**structure_arguments(data))

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


def _chosen(activation: str | Adaptive) -> dict[str, Any]:
    """What a structure of that activation says."""
    if isinstance(activation, Adaptive):
        return {"activation": activation.activation, "slope_factor": activation.factor}
    return {"activation": activation, "slope_factor": None}


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
