"""Exact rewrites: the plan of a structured network with less work, the same function and gradient for every theta.

Three passes, all on signed symbols and never on numbers:

1. From the input on, neurons with equal rows become one, and where the activation is odd also those with equal rows up
   to sign: this moves to the columns of the next layer, where blocks add up to linear forms. Neurons that are always
   zero go.
2. From the output back, neurons that feed nothing go.
3. Neurons that depend on no input are folded into the next bias (`Folds`). What remains of every layer is factored
   (`factor`: zero blocks, shared products, exchanged pairs) and laid out, so that products read and write slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...language.activations import TANH, Activation, activation_of
from ..linear_map import LinearMap
from ..plan import NO_FOLDS, Folds, LayerPlan, Plan, Product, expanded_plan
from ..symbols import IntArray, SymbolLayer
from .factoring import Factored, block_sizes, factor, natural_runs
from .forms import FloatArray, Forms


def lower(layers: Sequence[SymbolLayer], activation: str = TANH.name) -> Plan:
    """The plan of a network, rewritten wherever that spares work.

    Parameters stay as they are; one that no longer matters gets gradient zero. A dense network gives `expanded_plan`.
    """
    plain, own = expanded_plan(layers, activation), activation_of(activation)
    if all(layer.is_dense for layer in layers):
        return plain
    reduced = _without_equal_neurons(layers, own)
    _drop_dead_neurons(reduced)
    writer = _Writer()
    lowered, before = [], _Inputs(np.arange(len(layers[0].cols)), {})
    for number, layer in enumerate(reduced, start=1):
        plan, before = _lowered(layer, before, writer, is_last=number == len(reduced))
        lowered.append(plan)
    return Plan(
        tuple(lowered),
        writer.expansion(plain.n_parameters),
        plain.expanded_multiplications,
        plain.weight_slices,
        plain.dense_shapes,
        writer.folds(),
        activation,
    )


@dataclass
class _Layer:
    """One layer on its way: blocks as signed linear forms, biases as signed symbols, block sizes.

    ``weight_starts[k]`` and ``bias_starts[k]``: where symbol k begins in theta. ``constant``: neurons that depend on no
    input, row by row.
    """

    forms: Forms
    weight: IntArray
    bias: IntArray
    rows: IntArray
    cols: IntArray
    weight_starts: IntArray
    bias_starts: IntArray
    constant: npt.NDArray[np.bool_]
    notes: list[str]


def _without_equal_neurons(layers: Sequence[SymbolLayer], activation: Activation) -> list[_Layer]:
    """Pass 1. Block row i of a layer becomes sign[i] times neuron keep[i] of the reduced one, or zero."""
    reduced = list[_Layer]()
    theta_start = 0
    n_inputs = len(layers[0].cols)
    keep, sign, constant = np.arange(n_inputs), np.ones(n_inputs, np.int64), np.zeros(n_inputs, bool)
    cols = np.array(layers[0].cols)
    for number, spec in enumerate(layers, start=1):
        forms = Forms(len(spec.weight_shapes))
        given = np.array(spec.weight) * sign
        weight = np.zeros((len(spec.rows), cols.size), dtype=np.int64)
        for j in np.flatnonzero(sign):
            column = weight[:, keep[j]]
            weight[:, keep[j]] = forms.add(column, given[:, j]) if column.any() else given[:, j]
        bias, rows = np.array(spec.bias), np.array(spec.rows)
        weight_starts = theta_start + np.cumsum([0, 0, *(int(np.prod(shape)) for shape in spec.weight_shapes)])
        bias_starts = theta_start + spec.n_weights + np.cumsum([0, 0, *(shape[0] for shape in spec.bias_shapes)])
        theta_start += spec.n_parameters

        notes, is_last = [], number == len(layers)
        kept = np.arange(rows.size)
        if not is_last:
            keep, sign, kept = _equal_rows(weight, bias, rows, activation)
            n_zero = int(rows[sign == 0].sum())
            notes += _counted(int(rows.sum() - rows[kept].sum()) - n_zero, "equal neuron{} merged")
            notes += _counted(n_zero, "zero neuron{} dropped")
        depends = (weight[kept][:, ~constant] != 0).any(1)
        constant = np.zeros(rows.size, bool) if is_last else ~depends
        reduced.append(
            _Layer(forms, weight[kept], bias[kept], rows[kept], cols, weight_starts, bias_starts, constant, notes)
        )
        cols = rows[kept]
    return reduced


def _equal_rows(
    weight: IntArray, bias: IntArray, rows: IntArray, activation: Activation
) -> tuple[IntArray, IntArray, IntArray]:
    """(keep, sign, kept): row i is sign[i] times row kept[keep[i]], weights and bias; sign 0 for a neuron that is 0."""
    keep, sign = np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int64)
    kept, leads, known = list[int](), list[int](), dict[bytes, int]()
    for i, row in enumerate(np.column_stack([weight, bias])):
        if row.any() or activation.zero != 0:
            lead = int(np.sign(row[row != 0][0])) if activation.is_odd and row.any() else 1
            number = known.setdefault((lead * row).tobytes() + rows[i : i + 1].tobytes(), len(kept))
            if number == len(kept):
                kept.append(i)
                leads.append(lead)
            keep[i], sign[i] = number, lead * leads[number]
    return keep, sign, np.array(kept, dtype=np.int64)


def _drop_dead_neurons(reduced: list[_Layer]) -> None:
    """Pass 2. A hidden layer left without any varying neuron keeps one that is zero, so that no layer is empty."""
    for layer, after in zip(reversed(reduced[:-1]), reversed(reduced[1:]), strict=True):
        used = (after.weight != 0).any(0)
        layer.notes += _counted(int(layer.rows[~used].sum()), "dead neuron{} dropped")
        after.weight, after.cols = after.weight[:, used], after.cols[used]
        layer.weight, layer.bias = layer.weight[used], layer.bias[used]
        layer.rows, layer.constant = layer.rows[used], layer.constant[used]
        if layer.constant.all():
            layer.weight = np.vstack([layer.weight, np.zeros((1, layer.cols.size), np.int64)])
            after.weight = np.column_stack([after.weight, np.zeros(after.rows.size, np.int64)])
            layer.bias, layer.constant = np.append(layer.bias, 0), np.append(layer.constant, False)
            layer.rows = after.cols = np.append(layer.rows, 1)


class _Inputs(NamedTuple):
    """How a layer's inputs come: its columns in the order of the previous layer's neurons, without the constant ones,
    and where in w each constant one's bias starts."""

    order: IntArray
    constants: dict[int, int]


