"""Instructions that compute a thread's number from its other numbers.

IEEE operations are exact; but for sums of products in float32, which are rounded to float64 before they are rounded to
float32, and in float64, where a product has 64 bits. What a chip only approximates (`approximate`) is wrong here by as
much as NVIDIA's documentation allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .faults import NotModelled
from .numbers import Values, type_of


class Operation(NamedTuple):
    """``result`` = ``function`` of operands of these types."""

    result: str
    operands: tuple[str, ...]
    function: Callable[..., Values]


def operation(opcode: Sequence[str]) -> Operation | None:
    """None: it is none of these instructions.

    Raises:
        NotModelled: an unknown form of one.
    """
    make = _INSTRUCTIONS.get(opcode[0])
    if make is None:
        return None
    if unknown := [part for part in opcode[1:] if part in ("rz", "rm", "rp", "sat", "f16", "bf16", "f16x2", "bf16x2")]:
        raise NotModelled(f"{'.'.join(opcode)}: {unknown[0]}")
    found = make(opcode)
    if "ftz" not in opcode:
        return found
    own = found.function
    return found._replace(function=lambda *given: flushed(own(*map(flushed, given))))


def flushed(x: Values) -> Values:
    """Subnormal numbers of float32 as zeros of their sign."""
    return (
        np.where(np.abs(x) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), x), x) if x.dtype.kind == "f" else x
    )


def approximate(exact: Values, ulps: float) -> Values:
    """Of float64 results float32 ones that miss them by nearly ``ulps`` units of the last place, up or down by bits.

    Results that are float32 numbers are met, and those beyond them are infinite.
    """
    nearest = exact.astype(np.float32)
    missed = nearest.astype(np.float64) != exact
    sign = np.where(exact.view(np.uint64) & np.uint64(1 << 20), 1.0, -1.0)
    far = exact + sign * (ulps - 0.5) * np.spacing(np.abs(nearest)).astype(np.float64)
    return np.where(missed & np.isfinite(nearest), far, exact).astype(np.float32)


def _same(function: Callable[..., Values], n: int) -> Callable[[Sequence[str]], Operation]:
    """Operands and result of the type that the opcode ends with."""
    return lambda opcode: Operation(opcode[-1], (opcode[-1],) * n, function)


def _approximated(function: Callable[[Values], Values], ulps: float) -> Callable[[Sequence[str]], Operation]:
    def make(opcode: Sequence[str]) -> Operation:
        kind = opcode[-1]
        if "approx" not in opcode:
            return Operation(kind, (kind,), lambda x: function(x).astype(x.dtype))
        if kind == "f64":  # the first step of a division: half of the bits
            return Operation(kind, (kind,), lambda x: _upper_half(function(x)))
        return Operation(kind, (kind,), lambda x: approximate(function(x.astype(np.float64)), ulps))

    return make


def _upper_half(x: Values) -> Values:
    return (np.asarray(x).view(np.uint64) & np.uint64(0xFFFFFFFF00000000)).view(np.float64)


def _div(opcode: Sequence[str]) -> Operation:
    kind = opcode[-1]
    if kind[0] in "us":
        return Operation(kind, (kind, kind), lambda a, b: _towards_zero(a, b)[0])
    if "approx" in opcode or "full" in opcode:
        return Operation(kind, (kind,) * 2, lambda a, b: approximate(a.astype(np.float64) / b.astype(np.float64), 2))
    return Operation(kind, (kind, kind), np.divide)


def _rem(opcode: Sequence[str]) -> Operation:
    kind = opcode[-1]
    return Operation(kind, (kind, kind), lambda a, b: _towards_zero(a, b)[1])


def _towards_zero(a: Values, b: Values) -> tuple[Values, Values]:
    whole = np.where(b == 0, 1, b).astype(a.dtype)
    rest = np.fmod(a, whole)
    return np.floor_divide(a - rest, whole), rest


def _fused(a: Values, b: Values, c: Values) -> Values:
    wide = np.float64 if a.dtype == np.float32 else np.longdouble
    return (a.astype(wide) * b.astype(wide) + c.astype(wide)).astype(a.dtype)


def _packed(function: Callable[..., Values]) -> Callable[..., Values]:
    """Of pairs of float32 numbers in 64 bits."""

    def of_pairs(*given: Values) -> Values:
        pairs = np.broadcast_arrays(*given)
        halves = [np.ascontiguousarray(own).view(np.float32) for own in pairs]
        found: Values = np.ascontiguousarray(function(*halves)).view(np.uint64)
        return found.reshape(pairs[0].shape)

    return of_pairs


def _floating(function: Callable[..., Values], n: int) -> Callable[[Sequence[str]], Operation]:
    def make(opcode: Sequence[str]) -> Operation:
        kind = opcode[-1]
        if kind == "f32x2":
            return Operation("b64", ("b64",) * n, _packed(function))
        return Operation(kind, (kind,) * n, function)

    return make


def _mul(opcode: Sequence[str]) -> Operation:
    kind, way = opcode[-1], opcode[1]
    if kind[0] == "f":
        return _floating(np.multiply, 2)(opcode)
    if way == "lo":
        return Operation(kind, (kind, kind), np.multiply)
    double = f"{kind[0]}{2 * int(kind[1:])}"
    if way == "wide":
        wide = type_of(double)
        return Operation(double, (kind, kind), lambda a, b: a.astype(wide) * b.astype(wide))
    return Operation(kind, (kind, kind), _high(kind))


def _high(kind: str) -> Callable[[Values, Values], Values]:
    """The upper half of a product."""
    if kind in ("u32", "s32"):
        wide = np.uint64 if kind == "u32" else np.int64
        narrow = type_of(kind)
        return lambda a, b: (a.astype(wide) * b.astype(wide) >> wide(32)).astype(narrow)

    def high(a: Values, b: Values) -> Values:
        half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
        a1, a0, b1, b0 = a >> half, a & low, b >> half, b & low
        middle = a1 * b0 + (a0 * b0 >> half)
        return a1 * b1 + (middle >> half) + ((a0 * b1 + (middle & low)) >> half)

    if kind != "u64":
        raise NotModelled(f"mul.hi.{kind}")
    return high


def _mad(opcode: Sequence[str]) -> Operation:
    product = _mul(("mul", *opcode[1:]))
    multiply = product.function
    return Operation(product.result, (*product.operands, product.result), lambda a, b, c: multiply(a, b) + c)


def _shift(function: Callable[..., Values], is_left: bool) -> Callable[[Sequence[str]], Operation]:
    def make(opcode: Sequence[str]) -> Operation:
        kind = opcode[-1]
        bits, dtype = int(kind[1:]), type_of(kind)

        def shifted(value: Values, by: Values) -> Values:
            found = function(value, np.minimum(by, bits - 1).astype(dtype))
            # By as many bits as there are, or more, nothing is left, or of a negative number its sign.
            return np.where(by < bits, found, dtype.type(0)) if is_left or kind[0] != "s" else found

        return Operation(kind, (kind, "u32"), shifted)

    return make


def _funnel(opcode: Sequence[str]) -> Operation:
    """shf: of the two halves of 64 bits."""
    is_left, wraps = opcode[1] == "l", opcode[2] == "wrap"

    def shifted(low: Values, high: Values, by: Values) -> Values:
        n = (by & np.uint32(31) if wraps else np.minimum(by, 32)).astype(np.uint64)
        whole = high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)
        found = (whole << n) >> np.uint64(32) if is_left else whole >> n
        return (found & np.uint64(0xFFFFFFFF)).astype(np.uint32)

    return Operation("b32", ("b32", "b32", "u32"), shifted)


def _bfe(opcode: Sequence[str]) -> Operation:
    """``length`` bits from ``start`` on, of signed numbers with the sign of the last of them."""
    kind = opcode[-1]
    if int(kind[1:]) != 32:
        raise NotModelled(".".join(opcode))
    dtype = type_of(kind)

    def extracted(value: Values, start: Values, length: Values) -> Values:
        first, n = (own.astype(np.int64) & 255 for own in (start, length))
        moved = value.astype(np.int64) >> np.minimum(first, 63)
        rest = 64 - np.minimum(n, 64)
        if kind[0] == "s":
            found = (moved << np.minimum(rest, 63)) >> np.minimum(rest, 63)
        else:
            found = moved & ((np.int64(1) << np.minimum(n, 62)) - 1)
        return np.where(n == 0, 0, found).astype(dtype)

    return Operation(kind, (kind, "u32", "u32"), extracted)


def _prmt(opcode: Sequence[str]) -> Operation:
    """Four bytes of eight, by the digits of the last operand; with its highest bit, a byte's sign eight times."""
    if list(opcode[1:]) != ["b32"]:
        raise NotModelled(".".join(opcode))

    def permuted(a: Values, b: Values, chosen: Values) -> Values:
        whole = a.astype(np.uint64) | b.astype(np.uint64) << np.uint64(32)
        found = np.zeros(np.broadcast_shapes(whole.shape, chosen.shape), np.uint32)
        for k in range(4):
            digit = chosen >> np.uint32(4 * k) & np.uint32(15)
            byte = (whole >> ((digit & np.uint32(7)).astype(np.uint64) * np.uint64(8)) & np.uint64(255)).astype(
                np.uint32
            )
            sign = np.where(byte & np.uint32(128), np.uint32(255), np.uint32(0))
            found |= np.where(digit & np.uint32(8), sign, byte) << np.uint32(8 * k)
        return found

    return Operation("b32", ("b32",) * 3, permuted)


