"""Direct sums: networks side by side as one network of several fields, none of whose weights meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..kernels.errors import InputError, short
from ..kernels.network.symbols import SymbolLayer
from ..kernels.network.wiring import PLAIN
from ..language.names import Names, split_names
from .blocks import beside, reordered, single_columns, single_rows
from .structure import Structure


def direct_sum(
    parts: Mapping[str, Structure],
    fields: Names,
    *,
    centre: Sequence[float] | None = None,
    name: str = "direct sum",
) -> Structure:
    """Structures side by side, each for some of the fields: W = diag(W_1, W_2, ...) in every layer but the first.

    All parts see the same inputs, and every symbol stays one of its part alone. So a field has exactly the symmetries
    that its part gives it (`field_symmetries`). The paper's structure for flows is of this kind, from those of two
    other problems: ``direct_sum({"u p": even, "v": odd}, fields="u v p")`` (Liu et al. 2025).

    Args:
        parts: from names of fields, in the order of the part's outputs, to a structure. A part of one output that
            stands for several fields gets as many heads: its last layer once for each, with weights of their own. The
            same structure under two names is two branches.
        fields: all fields, in the order of the sum's outputs.
        centre: where inputs are measured from, one number per input; None: as in the parts, which then must agree.
        name: of the sum.

    Raises:
        InputError: no parts; a field that no part has, or two have; a part with other outputs than fields; parts of
            unequal inputs, embeddings, depths, input scales, or, without a ``centre``, of unequal centres; a part with
            an ansatz, which is the sum's.
    """
    wanted = split_names(fields, "fields")
    named = _named(parts)
    owned = [field for names, _ in named for field in names]
    if sorted(owned) != sorted(wanted):
        raise InputError(f"parts: each of the fields {list(wanted)} must be in one part, got {owned}")
    structures = [part for _, part in named]
    _check_equal("numbers of inputs", [part.n_inputs for part in structures], "")
    for names, part in named:
        if part.ansatz is not None:
            raise InputError(
                f"parts: {names[0]!r} has an ansatz, which belongs to fields of the sum; give it there: "
                "pf.Network(structure=..., ansatz=...)"
            )
        if part.wiring != PLAIN:
            raise InputError(f"parts: {names[0]!r} has {part.wiring} layers; those of a sum are plain")
        if part.slope_factor is not None:
            raise InputError(
                f"parts: {names[0]!r} has trained slopes; a sum has one for each of its layers: give it these, "
                "direct_sum(...).with_activation(pf.Adaptive(...))"
            )
    if len({part.embedding for part in structures}) > 1:
        raise InputError("parts: their embeddings must be equal: all see the same inputs")
    _check_equal("hidden layers", [len(part.layers) - 1 for part in structures], "; build them of one depth")
    _check_equal("input scales", [part.input_scale for part in structures], "")
    _check_equal("activations", [part.activation for part in structures], "")
    if centre is None:
        _check_equal("centres", [part.centre for part in structures], "; say where the sum's is: centre=(...)")

    headed = [_with_heads(part.layers, len(names)) for names, part in named]
    first, *others = zip(*headed, strict=True)
    layers = [beside([single_columns(layer) for layer in first], shared=True), *map(beside, others)]
    order = [owned.index(field) for field in wanted]
    layers[-1] = reordered(layers[-1], order)
    scales = [scale for names, part in named for scale in _one_each(part.output_scale, len(names))]
    return Structure(
        tuple(layers),
        name,
        structures[0].centre if centre is None else tuple(centre),
        structures[0].input_scale,
        tuple(scales[i] for i in order),
        structures[0].activation,
        structures[0].embedding,
    )


def _named(parts: object) -> list[tuple[tuple[str, ...], Structure]]:
    """The parts with the names of their fields, checked one by one."""
    if not isinstance(parts, Mapping) or not parts:
        example = "{'u p': even, 'v': odd}"
        raise InputError(f"parts: expected structures by names of fields, e.g. {example}, got {short(parts)}")
    named = []
    for names, part in parts.items():
        own = split_names(names, "parts")
        if not isinstance(part, Structure):
            raise InputError(f"parts: {names!r}: expected a Structure, got {short(part)}")
        if part.n_outputs not in (1, len(own)):
            raise InputError(f"parts: {names!r}: a structure of {part.n_outputs} outputs for {len(own)} fields")
        named.append((own, part))
    return named


def _check_equal(what: str, found: Sequence[object], advice: str) -> None:
    if len(set(found)) > 1:
        raise InputError(f"parts: their {what} must be equal, got {list(found)}{advice}")


def _one_each(values: tuple[float, ...], n: int) -> tuple[float, ...]:
    return values if len(values) == n else values * n


def _with_heads(layers: Sequence[SymbolLayer], heads: int) -> list[SymbolLayer]:
    """The last layer with a row per output; that of a part of one output ``heads`` times."""
    last = single_rows(layers[-1])
    if last.fan_out != heads:
        last = beside([last] * heads, shared=True)
    return [*layers[:-1], last]