def _lowered(layer: _Layer, inputs: _Inputs, writer: _Writer, is_last: bool) -> tuple[LayerPlan, _Inputs]:
    """Pass 3, one layer, and what the next must know."""
    varying, constant = np.flatnonzero(~layer.constant), np.flatnonzero(layer.constant)
    rows, cols = layer.rows[varying], layer.cols[inputs.order]
    factored = factor(layer.forms, layer.weight[np.ix_(varying, inputs.order)], rows, cols)
    layout = _arrange(factored, rows, cols, is_last)
    table = layer.forms.table()
    products = []
    for piece in layout.pieces:
        weight = writer.append(table, piece.weight, piece.rows, piece.cols, layer.weight_starts)
        outputs, operands = (
            slice(start, start + int(sizes.sum()))
            for start, sizes in ((piece.output, piece.rows), (piece.input, piece.cols))
        )
        products.append(Product(outputs, operands, weight))

    # All constants feeding a row go to its bias; so may a row without one of its own get one.
    folded = [(i, j) for i in range(layer.rows.size) for j in inputs.constants if layer.weight[i, j]]
    symbols = Forms(layer.bias_starts.size - 2).table()
    one = np.ones(1, np.int64)
    places, bias = dict[int, int](), None
    order = varying[layout.order]
    for members in (order, constant):
        if members is constant or layer.bias[members].any() or any(not layer.constant[i] for i, _ in folded):
            part = writer.append(symbols, layer.bias[members, None], layer.rows[members], one, layer.bias_starts)
            places.update(zip(members.tolist(), part.start + _starts(layer.rows[members]), strict=True))
            bias = part if members is order else bias
    for i, j in folded:
        block = layer.weight[i : i + 1, j : j + 1]
        weight = writer.append(table, block, layer.rows[i : i + 1], layer.cols[j : j + 1], layer.weight_starts)
        writer.fold(places[i], weight.start, inputs.constants[j], int(layer.rows[i]), int(layer.cols[j]))

    n_zero = int(np.count_nonzero(layer.weight == 0))
    notes = layer.notes + _counted(int(layer.rows[constant].sum()), "constant neuron{} folded")
    notes += [f"{n_zero} of {layer.weight.size} blocks zero"] if n_zero else []
    notes += _counted(factored.shared, "product{} shared")
    notes += [" x ".join(["Z2"] * factored.splits) + " block-diagonal"] if factored.splits else []
    fan_out = int(rows.sum())
    plan = LayerPlan(
        int(cols.sum()),
        fan_out,
        fan_out if layout.post is None else layout.post.shape[1],
        tuple(products),
        bias,
        layout.pre,
        layout.post,
        ", ".join(notes) or "dense",
    )
    return plan, _Inputs(order, {i: places[i] for i in constant.tolist()})