def _count(function: Callable[[int], int]) -> Callable[[Sequence[str]], Operation]:
    """Of each number by itself: rare."""

    def make(opcode: Sequence[str]) -> Operation:
        counted = np.vectorize(function, [np.uint32])
        return Operation("u32", (f"u{opcode[-1][1:]}",), counted)

    return make


def _clz(opcode: Sequence[str]) -> Operation:
    bits = int(opcode[-1][1:])
    return _count(lambda x: bits - int(x).bit_length())(opcode)


def _brev(opcode: Sequence[str]) -> Operation:
    bits = int(opcode[-1][1:])
    reverse = np.vectorize(lambda x: int(f"{int(x):0{bits}b}"[::-1], 2), [type_of(f"u{bits}")])
    return Operation(opcode[-1], (f"u{bits}",), reverse)


_COMPARE: dict[str, Callable[[Values, Values], Values]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip


def _setp(opcode: Sequence[str]) -> Operation:
    how, kind = opcode[1], opcode[-1]
    if len([part for part in opcode if part != "ftz"]) != 3:
        raise NotModelled(".".join(opcode))
    if how in ("num", "nan"):
        return Operation("pred", (kind, kind), lambda a, b: (np.isnan(a) | np.isnan(b)) == (how == "nan"))
    if kind[0] == "f" and how == "ne":  # false where one is NaN, unlike that of NumPy
        return Operation("pred", (kind, kind), lambda a, b: (a < b) | (a > b))
    if how not in _COMPARE:
        ordered = _COMPARE[how[:-1]]
        return Operation("pred", (kind, kind), lambda a, b: ordered(a, b) | np.isnan(a) | np.isnan(b))
    return Operation("pred", (kind, kind), _COMPARE[how])


def _selp(opcode: Sequence[str]) -> Operation:
    def selected(a: Values, b: Values, chosen: Values) -> Values:
        return np.where(chosen, a, b)

    return Operation(opcode[-1], (opcode[-1], opcode[-1], "pred"), selected)


def _extreme(numbers: Callable[..., Values], nan: Callable[..., Values]) -> Callable[[Sequence[str]], Operation]:
    """A NaN beside a number gives the number, or NaN if the opcode says so."""
    return lambda opcode: Operation(opcode[-1], (opcode[-1],) * 2, nan if "NaN" in opcode else numbers)


_ROUND: dict[str, Callable[[Values], Values]] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def _cvt(opcode: Sequence[str]) -> Operation:
    to, of = opcode[-2:]
    if to == "tf32":
        if "rna" not in opcode:
            raise NotModelled(".".join(opcode))
        return Operation("b32", ("b32",), _nearest_tf32)
    dtype = type_of(to)
    way = next((part for part in opcode if part in _ROUND), None)
    if way is None:
        if of[0] == "f" and to[0] != "f":
            raise NotModelled(".".join(opcode))
        return Operation(to, (of,), lambda x: x.astype(dtype))
    whole = _ROUND[way]
    if to[0] == "f":
        return Operation(to, (of,), lambda x: whole(x).astype(dtype))
    least, most = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)

    def integer(x: Values) -> Values:
        found = whole(x.astype(np.float64))
        inside = np.where((found > least) & (found < most), found, 0).astype(dtype)
        ends = np.where(found >= most, np.iinfo(dtype).max, np.iinfo(dtype).min).astype(dtype)
        return np.where(np.isnan(x), dtype.type(0), np.where((found > least) & (found < most), inside, ends))

    return Operation(to, (of,), integer)


