"""Prints polynomials.h: polynomials of functions.h, for floats and doubles, by interpolation at Chebyshev points.

Run: python make_polynomials.py > polynomials.h
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp


class Polynomial(NamedTuple):
    """c_0 + c_1 u + ... for function(u) on [low, high]; ``weight(u)``: what an error of it makes of the result's."""

    name: str
    meaning: str
    function: Callable[[Any], Any]
    low: Any
    high: dict[str, Any]
    weight: Callable[[Any], Any]
    degrees: dict[str, int]


def _both(value: Any) -> dict[str, Any]:
    return {"float": value, "double": value}


def _of_fraction(t: Any) -> Any:
    return 3 * (1 + t) / (1 - t)


# Up to where erf is not 1: 4 and 6, which are 1/7 and 1/3.
POLYNOMIALS = (
    Polynomial(
        "sine",
        "sin r = r + r v (...), v = r^2 <= (pi/2)^2",
        lambda v: (mp.sin(mp.sqrt(v)) / mp.sqrt(v) - 1) / v if v else -mp.mpf(1) / 6,
        mp.mpf(0),
        _both((mp.pi / 2) ** 2 * (1 + mp.mpf(10) ** -4)),
        lambda v: v,
        {"float": 3, "double": 7},
    ),
    Polynomial(
        "cosine",
        "cos r = 1 + v (...)",
        lambda v: (mp.cos(mp.sqrt(v)) - 1) / v if v else -mp.mpf(1) / 2,
        mp.mpf(0),
        _both((mp.pi / 2) ** 2 * (1 + mp.mpf(10) ** -4)),
        lambda v: v,
        {"float": 4, "double": 8},
    ),
    Polynomial(
        "erfcx",
        "exp(a^2) erfc a in t = (a - 3) / (a + 3); the error, times exp(-a^2), is that of erf a",
        lambda t: mp.exp(_of_fraction(t) ** 2) * mp.erfc(_of_fraction(t)),
        mp.mpf(-1),
        {"float": mp.mpf(1) / 7, "double": mp.mpf(1) / 3},
        lambda t: mp.exp(-(_of_fraction(t) ** 2)),
        {"float": 7, "double": 18},
    ),
    Polynomial(
        "logarithm",
        "log(1 + e) = s (2 + v (...)), s = e / (2 + e) <= 1/3, v = s^2",
        lambda v: (2 * mp.atanh(mp.sqrt(v)) / mp.sqrt(v) - 2) / v if v else mp.mpf(2) / 3,
        mp.mpf(0),
        _both(mp.mpf(1) / 9),
        lambda v: v / 2,
        {"float": 4, "double": 10},
    ),
)


def coefficients(own: Polynomial, number: str) -> list[Any]:
    low, high, count = own.low, own.high[number], own.degrees[number] + 1
    matrix, right = mp.matrix(count, count), mp.matrix(count, 1)
    for i in range(count):
        u = (low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * count))
        right[i] = own.function(u)
        for j in range(count):
            matrix[i, j] = u**j
    return list(mp.lu_solve(matrix, right))


def error(own: Polynomial, number: str, found: list[Any]) -> Any:
    """Of the result, without rounding."""
    low, high = own.low, own.high[number]
    points = (low + (high - low) * k / 50 for k in range(51))
    return max(abs((mp.polyval(found[::-1], u) - own.function(u)) * own.weight(u)) for u in points)


def main() -> None:
    mp.mp.dps = 40
    print("// Written by make_polynomials.py: see there.\n#pragma once\n\nnamespace PSINN_NAMESPACE {\n")
    print("template <class T>\nstruct Polynomials;")
    for number, suffix, digits in (("float", "f", 9), ("double", "", 17)):
        print(f"template <>\nstruct Polynomials<{number}> {{")
        for own in POLYNOMIALS:
            found = coefficients(own, number)
            print(f"  // {own.meaning}: {mp.nstr(error(own, number, found), 2)}")
            print(f"  static constexpr {number} {own.name}[] = {{")
            for value in found:
                print(f"      {mp.nstr(value, digits, min_fixed=0, max_fixed=0)}{suffix},")
            print("  };")
        print("};")
    print("\n}  // namespace PSINN_NAMESPACE")


if __name__ == "__main__":
    main()
