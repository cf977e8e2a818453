"""Functions that Triton or its interpreter lacks, and the helpers of the generated code.

Every formula is free of cancellation; the tests compare with float64 over the whole range.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .machine import is_interpreted


@triton.jit
def gather(source, index, coefficient, offsets, SIZE: tl.constexpr, TERMS: tl.constexpr):
    """packed[offsets] = sum over k of coefficient[k, offsets] * source[index[k, offsets]].

    A loop for the compiler, here and in `planes`: what Triton's pass "coalesce" does for a load takes as long as the
    kernel is large, and two symmetries at once would have some 200 of them.
    """
    if TERMS == 1:
        return tl.load(source + tl.load(index + offsets)) * tl.load(coefficient + offsets)
    value = tl.zeros(offsets.shape, dtype=source.dtype.element_ty)
    for k in range(TERMS):
        at = offsets + k * SIZE
        value += tl.load(source + tl.load(index + at)) * tl.load(coefficient + at)
    return value


@triton.jit
def gather_one(source, index, coefficient, offset, SIZE: tl.constexpr, TERMS: tl.constexpr):
    """The same for a single number."""
    value = tl.load(source + tl.load(index + offset)) * tl.load(coefficient + offset)
    for k in tl.static_range(1, TERMS):
        at = offset + k * SIZE
        value += tl.load(source + tl.load(index + at)) * tl.load(coefficient + at)
    return value


@triton.jit
def planes(source, offsets, SIZE: tl.constexpr, TERMS: tl.constexpr):
    """Sum over k of source[k SIZE + offsets]."""
    if TERMS == 1:
        return tl.load(source + offsets)
    value = tl.zeros(offsets.shape, dtype=source.dtype.element_ty)
    for k in range(TERMS):
        value += tl.load(source + offsets + k * SIZE)
    return value


IS_INTERPRETED = tl.constexpr(is_interpreted())
# Terms in a sum that tl.dot asks for.
LEAST_TERMS = tl.constexpr(16)


@tl.core.builtin
def _short_dot(a, b, total, precision, _semantic=None):
    """tl.dot with fewer terms than it asks for. The compiler takes them, in FMAs as on tensor cores."""
    own = _semantic.builder.codegen_fns
    bound = own["min_dot_size"]
    own["min_dot_size"] = lambda *types: (1, 1, 1)
    try:
        return _semantic.dot(a, b, total, tl.core._unwrap_if_constexpr(precision), None, total.dtype)
    finally:
        own["min_dot_size"] = bound


@triton.jit
def dot(a, b, total, PRECISION: tl.constexpr):
    """total + a b. In float64 PRECISION means nothing.

    Emulated and dropped: "tf32x3" in pieces of eight terms, which are added up in float32. At width 32 the gradient is
    then off by 2.5 times as much as float32's, in place of 6.8, since one sum of eight is still cut off instead of
    rounded; but a point takes 318 cycles on sm_80 in place of 213, more than products in true float32.
    """
    if total.dtype == tl.float64:
        return tl.dot(a, b, total, out_dtype=tl.float64)
    elif a.shape[-1] >= LEAST_TERMS or IS_INTERPRETED:
        return tl.dot(a, b, total, input_precision=PRECISION)
    else:
        return _short_dot(a, b, total, PRECISION)


@triton.jit
def nothing(at):
    """0, of which the compiler does not know that it is 0."""
    if IS_INTERPRETED:
        return at * 0
    else:
        return tl.inline_asm_elementwise("mov.b32 $0, 0;", "=r,r", [at], dtype=tl.int32, is_pure=False, pack=1)


@triton.jit
def folded(a, LANES: tl.constexpr):
    """[..., points, columns] to [..., LANES, columns], point by point in turn: mostly sums within a thread."""
    if a.shape[-2] <= LANES:
        return a
    elif len(a.shape) == 2:
        return tl.sum(tl.reshape(a, [a.shape[0] // LANES, LANES, a.shape[1]]), 0)
    else:
        return tl.sum(tl.reshape(a, [a.shape[0], a.shape[1] // LANES, LANES, a.shape[2]]), 1)


@triton.jit
def walsh(a, MIXING: tl.constexpr):
    """Walsh-Hadamard matrices of MIXING = 2 or 4 rows on the diagonal, along the first of three axes of at most 4."""
    parts = tl.permute(a, (1, 2, 0))
    if MIXING == 2:
        evens, odds = tl.split(tl.reshape(parts, [a.shape[1], a.shape[2], a.shape[0] // 2, 2]))
        whole = tl.reshape(tl.join(evens + odds, evens - odds), [a.shape[1], a.shape[2], a.shape[0]])
        return tl.permute(whole, (2, 0, 1))
    else:
        evens, odds = tl.split(tl.reshape(parts, [a.shape[1], a.shape[2], 2, 2]))
        a0, a2 = tl.split(evens)
        a1, a3 = tl.split(odds)
        b0, b1, b2, b3 = a0 + a1, a0 - a1, a2 + a3, a2 - a3
        low, high = tl.join(b0 + b2, b0 - b2), tl.join(b1 + b3, b1 - b3)
        return tl.permute(tl.reshape(tl.join(low, high), [a.shape[1], a.shape[2], 4]), (2, 0, 1))


# 1 / (2^x + 1) on the chip: 2^x to 2 units of the last place, the reciprocal to 1. The division of tl would first look
# whether 2^x + 1 is too large to invert; it may be infinity, but never small. All in one piece Triton computes it again
# in another layout rather than keep it: with the reciprocal alone, dense layers of 32 spill 208 B with the residual of
# Burgers on sm_89 (the tied network of Laplace's problem takes 677 instructions a point then, instead of 687).
LOGISTIC = tl.constexpr(
    "{ .reg .f32 e; ex2.approx.ftz.f32 e, $1; add.f32 e, e, 0f3F800000; rcp.approx.ftz.f32 $0, e; }"
)


@triton.jit
def _logistic(x):
    """1 / (2^x + 1), float32."""
    if IS_INTERPRETED:
        return 1.0 / (tl.exp2(x) + 1.0)
    else:
        return tl.inline_asm_elementwise(LOGISTIC, "=r,r", [x], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def tanh(x):
    """For small x a polynomial, else 1 - 2 / (exp(2 x) + 1), also for x < 0.

    In float64 a Taylor series below 0.5. In float32 minimax below 1 (relative error 5e-9): there the second way costs
    digits, since its rounding errors are those of numbers as large as 1, and the gradients' errors follow tanh's.
    NaN goes the second way, and so does infinity: where exp overflows, nothing is left to subtract.
    """
    square = x * x
    if x.dtype == tl.float64:
        q = tl.full(x.shape, 4.294911078273806e-07, x.dtype)
        q = q * square - 1.0597268320104654e-06
        q = q * square + 2.6147711512907546e-06
        q = q * square - 6.451689215655431e-06
        q = q * square + 1.5918905069328964e-05
        q = q * square - 3.927832388331683e-05
        q = q * square + 9.691537956929451e-05
        q = q * square - 0.00023912911424355248
        q = q * square + 0.000590027440945586
        q = q * square - 0.0014558343870513183
        q = q * square + 0.003592128036572481
        q = q * square - 0.008863235529902197
        q = q * square + 0.021869488536155203
        q = q * square - 0.05396825396825397
        q = q * square + 0.13333333333333333
        q = q * square - 0.3333333333333333
        near = x * (q * square + 1.0)
        far = 1.0 - 2.0 / (tl.exp(2.0 * x) + 1.0)
        return tl.where(tl.abs(x) < 0.5, near, far)
    else:
        q = tl.full(x.shape, -0.00035845203092321754, x.dtype)
        q = q * square + 0.0023013646714389324
        q = q * square - 0.007946106605231762
        q = q * square + 0.021486656740307808
        q = q * square - 0.05387980118393898
        q = q * square + 0.13332344591617584
        q = q * square - 0.33333295583724976
        near = x + x * square * q
        far = 1.0 - 2.0 * _logistic(2.8853900817779268 * x)
        return tl.where(tl.abs(x) < 1.0, near, far)


@triton.jit
def sin(x):
    return tl.sin(x)


@triton.jit
def cos(x):
    return tl.cos(x)


@triton.jit
def exp(x):
    return tl.exp(x)


@triton.jit
def erf(x):
    return tl.erf(x)


@triton.jit
def sigmoid(x):
    """1 / (1 + exp(-x)), to all digits for x << 0, too."""
    e = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, e) / (1.0 + e)


@triton.jit
def softplus(x):
    """log(1 + exp(x)). With u = 1 + e rounded, log(u) / (u - 1) is as exact as log(1 + e) / e."""
    e = tl.exp(-tl.abs(x))
    u = 1.0 + e
    small = tl.where(u == 1.0, e, tl.log(u) * (e / tl.where(u == 1.0, 1.0, u - 1.0)))
    return tl.where(x > 0, x, 0.0) + small


@triton.jit
def sinh(x):
    """Below 1 its Taylor series."""
    size = tl.abs(x)
    square = tl.minimum(size, 1.0) * tl.minimum(size, 1.0)
    q = tl.full(x.shape, 1.0, x.dtype)
    for k in tl.static_range(9, 0, -1):
        q = 1.0 + q * square / ((2 * k) * (2 * k + 1))
    e = tl.exp(size)
    value = tl.where(size < 1.0, size * q, 0.5 * e - 0.5 / e)
    return tl.where(x < 0, -value, tl.where(x == x, value, x))


@triton.jit
def cosh(x):
    e = tl.exp(tl.abs(x))
    return 0.5 * e + 0.5 / e


@triton.jit
def atan(x):
    """Above 1 by pi/2 - atan(1/x), above tan(pi/8) by pi/4 + atan((x - 1) / (x + 1)); then the Taylor series."""
    size = tl.abs(x)
    inverted = size > 1.0
    y = tl.where(inverted, 1.0 / tl.where(inverted, size, 1.0), size)
    turned = y > 0.4142135623730951
    z = tl.where(turned, (y - 1.0) / (y + 1.0), y)
    square = z * z
    q = tl.zeros_like(x)
    for k in tl.static_range(20, -1, -1):
        q = 1.0 / (2 * k + 1) - q * square
    # Not `where` of two numbers: those would be float32.
    value = z * q + turned.to(x.dtype) * 0.7853981633974483
    value = tl.where(inverted, 1.5707963267948966 - value, value)
    return tl.where(x < 0, -value, tl.where(x == x, value, x))


@triton.jit
def sign(x):
    """0 and NaN stay what they are."""
    return tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, x))


@triton.jit
def power(x, y):
    """x^y; for x < 0 only where y is an integer, else NaN. Zeros, infinities and NaN as in C."""
    size = tl.where(tl.abs(x) == 1.0, 1.0, tl.exp(y * tl.log(tl.abs(x))))
    is_whole = tl.floor(y) == y
    is_odd = is_whole & (tl.floor(0.5 * y) * 2.0 != y)
    is_negative = (x < 0) | ((x == 0) & (1.0 / x < 0))
    value = tl.where(is_negative & is_odd, -size, size)
    value = tl.where((x < 0) & (x > float("-inf")) & (is_whole == 0), float("nan"), value)
    return tl.where(y == 0.0, 1.0, value)


@triton.jit
def sqrt(x):
    """Correctly rounded also in float32."""
    if x.dtype == tl.float64:
        return tl.sqrt(x)
    else:
        return tl.sqrt_rn(x)
