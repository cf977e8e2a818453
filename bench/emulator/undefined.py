"""From what nobody wrote to what was computed from it: which results of an instruction are undefined.

Compilers leave such numbers where nothing comes of them, half of a pair for instance, and so does Triton. As memcheck
of Valgrind does, they are followed, and are a fault where they decide something or leave the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .memory import WARP
from .ptx import names_in
from .registers import ALL, HIGH, LOW, Halves, Names
from .warps import shuffled

if TYPE_CHECKING:
    from .machine import Threads

# From where what is read is undefined to where each register that is written is.
Spread: TypeAlias = "Callable[[Threads, Halves], Sequence[Halves]]"


def spread_of(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Spread:
    if opcode[0] in ("redux", "vote", "mma"):
        n = len(names_in(operands[0]))
        return lambda threads, where: [_everywhere(np.repeat(where.reshape(-1, WARP).any(1), WARP))] * n
    if opcode[0] == "selp":
        return _by_selection(operands, names)
    if opcode[0] == "shfl":
        return _by_exchange(opcode, operands, names)
    if opcode[0] == "mov" and operands[0].startswith("{"):
        halves = [half for name, half in zip(names_in(operands[0]), (LOW, HIGH), strict=True) if name != "_"]
        return lambda threads, where: [_everywhere(where & half) for half in halves]
    if opcode[0] == "mov" and operands[1].startswith("{"):
        return _put_together(operands, names)
    if opcode[0] == "cvt" and {opcode[-1][1:], opcode[-2][1:]} == {"32", "64"} and opcode[-1][0] != "f":
        is_narrowed = opcode[-1][1:] == "64"
        return lambda threads, where: [_everywhere(where & LOW) if is_narrowed else where & LOW]
    if opcode[0] in ("shl", "shr") and opcode[-1][1:] == "64" and operands[2] == "32":
        moved = (LOW, np.left_shift) if opcode[0] == "shl" else (HIGH, np.right_shift)
        return lambda threads, where: [moved[1](where & moved[0], np.uint8(1))]
    if opcode[0] in ("mov", "and", "or", "xor", "not") or opcode[-1] == "f32x2":
        return lambda threads, where: [where]
    return lambda threads, where: [_everywhere(where)] * 2


def _everywhere(where: Halves) -> Halves:
    """In both halves, if in one."""
    return np.where(where != 0, ALL, np.uint8(0))


def _of(names: Sequence[int], threads: Threads, like: Halves) -> Halves:
    found = threads.registers.undefined_in(names, None)
    return np.zeros_like(like) if found is None else found


def _by_selection(operands: Sequence[str], names: Names) -> Spread:
    """Where the chosen one is undefined, or the choice."""
    chosen = names.read(operands[3], "pred")
    a, b, choice = (names.registers([operand]) for operand in operands[1:4])

    def spread(threads: Threads, where: Halves) -> Sequence[Halves]:
        first, second, which = (_of(own, threads, where) for own in (a, b, choice))
        return [np.where(chosen(threads.registers), first, second) | _everywhere(which)]

    return spread


def _by_exchange(opcode: Sequence[str], operands: Sequence[str], names: Names) -> Spread:
    value = names.registers(operands[1:2])
    by, clamp = (names.read(own, "b32") for own in operands[2:4])

    def spread(threads: Threads, where: Halves) -> Sequence[Halves]:
        given = (np.broadcast_to(read(threads.registers), where.shape) for read in (by, clamp))
        return [shuffled(opcode[2], _of(value, threads, where), *given)[0]] * 2

    return spread


def _put_together(operands: Sequence[str], names: Names) -> Spread:
    halves = [names.registers([name]) for name in names_in(operands[1])]

    def spread(threads: Threads, where: Halves) -> Sequence[Halves]:
        low, high = (_everywhere(_of(own, threads, where)) for own in halves)
        return [low & LOW | high & HIGH]

    return spread
