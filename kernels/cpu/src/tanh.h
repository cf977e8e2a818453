// tanh for vectors of float and double, at most 2 ulp off.
#pragma once

#include "simd.h"

#if defined(PSINN_AVX512)
#include <immintrin.h>

#include "tanh_table.h"
#endif

namespace PSINN_NAMESPACE {

// expm1(r) = r + r^2 (c[0] + c[1] r + ...) on |r| <= ln(2)/2; c interpolates at Chebyshev points (relative error
// 5.3e-10 and 5.5e-19).
template <class T>
struct TanhConstants;
template <>
struct TanhConstants<float> {
  static constexpr float largest = 9.2f;  // tanh rounds to 1 beyond 9.02
  static constexpr float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  static constexpr float ln2_high = 0.693145751953125f, ln2_low = 1.42860682030941723212e-6f;
  static constexpr int mantissa = 23, bias = 127, terms = 6;
  static constexpr float c[terms] = {0.5f, 0.166666667f, 0.0416664646f, 0.00833331089f, 0.00139336859f, 0.000198910307f};
};
template <>
struct TanhConstants<double> {
  static constexpr double largest = 19.1;  // beyond 19.06 tanh rounds to 1
  static constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  static constexpr int mantissa = 52, bias = 1023, terms = 11;
  static constexpr double c[terms] = {0.5,
                                      0.16666666666666671,
                                      0.0416666666666666698,
                                      0.00833333333332611205,
                                      0.00138888888888837318,
                                      0.000198412698749012592,
                                      2.48015873256053228e-5,
                                      2.75572552979696444e-6,
                                      2.75572735701021397e-7,
                                      2.51052595384484934e-8,
                                      2.0914717341716376e-9};
};

// tanh|x| = m / (m + 2) with m = expm1(2|x|) = 2^n expm1(r) + (2^n - 1), 2|x| = n ln 2 + r. No cancellation near 0:
// there n = 0 and m = expm1(r). The sign is put back last, so tanh is odd to the bit. NaN stays NaN, +-inf gives +-1.
template <class T>
PSINN_INLINE Vec<T> tanh(Vec<T> x) {
  using C = TanhConstants<T>;
  using I = Int<T>;
  constexpr auto one = static_cast<decltype(I{}[0] + 0)>(1);
  const I sign = reinterpret_cast<I>(x) & reinterpret_cast<I>(broadcast<T>(T(-0.0)));
  const Vec<T> size = reinterpret_cast<Vec<T>>(reinterpret_cast<I>(x) & ~reinterpret_cast<I>(broadcast<T>(T(-0.0))));
  const Vec<T> largest = broadcast<T>(C::largest);
  const Vec<T> y = size > largest ? largest : size;  // a comparison with NaN is false: NaN passes
  const Vec<T> shifted = y * T(2 * 1.44269504088896340736) + C::shift;
  const Vec<T> n = shifted - C::shift;
  const Vec<T> high = y * T(2) - n * C::ln2_high, r = high - n * C::ln2_low;
  const Vec<T> r_error = (high - r) - n * C::ln2_low;
  Vec<T> q = broadcast<T>(C::c[C::terms - 1]);
  PSINN_UNROLL
  for (int k = C::terms - 2; k >= 0; --k) q = q * r + C::c[k];
  const Vec<T> p = (r * r) * q;
  const Vec<T> power = reinterpret_cast<Vec<T>>((reinterpret_cast<I>(shifted) + one * C::bias) << C::mantissa);
  // 2^n r and 2^n - 1 are exact; the rounding errors of r and of their sum are added with the small part.
  const Vec<T> whole = power - T(1), part = r * power, sum = whole + part;
  const Vec<T> m = sum + ((p + r_error) * power + (part - (sum - whole)));
  const Vec<T> two = broadcast<T>(T(2));
  const Vec<T> d = m + two, q0 = m / d;
  // d is rounded by e, known exactly; m / (d - e) = q0 + q0 e / d to first order, and 1 / d = (1 - q0) / 2.
  const Vec<T> e = (d - (m > two ? m : two)) - (m > two ? two : m);
  const Vec<T> t = q0 + (q0 * e) * (T(0.5) - T(0.5) * q0);
  return reinterpret_cast<Vec<T>>(reinterpret_cast<I>(t) | sign);
}

#if defined(PSINN_AVX512)
// 16 floats at a time a division costs as much as everything else together; 32-entry tables in two registers do not.
// tanh|x| = c_0 + u (c_1 + ...) with u = |x| - left end of the interval (make_tanh_table.py), exact.
template <>
PSINN_INLINE Vec<float> tanh<float>(Vec<float> x) {
  const Int<float> bits = reinterpret_cast<Int<float>>(x);
  const Vec<float> size = reinterpret_cast<Vec<float>>(bits & 0x7fffffff), largest = broadcast<float>(9.5f);
  const Vec<float> y = size > largest ? largest : size;
  const Int<float> above = reinterpret_cast<Int<float>>(y + 1.0f);
  const Vec<float> end = reinterpret_cast<Vec<float>>(above & ~0xfffff);
  const __m512i number = reinterpret_cast<__m512i>(above >> 20);
  const Vec<float> u = y - (end - 1.0f);
  const auto c = [&](int k) PSINN_LAMBDA {
    return reinterpret_cast<Vec<float>>(
        _mm512_permutex2var_ps(_mm512_load_ps(TANH_TABLE[k]), number, _mm512_load_ps(TANH_TABLE[k] + 16)));
  };
  const Vec<float> t = c(0) + u * (c(1) + u * (c(2) + u * (c(3) + u * (c(4) + u * c(5)))));
  return reinterpret_cast<Vec<float>>(reinterpret_cast<Int<float>>(t) | (bits & ~0x7fffffff));
}
#endif

}  // namespace PSINN_NAMESPACE
