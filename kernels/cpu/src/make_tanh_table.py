"""Prints tanh_table.h: tanh on a few intervals as polynomials in the distance from a point of each, its origin.

An interval is all |x| for which 1 + scale |x| agrees in exponent and the first bits of the mantissa. It is numbered by
these bits modulo the number of intervals, as a permutation of as many lanes reads them.

32: scale 1, three bits: [0, 1/8), [1/8, 1/4), ..., [1, 5/4), ..., [3, 7/2), ..., [7, 8), ...
4: scale 1.6, no bits: [0, 0.625), [0.625, 1.875), [1.875, 4.375), [4.375, 9.375)

The origin is the left end of narrow intervals, of wide ones the centre, where the terms of the polynomial are smaller
than the value; that of the first one is 0, for small x. Beyond 9.02 tanh rounds to 1.

Run: python make_tanh_table.py > tanh_table.h
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath as mp

OCTAVES = 4
# (scale, bits of the mantissa, degree, origin / width): as few coefficients as keep the polynomial's own error below
# half an ulp.
TABLES = (("1", 3, 5, "0"), ("1.6", 0, 10, "0.5"))


def intervals(scale: Any, bits: int) -> Iterator[tuple[int, Any, Any]]:
    """(number, left end, width)."""
    parts = 2**bits
    for octave in range(OCTAVES):
        for part in range(parts):
            low = 2**octave * mp.mpf(parts + part) / parts
            yield ((127 + octave) * parts + part) % (OCTAVES * parts), (low - 1) / scale, 2**octave / (parts * scale)


def coefficients(left: Any, width: Any, origin: Any, degree: int) -> list[Any]:
    """c_0 + c_1 u + ..., u = x - origin: c_0 = tanh(origin), the rest interpolates (tanh x - c_0) / u (Chebyshev)."""
    if left >= 9:
        return [mp.mpf(1)] + [mp.mpf(0)] * degree
    value = mp.tanh(origin)
    nodes = [left - origin + width / 2 * (1 + mp.cos(mp.pi * (2 * k + 1) / (2 * degree))) for k in range(degree)]
    matrix = mp.matrix(degree, degree)
    right = mp.matrix(degree, 1)
    for i, u in enumerate(nodes):
        right[i] = (mp.tanh(origin + u) - value) / u if u else 1 - value**2
        for j in range(degree):
            matrix[i, j] = u**j
    return [value, *mp.lu_solve(matrix, right)]


def print_rows(name: str, rows: list[list[Any]]) -> None:
    print(f"\nalignas(64) static constexpr float {name}[{len(rows)}][{len(rows[0])}] = {{")
    for row in rows:
        numbers = [mp.nstr(number, 9, min_fixed=0, max_fixed=0) + "f" for number in row]
        for start in range(0, len(row), 8):
            opening = "    {" if start == 0 else "     "
            closing = "}," if start + 8 >= len(row) else ","
            print(opening + ", ".join(numbers[start : start + 8]) + closing)
    print("};")


def main() -> None:
    mp.mp.dps = 40
    print("// Written by make_tanh_table.py: row k holds coefficient k of each interval.")
    print("#pragma once\n\nnamespace PSINN_NAMESPACE {")
    for scale, bits, degree, share in TABLES:
        found = {}
        for number, left, width in intervals(mp.mpf(scale), bits):
            origin = left + mp.mpf(share) * width if left else mp.mpf(0)
            found[number] = (origin, coefficients(left, width, origin, degree))
        ordered = [found[number] for number in range(len(found))]
        print_rows(f"TANH_ORIGIN_{len(found)}", [[origin for origin, _ in ordered]])
        print_rows(f"TANH_TABLE_{len(found)}", [[row[k] for _, row in ordered] for k in range(degree + 1)])
    print("\n}  // namespace PSINN_NAMESPACE")


if __name__ == "__main__":
    main()