def _nearest_tf32(x: Values) -> Values:
    """Eleven bits of a number, ties away from zero."""
    is_number = x & np.uint32(0x7F800000) != np.uint32(0x7F800000)
    return np.where(is_number, (x + np.uint32(0x1000)) & np.uint32(0xFFFFE000), x)


def _not(opcode: Sequence[str]) -> Operation:
    return Operation(opcode[-1], (opcode[-1],), np.logical_not if opcode[-1] == "pred" else np.invert)


def _mov(opcode: Sequence[str]) -> Operation:
    return Operation(opcode[-1], (opcode[-1],), lambda x: x)


_INSTRUCTIONS: dict[str, Callable[[Sequence[str]], Operation]] = {
    "add": _floating(np.add, 2),
    "sub": _floating(np.subtract, 2),
    "mul": _mul,
    "mad": _mad,
    "fma": _floating(_fused, 3),
    "div": _div,
    "rem": _rem,
    "neg": _same(np.negative, 1),
    "abs": _same(np.abs, 1),
    "min": _extreme(np.fmin, np.minimum),
    "max": _extreme(np.fmax, np.maximum),
    # Units of the last place: CUDA C++ Programming Guide, "Intrinsic Functions", and the PTX ISA's error bounds.
    "rcp": _approximated(lambda x: 1 / x, 1),
    "sqrt": _approximated(np.sqrt, 1),
    "rsqrt": _approximated(lambda x: 1 / np.sqrt(x), 2),
    "ex2": _approximated(np.exp2, 2),
    "lg2": _approximated(np.log2, 2),
    "and": _same(np.bitwise_and, 2),
    "or": _same(np.bitwise_or, 2),
    "xor": _same(np.bitwise_xor, 2),
    "not": _not,
    "shl": _shift(np.left_shift, is_left=True),
    "shr": _shift(np.right_shift, is_left=False),
    "shf": _funnel,
    "bfe": _bfe,
    "prmt": _prmt,
    "popc": _count(lambda x: int(x).bit_count()),
    "clz": _clz,
    "brev": _brev,
    "setp": _setp,
    "selp": _selp,
    "cvt": _cvt,
    "mov": _mov,
    "copysign": lambda opcode: Operation(opcode[-1], (opcode[-1],) * 2, lambda sign, size: np.copysign(size, sign)),
}
