"""Structures as the entries of a file, and back: what is missing, unknown or of another type is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..kernels.errors import CheckpointError, InputError, short
from ..kernels.language.activations import TANH
from ..kernels.network.symbols import SymbolLayer
from ..kernels.network.wiring import PLAIN
from ..storage import entries
from .known_entries import ansatz_entries, ansatz_of, closed_form_entries, closed_form_of

if TYPE_CHECKING:  # it imports this module
    from .structure import Structure

SCHEMA, FIRST_SCHEMA = "psinn_fast.structure/2", "psinn_fast.structure/1"
SCHEMAS = SCHEMA, FIRST_SCHEMA
# What a file holds where it is not the default.
_FRAME = ("centre", "input_scale", "output_scale")
_KNOWN: dict[str, Callable[[str, Any], Any]] = {
    "embedding": closed_form_of, "ansatz": ansatz_of, "wiring": entries.text,
    "slope_factor": entries.number,
}  # fmt: skip


def structure_entries(structure: Structure) -> dict[str, Any]:
    """Dictionaries and lists, in the first schema that can say it: digests of what it can say are as they were."""
    layers = [
        {
            "weight": [list(row) for row in layer.weight],
            "bias": list(layer.bias),
            "rows": list(layer.rows),
            "cols": list(layer.cols),
        }
        for layer in structure.layers
    ]
    plain = structure.plain
    frame = {key: list(getattr(structure, key)) for key in _FRAME if getattr(structure, key) != getattr(plain, key)}
    known: dict[str, Any] = {} if structure.wiring == PLAIN else {"wiring": structure.wiring}
    if structure.slope_factor is not None:
        known["slope_factor"] = structure.slope_factor
    if structure.embedding is not None:
        known["embedding"] = closed_form_entries(structure.embedding)
    if structure.ansatz is not None:
        known["ansatz"] = ansatz_entries(structure.ansatz)
    if structure.activation == TANH.name and not known:
        return {"schema": FIRST_SCHEMA, "name": structure.name, **frame, "layers": layers}
    head = {"schema": SCHEMA, "name": structure.name, "activation": structure.activation}
    return {**head, **frame, **known, "layers": layers}


def structure_arguments(data: Any) -> dict[str, Any]:
    """What a `Structure` of these entries is made from.

    Raises:
        CheckpointError: another schema, or entries missing, unknown or of the wrong type.
        InputError: a layer whose entries do not fit each other.
    """
    found = data.get("schema") if isinstance(data, dict) else type(data).__name__
    if found not in SCHEMAS:
        raise CheckpointError(f"structure: expected schema {SCHEMA!r}, got {short(found)}")
    # Before there was a choice, all were tanh.
    own, more = (("activation",), _KNOWN) if found == SCHEMA else ((), {})
    data = entries.fields("structure", data, ("schema", "name", *own, "layers"), (*_FRAME, *more))
    layers = [
        _layer(f"structure: layers[{i}]", layer)
        for i, layer in enumerate(entries.items("structure: layers", data["layers"]))
    ]
    name = entries.text("structure: name", data["name"])
    frame = {key: tuple(entries.numbers(f"structure: {key}", data[key])) for key in _FRAME if key in data}
    activation = {key: entries.text(f"structure: {key}", data[key]) for key in own}
    known = {key: read(f"structure: {key}", data[key]) for key, read in more.items() if key in data}
    return {"layers": tuple(layers), "name": name, **activation, **frame, **known}


def _layer(where: str, data: Any) -> SymbolLayer:
    parts = entries.fields(where, data, ("weight", "bias", "rows", "cols"))
    matrix = entries.items(f"{where}.weight", parts["weight"])
    weight = [entries.integers(f"{where}.weight[{i}]", row) for i, row in enumerate(matrix)]
    bias, rows, cols = (entries.integers(f"{where}.{name}", parts[name]) for name in ("bias", "rows", "cols"))
    try:
        return SymbolLayer.of(weight, bias, rows, cols)
    except InputError as error:
        raise InputError(f"{where}.{error}") from None