class _Piece(NamedTuple):
    """One product: a matrix of forms, its block sizes, and the first slot and operand."""

    weight: IntArray
    rows: IntArray
    cols: IntArray
    output: int
    input: int


class _Layout(NamedTuple):
    pieces: list[_Piece]
    pre: LinearMap | None
    post: LinearMap | None
    order: IntArray


def _arrange(factored: Factored, rows: IntArray, cols: IntArray, is_last: bool) -> _Layout:
    """Slots and operands in an order in which every product has slices of them.

    Neurons of a hidden layer may change places (``order``), which spares most permutations. Where few products would
    need one, they are cut up instead.
    """
    # Signs of operands and slots are free: without them, more are plain copies.
    pre_sign, post_sign = _leads(factored.pre), _leads(factored.post.T)
    pre, post = factored.pre * pre_sign[:, None], factored.post * post_sign
    order = np.arange(rows.size)
    leaves = sorted(
        (leaf._replace(weight=post_sign[leaf.slots, None] * leaf.weight * pre_sign[leaf.operands])
         for leaf in factored.leaves),
        key=lambda leaf: (int(leaf.operands.min()), int(leaf.slots.min())),
    )  # fmt: skip

    # Operands: the inputs themselves, or a sequence in which every leaf finds its own side by side.
    in_runs = natural_runs([pre[leaf.operands].argmax(1) for leaf in leaves]) if _is_selection(pre) else None
    if in_runs is not None:
        sequence, in_sizes, pre_map = list(range(cols.size)), cols, None
        in_place = [pre[leaf.operands].argmax(1) for leaf in leaves]
    else:
        sequence, in_place = side_by_side([leaf.operands.tolist() for leaf in leaves])
        in_runs = [[np.argsort(place)] for place in in_place]
        in_sizes = block_sizes(pre, cols)[sequence]
        pre_map = LinearMap.of_blocks(pre[sequence], in_sizes, cols)

    # Slots: the outputs themselves, or the leaves' one after another.
    out_runs = None
    post_map: LinearMap | None = None
    if _is_selection(post.T) and (post != 0).sum(1).max(initial=0) <= 1:
        out_place = [post[:, leaf.slots].argmax(0) for leaf in leaves]
        if not is_last:
            used = [i for place in out_place for i in place.tolist()]
            order = np.array([*used, *sorted(set(range(rows.size)) - set(used))], dtype=np.int64)
            out_place = [np.argsort(order)[place] for place in out_place]
        out_runs, out_sizes = natural_runs(out_place), rows[order]
    if out_runs is None:
        chained = np.concatenate([leaf.slots for leaf in leaves])
        out_place = [np.argsort(chained)[leaf.slots] for leaf in leaves]
        out_runs = [[np.arange(leaf.slots.size)] for leaf in leaves]
        out_sizes = block_sizes(post.T, rows)[chained]
        post_map = LinearMap.of_blocks(post[:, chained], rows, out_sizes)

    in_starts, out_starts = _starts(in_sizes), _starts(out_sizes)
    pieces = []
    for leaf, ins, outs, i_runs, j_runs in zip(leaves, in_place, out_place, out_runs, in_runs, strict=True):
        for i in i_runs:
            for j in j_runs:
                weight = leaf.weight[np.ix_(i, j)]
                output, first = int(out_starts[outs[i[0]]]), int(in_starts[ins[j[0]]])
                pieces.append(_Piece(weight, out_sizes[outs[i]], in_sizes[ins[j]], output, first))
    return _Layout(pieces, pre_map, post_map, order)


