"""Prints tanh_table.h: tanh on 32 intervals as polynomials of degree 5 in the distance from the left end.

An interval is all |x| for which 1 + |x| agrees in sign, exponent and three bits of the mantissa: [0, 1/8), [1/8, 1/4),
..., [1, 5/4), ..., [3, 7/2), ..., [7, 8), ... It is numbered by these bits modulo 32, as a permutation of 32 lanes
reads them. Beyond 9 tanh rounds to 1. Run: python make_tanh_table.py > tanh_table.h
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath as mp

DEGREE = 5


def intervals() -> Iterator[tuple[int, Any, Any]]:
    """(number, left end, width)."""
    for octave in range(4):
        for eighth in range(8):
            low = 2**octave * mp.mpf(8 + eighth) / 8
            yield ((127 + octave) * 8 + eighth) % 32, low - 1, mp.mpf(2**octave) / 8


def coefficients(left: Any, width: Any) -> list[Any]:
    """c_0 + c_1 u + ...: c_0 = tanh(left), the rest interpolates (tanh(left + u) - c_0) / u at Chebyshev points."""
    if left >= 9:
        return [mp.mpf(1)] + [mp.mpf(0)] * DEGREE
    value = mp.tanh(left)
    nodes = [width / 2 * (1 + mp.cos(mp.pi * (2 * k + 1) / (2 * DEGREE))) for k in range(DEGREE)]
    matrix = mp.matrix(DEGREE, DEGREE)
    right = mp.matrix(DEGREE, 1)
    for i, u in enumerate(nodes):
        right[i] = (mp.tanh(left + u) - value) / u
        for j in range(DEGREE):
            matrix[i, j] = u**j
    return [value, *mp.lu_solve(matrix, right)]


def main() -> None:
    mp.mp.dps = 40
    rows = {number: coefficients(left, width) for number, left, width in intervals()}
    table = [rows[number] for number in range(32)]
    print("// Written by make_tanh_table.py: row k holds coefficient k of each of 32 intervals.")
    print("#pragma once\n\nnamespace PSINN_NAMESPACE {\n")
    print(f"alignas(64) static constexpr float TANH_TABLE[{DEGREE + 1}][32] = {{")
    for k in range(DEGREE + 1):
        numbers = [mp.nstr(row[k], 9, min_fixed=0, max_fixed=0) + "f" for row in table]
        for start in range(0, 32, 8):
            opening = "    {" if start == 0 else "     "
            closing = "}," if start == 24 else ","
            print(opening + ", ".join(numbers[start : start + 8]) + closing)
    print("};\n\n}  // namespace PSINN_NAMESPACE")


if __name__ == "__main__":
    main()
