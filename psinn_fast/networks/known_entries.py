"""Embeddings and ansatzes as entries of a structure's file, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..kernels.errors import CheckpointError, InputError
from ..kernels.language.closed_form import ClosedForm
from ..kernels.language.program import Instruction
from ..kernels.network.ansatz import Ansatz, Known
from ..storage import entries
from .continuation import Continuation, known_continuation


def closed_form_entries(form: ClosedForm) -> dict[str, Any]:
    """Dictionaries and lists."""
    instructions = [[op, a, b, value] for op, a, b, value in form.instructions]
    known = {"inputs": form.n_inputs, "instructions": instructions, "outputs": list(form.outputs)}
    more = {name: [list(pair) for pair in getattr(form, name)] for name in ("periods", "unknown")}
    return {**known, **{name: pairs for name, pairs in more.items() if pairs}}


def closed_form_of(where: str, data: Any) -> ClosedForm:
    """
    Raises:
        CheckpointError: entries missing, unknown or of the wrong type, or code that reads what is not there.
    """
    parts = entries.fields(where, data, ("inputs", "instructions", "outputs"), ("periods", "unknown"))
    instructions = []
    for number, item in enumerate(entries.items(f"{where}.instructions", parts["instructions"])):
        own = f"{where}.instructions[{number}]"
        values = entries.items(own, item)
        if len(values) != 4:
            raise CheckpointError(f"{own}: expected [operation, a, b, value], got {len(values)} entries")
        a, b = (entries.integer(own, register, least=-1) for register in values[1:3])
        instructions.append(Instruction(entries.text(own, values[0]), a, b, entries.number(own, values[3])))
    try:
        return ClosedForm(
            entries.integer(f"{where}.inputs", parts["inputs"], least=1),
            tuple(instructions),
            tuple(entries.integers(f"{where}.outputs", parts["outputs"])),
            tuple(_periods(f"{where}.periods", parts.get("periods", []), parts["inputs"])),
            tuple(_unknown(f"{where}.unknown", parts.get("unknown", []))),
        )
    except InputError as error:
        raise CheckpointError(f"{where}.{error}") from None


def _periods(where: str, data: Any, n_inputs: int) -> Iterator[tuple[int, float]]:
    for pair in entries.items(where, data):
        axis, period = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
        found = entries.integer(where, axis, most=n_inputs - 1), entries.number(where, period)
        if not found[1] > 0:
            raise CheckpointError(f"{where}: expected periods > 0, got {found[1]:g}")
        yield found


def _unknown(where: str, data: Any) -> Iterator[tuple[str, float]]:
    for pair in entries.items(where, data):
        name, start = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
        yield entries.text(where, name), entries.number(where, start)


def ansatz_entries(ansatz: Ansatz) -> dict[str, Any]:
    """Dictionaries and lists."""
    return {name: known_entries(getattr(ansatz, name)) for name in ("offset", "factor")}


def known_entries(known: Any) -> dict[str, Any]:
    """Of a continuation which one it is: the networks that it consists of are in files of their own."""
    return {"continues": known.digest} if isinstance(known, Continuation) else closed_form_entries(known)


def known_of(where: str, data: Any) -> Known:
    """
    Raises:
        CheckpointError: see `closed_form_of`; the continuation of networks that are not there.
    """
    if not isinstance(data, dict) or "continues" not in data:
        return closed_form_of(where, data)
    digest = entries.text(where, entries.fields(where, data, ("continues",))["continues"])
    found = known_continuation(digest)
    if found is None:
        raise CheckpointError(
            f"{where}: it continues the networks of earlier windows of time, which are in files beside this one; "
            "pf.load_march(folder, problem) reads them all"
        )
    return found


def ansatz_of(where: str, data: Any) -> Ansatz:
    """Raises: see `closed_form_of`."""
    parts = entries.fields(where, data, ("offset", "factor"))
    try:
        return Ansatz(*(known_of(f"{where}.{name}", parts[name]) for name in ("offset", "factor")))
    except InputError as error:
        raise CheckpointError(f"{where}.{error}") from None
