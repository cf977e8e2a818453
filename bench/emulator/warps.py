"""Instructions that the threads of a warp do together: exchanges, votes, and products of small matrices.

A matrix operand is spread over a warp as the PTX ISA says ("Matrix Fragments"). Lane l has group g = l / 4 and place
t = l mod 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .faults import Fault, NotModelled
from .memory import WARP
from .numbers import Values

_LANE = np.arange(WARP)
_G, _T = _LANE // 4, _LANE % 4
Indices = npt.NDArray[np.int64]


def shuffled(how: str, values: Values, by: Values, clamp: Values) -> tuple[Values, npt.NDArray[np.bool_]]:
    """shfl.sync: every thread's number from another lane, and whether that one was in range, else its own."""
    given = values.reshape(-1, WARP)
    by, clamp = (np.broadcast_to(own, values.shape).reshape(-1, WARP).astype(np.int64) for own in (by, clamp))
    segment, last = clamp >> 8 & 31, clamp & 31
    most = (_LANE & segment) | (last & ~segment)
    least = _LANE & segment
    source = {
        "idx": lambda: least | (by & 31 & ~segment),
        "bfly": lambda: _LANE ^ (by & 31),
        "down": lambda: _LANE + (by & 31),
        "up": lambda: _LANE - (by & 31),
    }[how]()
    is_there = source >= most if how == "up" else source <= most
    chosen = np.where(is_there, source, np.broadcast_to(_LANE, source.shape))
    return np.take_along_axis(given, chosen, 1).ravel(), np.broadcast_to(is_there, given.shape).ravel()


def reduced(how: str, values: Values) -> Values:
    """redux.sync, of all lanes."""
    functions: dict[str, Callable[..., Values]] = {
        "add": np.add.reduce, "min": np.minimum.reduce, "max": np.maximum.reduce, "and": np.bitwise_and.reduce,
        "or": np.bitwise_or.reduce, "xor": np.bitwise_xor.reduce,
    }  # fmt: skip
    whole = functions[how](values.reshape(-1, WARP), axis=1)
    return np.repeat(whole.astype(values.dtype), WARP)


def voted(how: str, values: npt.NDArray[np.bool_]) -> Values:
    """vote.sync, of all lanes."""
    given = values.reshape(-1, WARP)
    if how == "ballot":
        return np.repeat((given.astype(np.uint64) << _LANE.astype(np.uint64)).sum(1).astype(np.uint32), WARP)
    if how == "uni":
        return np.repeat(given.all(1) | ~given.any(1), WARP)
    return np.repeat(given.all(1) if how == "all" else given.any(1), WARP)


def rows_of_matrices(addresses: Indices, matrix: int) -> Indices:
    """ldmatrix, stmatrix: where each lane's word of 8 x 8 matrix ``matrix`` lies; lane 8 m + i knows row i of matrix m.

    Raises:
        Fault: a row that does not begin at a multiple of 16 bytes.
    """
    rows = addresses.reshape(-1, WARP)[:, 8 * matrix : 8 * matrix + 8]
    if (rows % 16).any():
        raise Fault(f"misaligned row of a matrix in shared memory: {int(rows[rows % 16 != 0][0])}")
    return (rows[:, _G] + 4 * _T).ravel()


class Product(NamedTuple):
    """mma.sync: d = a b + c for (m, k) times (k, 8). ``a``, ``b``, ``c``: (row, column) of every register, by lane."""

    m: int
    k: int
    kind: str
    a: tuple[tuple[Indices, Indices], ...]
    b: tuple[tuple[Indices, Indices], ...]
    c: tuple[tuple[Indices, Indices], ...]

    @property
    def flops(self) -> int:
        return 2 * self.m * 8 * self.k

    def __call__(self, a: Sequence[Values], b: Sequence[Values], c: Sequence[Values]) -> list[Values]:
        sizes = (self.m, self.k), (self.k, 8), (self.m, 8)
        whole = [
            _put_together(own, places, size)
            for own, places, size in zip((a, b, c), (self.a, self.b, self.c), sizes, strict=True)
        ]
        found = _tf32_product(*whole) if self.kind == "tf32" else whole[0] @ whole[1] + whole[2]
        return [found[:, i, j].ravel() for i, j in self.c]


def _put_together(
    registers: Sequence[Values], places: Sequence[tuple[Indices, Indices]], size: tuple[int, int]
) -> Values:
    """(warps, rows, columns), in float64."""
    found = np.zeros((registers[0].size // WARP, *size))
    for own, (i, j) in zip(registers, places, strict=True):
        found[:, i, j] = own.reshape(-1, WARP)
    return found


def _tf32_product(a: Values, b: Values, c: Values) -> Values:
    """Operands lose what a tf32 number does not have; four products and the sum so far are added at a time, and cut off
    after 24 bits instead of rounded: as measured on an A100 (Fasi et al., PeerJ Computer Science 7:e330, 2021)."""
    a, b = (_cut_off(own, 11) for own in (a, b))
    total = c
    for k in range(0, a.shape[2], 4):
        total = _cut_off(a[:, :, k : k + 4] @ b[:, k : k + 4] + total, 24)
    return total.astype(np.float32)


def _cut_off(x: Values, bits: int) -> Values:
    fraction, exponent = np.frexp(x)
    return np.ldexp(np.trunc(np.ldexp(fraction, bits)), exponent - bits)


def product(opcode: Sequence[str]) -> Product:
    """
    Raises:
        NotModelled: another shape or type.
    """
    shape, kinds = opcode[3], tuple(opcode[-4:])
    if tuple(opcode[1:3]) != ("sync", "aligned") or tuple(opcode[4:6]) != ("row", "col"):
        raise NotModelled(".".join(opcode))
    c = tuple((_G + 8 * i, 2 * _T + j) for i in (0, 1) for j in (0, 1))
    if shape == "m16n8k8" and kinds == ("f32", "tf32", "tf32", "f32"):
        a = tuple((_G + 8 * i, _T + 4 * j) for j in (0, 1) for i in (0, 1))
        return Product(16, 8, "tf32", a, tuple((_T + 4 * i, _G) for i in (0, 1)), c)
    if shape == "m16n8k16" and kinds == ("f64",) * 4:
        a = tuple((_G + 8 * i, _T + 4 * j) for j in range(4) for i in (0, 1))
        return Product(16, 16, "f64", a, tuple((_T + 4 * i, _G) for i in range(4)), c)
    if shape == "m8n8k4" and kinds == ("f64",) * 4:
        return Product(8, 4, "f64", ((_G, _T),), ((_T, _G),), c[:2])
    raise NotModelled(".".join(opcode))