def side_by_side(wanted: list[list[int]]) -> tuple[list[int], list[IntArray]]:
    """A sequence that contains every list's items side by side (in any order), and where; items may occur twice."""
    sequence, places, known = list[int](), list[IntArray](), dict[frozenset[int], int]()
    for items in wanted:
        own = frozenset(items)
        if own not in known:
            overlap = set[int]()
            while len(overlap) < len(sequence) and sequence[-1 - len(overlap)] in own - overlap:
                overlap.add(sequence[-1 - len(overlap)])
            known[own] = len(sequence) - len(overlap)
            sequence += [item for item in items if item not in overlap]
        start = known[own]
        position = {item: start + k for k, item in enumerate(sequence[start : start + len(own)])}
        places.append(np.array([position[item] for item in items]))
    return sequence, places


def _is_selection(matrix: FloatArray) -> bool:
    """Every row picks one input."""
    return bool(((matrix != 0).sum(1) == 1).all() and (matrix.max(1, initial=0) == 1).all())


def _leads(matrix: FloatArray) -> IntArray:
    """Sign of the first non-zero entry of each row."""
    first = (matrix != 0).argmax(1) if matrix.size else np.zeros(matrix.shape[0], np.int64)
    return np.sign(matrix[np.arange(matrix.shape[0]), first]).astype(np.int64) if matrix.size else first


class _Writer:
    """Collects w = E theta piece by piece, and the folds."""

    def __init__(self) -> None:
        self.size = 0
        self.entries: list[tuple[IntArray, IntArray, FloatArray]] = []
        self.folded: list[tuple[IntArray, IntArray, IntArray]] = []

    def append(
        self,
        table: tuple[IntArray, IntArray, FloatArray],
        weight: IntArray,
        rows: IntArray,
        cols: IntArray,
        starts: IntArray,
    ) -> slice:
        """Entries of a matrix of forms, row-major; ``starts`` says where each symbol begins in theta."""
        firsts, symbols, coefficients = table
        form = weight.repeat(rows, 0).repeat(cols, 1).ravel()
        within = (_counts(rows)[:, None] * cols.repeat(cols) + _counts(cols)).ravel()
        begin = firsts[np.abs(form)]
        n_terms = firsts[np.abs(form) + 1] - begin
        entry = np.arange(form.size).repeat(n_terms)
        term = begin.repeat(n_terms) + _counts(n_terms)
        column = starts[symbols[term]] + within[entry]
        self.entries.append((self.size + entry, column, np.sign(form)[entry] * coefficients[term]))
        self.size += form.size
        return slice(self.size - form.size, self.size)

    def fold(self, bias: int, weight: int, constant: int, n_out: int, n_in: int) -> None:
        """The block at ``bias`` gets W a(c), W row-major at ``weight`` and c at ``constant``."""
        k = np.arange(n_out * n_in)
        self.folded.append((bias + k // n_in, weight + k, constant + k % n_in))

    def expansion(self, n_parameters: int) -> LinearMap:
        row, col, coefficient = (np.concatenate(parts) for parts in zip(*self.entries, strict=True))
        return LinearMap((self.size, n_parameters), row, col, coefficient)

    def folds(self) -> Folds:
        if not self.folded:
            return NO_FOLDS
        bias, weight, constant = (np.concatenate(parts) for parts in zip(*self.folded, strict=True))
        return Folds(bias, weight, constant)


def _starts(sizes: IntArray) -> IntArray:
    return np.cumsum(sizes) - sizes


def _counts(sizes: IntArray) -> IntArray:
    """0, 1, ..., size - 1 for every size, one after the other."""
    return np.arange(sizes.sum()) - _starts(sizes).repeat(sizes)


def _counted(n: int, text: str) -> list[str]:
    return [f"{n} {text.format('s' if n > 1 else '')}"] if n else []
