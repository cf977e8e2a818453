// tanh for vectors of float and double, at most 2 ulp off.
#pragma once

#include "simd.h"

#if defined(PSINN_AVX2) || defined(PSINN_AVX512)
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

#if defined(PSINN_AVX2) || defined(PSINN_AVX512)
// A division of many floats costs as much as everything else together; tables that a permutation reads do not.
// tanh|x| = c_0 + u (c_1 + ...) with u = |x| - origin of the interval (make_tanh_table.py), exact.
#if defined(PSINN_AVX512)
constexpr int TANH_DEGREE = 5, TANH_BITS = 3;
constexpr float TANH_SCALE = 1.0f, TANH_LARGEST = 9.5f;
// A comparison with NaN is false: NaN passes.
PSINN_INLINE Vec<float> at_most(Vec<float> largest, Vec<float> x) { return x > largest ? largest : x; }
PSINN_INLINE Vec<float> of_interval(const float (&row)[32], Int<float> interval) {
  return reinterpret_cast<Vec<float>>(
      _mm512_permutex2var_ps(_mm512_load_ps(row), reinterpret_cast<__m512i>(interval), _mm512_load_ps(row + 16)));
}
PSINN_INLINE Vec<float> tanh_coefficient(int k, Int<float> interval) { return of_interval(TANH_TABLE_32[k], interval); }
// Two additions instead of a table.
PSINN_INLINE Vec<float> tanh_origin(Vec<float> above, Int<float>) {
  return reinterpret_cast<Vec<float>>(reinterpret_cast<Int<float>>(above) & ~((1 << (23 - TANH_BITS)) - 1)) - 1.0f;
}
#else
// Of four intervals, not eight of lower degree: a permutation across the halves of a register costs some machines twice
// as much.
constexpr int TANH_DEGREE = 10, TANH_BITS = 0;  // an even degree: see the two chains below
constexpr float TANH_SCALE = 1.6f, TANH_LARGEST = 9.25f;
// One instruction, which gives its second operand where one is NaN.
PSINN_INLINE Vec<float> at_most(Vec<float> largest, Vec<float> x) {
  return reinterpret_cast<Vec<float>>(_mm256_min_ps(largest, x));
}
PSINN_INLINE Vec<float> of_interval(const float (&row)[4], Int<float> interval) {
  const __m256 both = _mm256_broadcast_ps(reinterpret_cast<const __m128*>(row));
  return reinterpret_cast<Vec<float>>(_mm256_permutevar_ps(both, reinterpret_cast<__m256i>(interval)));
}
PSINN_INLINE Vec<float> tanh_coefficient(int k, Int<float> interval) { return of_interval(TANH_TABLE_4[k], interval); }
PSINN_INLINE Vec<float> tanh_origin(Vec<float>, Int<float> interval) { return of_interval(TANH_ORIGIN_4[0], interval); }
#endif

template <>
PSINN_INLINE Vec<float> tanh<float>(Vec<float> x) {
  const Int<float> bits = reinterpret_cast<Int<float>>(x);
  const Vec<float> y = at_most(broadcast<float>(TANH_LARGEST), reinterpret_cast<Vec<float>>(bits & 0x7fffffff));
  const Vec<float> above = y * TANH_SCALE + 1.0f;
  const Int<float> interval = reinterpret_cast<Int<float>>(above) >> (23 - TANH_BITS);
  const Vec<float> u = y - tanh_origin(above, interval);
  Vec<float> t = tanh_coefficient(TANH_DEGREE, interval);
  if constexpr (TANH_DEGREE <= 5) {
    PSINN_UNROLL
    for (int k = TANH_DEGREE - 1; k >= 0; --k) t = t * u + tanh_coefficient(k, interval);
  } else {
    // c_1 + u (c_2 + ...) as two chains in u^2, of even and odd k: half the latency.
    const Vec<float> square = u * u;
    Vec<float> odd = tanh_coefficient(TANH_DEGREE - 1, interval);
    PSINN_UNROLL
    for (int k = TANH_DEGREE - 2; k >= 1; --k) {
      Vec<float>& chain = k % 2 ? odd : t;
      chain = chain * square + tanh_coefficient(k, interval);
    }
    t = (t * u + odd) * u + tanh_coefficient(0, interval);
  }
  return reinterpret_cast<Vec<float>>(reinterpret_cast<Int<float>>(t) | (bits & ~0x7fffffff));
}
#endif

}  // namespace PSINN_NAMESPACE
