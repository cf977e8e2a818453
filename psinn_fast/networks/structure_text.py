"""Structures as text: their symbols in letters, their frame in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernels.language.activations import TANH
from ..kernels.network.wiring import GATED, PLAIN, RESIDUAL

if TYPE_CHECKING:  # it imports this module
    from .structure import Structure


_WIRED = {
    GATED: "gated: W1 and W2 make U and V of the inputs, which hidden layers blend",
    RESIDUAL: "residual: hidden layers from the second on add what goes into them",
}


def structure_text(structure: Structure) -> str:
    """E.g. ``W1 = [[a, b], [a, -b]]   b1 = [c, c]``, one line per layer."""
    name, about = structure_heading(structure)
    lines = [f"{name}: {about}", *(f"  {text}" for text in structure_remarks(structure))]
    for number, (weight, bias) in enumerate(named_symbols(structure), start=1):
        rows = ", ".join("[" + ", ".join(row) + "]" for row in weight)
        lines.append(f"  W{number} = [{rows}]   b{number} = [{', '.join(bias)}]")
    return "\n".join(lines)


def structure_heading(structure: Structure) -> tuple[str, str]:
    """Its name, and its sizes and numbers of parameters."""
    sizes = "-".join(map(str, structure.layer_sizes))
    counts = f"{structure.n_independent} independent of {structure.n_expanded} expanded parameters"
    activation = "" if structure.activation == TANH.name else f", {structure.activation}"
    return structure.name, f"{sizes}{activation}, {counts}"


def structure_remarks(structure: Structure) -> list[str]:
    """What else there is to say: frame, ends, slopes, wiring; nothing of a plain structure."""
    found = []
    if not structure.is_plain:
        found.append(frame_text(structure))
    if structure.has_ends:
        found.append(ends_text(structure))
    if structure.slope_factor is not None:
        name = structure.activation
        found.append(f"slopes: hidden layers {name}({structure.slope_factor:g} s (W h + b)), each s is trained")
    if structure.wiring != PLAIN:
        found.append(_WIRED[structure.wiring])
    return found


def named_symbols(structure: Structure) -> list[tuple[list[list[str]], list[str]]]:
    """Per layer, block matrix and bias vector in letters: lower case for vectors, capitals for matrices."""
    capitals = lowers = 0
    named = []
    for number, layer in enumerate(structure.layers):
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


def frame_text(structure: Structure) -> str:
    """Centre and scales in words; empty for a plain structure."""

    def numbers(values: tuple[float, ...]) -> str:
        return "(" + ", ".join(f"{value:g}" for value in values) + ")"

    inputs = [f"measured from {numbers(structure.centre)}"] if any(structure.centre) else []
    inputs += [f"in units of {numbers(structure.input_scale)}"] if set(structure.input_scale) != {1.0} else []
    outputs = [f"outputs in units of {numbers(structure.output_scale)}"] if set(structure.output_scale) != {1.0} else []
    return ", ".join(([f"inputs {' '.join(inputs)}"] if inputs else []) + outputs)


def ends_text(structure: Structure) -> str:
    """Embedding and ansatz in words; empty for a network without."""
    found = []
    if structure.embedding is not None:
        names = " and ".join(name for name, _ in structure.embedding.unknown)
        unknown = f", with {names} to be found" if names else ""
        found.append(f"acts on {structure.n_features} features of {structure.n_inputs} coordinates{unknown}")
    if structure.ansatz is not None:
        found.append("inside of an ansatz u = g + d N")
    return ", ".join(found)


def _letter(k: int, capital: bool) -> str:
    letter = chr((ord("A") if capital else ord("a")) + k % 26)
    return letter + (str(k // 26) if k >= 26 else "")


def _signed(symbol: int, names: list[str]) -> str:
    return ("-" if symbol < 0 else "") + names[abs(symbol) - 1] if symbol else "0"
