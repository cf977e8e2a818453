"""Functions that Triton or its interpreter lacks, and the helpers of the generated code.

Every formula is free of cancellation; the tests compare with float64 over the whole range.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def gather(source, index, coefficient, offsets, SIZE: tl.constexpr, TERMS: tl.constexpr):
    """packed[offsets] = sum over k of coefficient[k, offsets] * source[index[k, offsets]]."""
    value = tl.load(source + tl.load(index + offsets)) * tl.load(coefficient + offsets)
    for k in tl.static_range(1, TERMS):
        at = offsets + k * SIZE
        value += tl.load(source + tl.load(index + at)) * tl.load(coefficient + at)
    return value


@triton.jit
def dot(a, b, total, PRECISION: tl.constexpr):
    """total + a b. In float64 PRECISION means nothing."""
    if total.dtype == tl.float64:
        return tl.dot(a, b, total, out_dtype=tl.float64)
    else:
        return tl.dot(a, b, total, input_precision=PRECISION)


@triton.jit
def joined(a, b):
    """[points, 8] twice to [points, 16], column by column in turn."""
    return tl.reshape(tl.join(a, b), [a.shape[0], 2 * a.shape[1]])


@triton.jit
def halves(a):
    return tl.split(tl.reshape(a, [a.shape[0], a.shape[1] // 2, 2]))


@triton.jit
def tanh(x):
    """Below 0.5 its Taylor series, above 1 - 2 / (exp(2 x) + 1), also for x < 0."""
    size = tl.abs(x)
    square = tl.minimum(size, 0.5) * tl.minimum(size, 0.5)
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
        q = q * square + 1.0
    else:
        q = tl.full(x.shape, -0.0014558343870513183, x.dtype)
        q = q * square + 0.003592128036572481
        q = q * square - 0.008863235529902197
        q = q * square + 0.021869488536155203
        q = q * square - 0.05396825396825397
        q = q * square + 0.13333333333333333
        q = q * square - 0.3333333333333333
        q = q * square + 1.0
    # Beyond 22 nothing changes; exp would overflow. NaN goes this way too.
    far = 1.0 - 2.0 / (tl.exp(2.0 * tl.minimum(x, 22.0, propagate_nan=tl.PropagateNan.ALL)) + 1.0)
    return tl.where(size < 0.5, x * q, far)


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
    """Arguments above 1 by pi/2 - atan(1/x), above tan(pi/8) by pi/4 + atan((x - 1) / (x + 1)); then the Taylor series."""
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
    """x^y; for x < 0 only where y is an integer, else NaN."""
    size = tl.exp(y * tl.log(tl.abs(x)))
    is_odd = tl.floor(0.5 * y) * 2.0 != y
    is_whole = tl.floor(y) == y
    negative = tl.where(is_whole, tl.where(is_odd, -size, size), float("nan"))
    return tl.where(y == 0.0, 1.0, tl.where(x < 0, negative, size))


@triton.jit
def sqrt(x):
    """Correctly rounded also in float32."""
    if x.dtype == tl.float64:
        return tl.sqrt(x)
    else:
        return tl.sqrt_rn(x)
