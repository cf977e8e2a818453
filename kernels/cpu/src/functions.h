// What activations call, for vectors of float and double (kernels/language/activations.py): exp, sigmoid, sin and cos at
// most 2 ulp off, the others lane by lane.
#pragma once

#include <cmath>

#include "tanh.h"

namespace PSINN_NAMESPACE {

template <class T, class F>
PSINN_INLINE Vec<T> lane_by_lane(Vec<T> x, F f) {
  Vec<T> y;
  for (int l = 0; l < LANES<T>; ++l) y[l] = f(x[l]);
  return y;
}

template <class T>
PSINN_INLINE Vec<T> magnitude(Vec<T> x) {
  return reinterpret_cast<Vec<T>>(reinterpret_cast<Int<T>>(x) & ~reinterpret_cast<Int<T>>(broadcast<T>(T(-0.0))));
}

// Whether any lane is not 0.
template <class T>
PSINN_INLINE bool any(Int<T> mask) {
#if defined(PSINN_AVX512)
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(mask), reinterpret_cast<__m512i>(mask)) != 0;
#elif defined(PSINN_AVX2)
  return _mm256_movemask_epi8(reinterpret_cast<__m256i>(mask)) != 0;
#else
  for (int l = 0; l < LANES<T>; ++l)
    if (mask[l]) return true;
  return false;
#endif
}

// e^x for x <= 0, with what tanh.h does; below the smallest normal number it stays there. NaN stays NaN.
template <class T>
PSINN_INLINE Vec<T> exp(Vec<T> x) {
  using C = TanhConstants<T>;
  constexpr auto one = static_cast<decltype(Int<T>{}[0] + 0)>(1);
  const Vec<T> least = broadcast<T>(T(sizeof(T) == 4 ? -87.3 : -708.3));
  const Vec<T> y = x < least ? least : x;
  const Vec<T> shifted = y * T(1.44269504088896340736) + C::shift;
  const Vec<T> n = shifted - C::shift;
  const Vec<T> r = (y - n * C::ln2_high) - n * C::ln2_low;
  Vec<T> q = broadcast<T>(C::c[C::terms - 1]);
  PSINN_UNROLL
  for (int k = C::terms - 2; k >= 0; --k) q = q * r + C::c[k];
  const Vec<T> power = reinterpret_cast<Vec<T>>((reinterpret_cast<Int<T>>(shifted) + one * C::bias) << C::mantissa);
  return ((r * r) * q + r) * power + power;
}

// 1 / (1 + e^-x), to all digits for x << 0, too.
template <class T>
PSINN_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp<T>(-magnitude<T>(x));
  const Vec<T> top = x < Vec<T>{} ? e : broadcast<T>(T(1));
  return top / (T(1) + e);
}

// sin r = r + r^3 (s[0] + s[1] r^2 + ...), cos r = 1 - r^2 / 2 + r^4 (c[0] + ...) on |r| <= pi/4, interpolated at
// Chebyshev points (errors 1e-8 and 8e-10, 1e-17 and 5e-19); pi/2 in three parts, the first two of few bits.
template <class T>
struct CircleConstants;
template <>
struct CircleConstants<float> {
  static constexpr float largest = 8192.0f, part[3] = {1.5703125f, 4.837512969970703125e-4f, 7.549789954891882e-8f};
  static constexpr int terms = 3, highest_bit = 31;
  static constexpr float s[terms] = {-0.16666664661114839f, 0.0083327480375171463f, -0.00019587840521305323f};
  static constexpr float c[terms] = {0.04166666465830042f, -0.0013888302802309160f, 0.000024547891619813861f};
};
template <>
struct CircleConstants<double> {
  static constexpr double largest = 1e6;
  static constexpr double part[3] = {1.570796325802803039550781, 9.920935791635221434603409e-10, 5.170182981794105569e-19};
  static constexpr int terms = 6, highest_bit = 63;
  static constexpr double s[terms] = {-0.16666666666666664621,  0.0083333333333309461029,  -0.00019841269836754970014,
                                      2.755731610068302914e-6, -2.5051131455427947391e-8, 1.5918101230274120348e-10};
  static constexpr double c[terms] = {0.041666666666666665387,   -0.0013888888888887395746, 0.000024801587298763433164,
                                      -2.7557317270560324065e-7, 2.0876146024689746601e-9,  -1.1382614868556324576e-11};
};

// The sine of x + turns pi/2. Where x is too large for three parts of pi/2, by the library.
template <class T, int turns>
PSINN_INLINE Vec<T> sine(Vec<T> x) {
  using C = CircleConstants<T>;
  using I = Int<T>;
  constexpr auto one = static_cast<decltype(I{}[0] + 0)>(1);
  if (__builtin_expect(any<T>(magnitude<T>(x) > broadcast<T>(C::largest)), 0))
    return lane_by_lane<T>(x, [](T own) { return turns ? std::cos(own) : std::sin(own); });
  const Vec<T> shifted = x * T(0.63661977236758134308) + TanhConstants<T>::shift;
  const Vec<T> n = shifted - TanhConstants<T>::shift;
  const I quarter = reinterpret_cast<I>(shifted) + one * turns;
  const Vec<T> r = ((x - n * C::part[0]) - n * C::part[1]) - n * C::part[2], square = r * r;
  Vec<T> s = broadcast<T>(C::s[C::terms - 1]), c = broadcast<T>(C::c[C::terms - 1]);
  PSINN_UNROLL
  for (int k = C::terms - 2; k >= 0; --k) {
    s = s * square + C::s[k];
    c = c * square + C::c[k];
  }
  s = s * (square * r) + r;
  c = c * (square * square) + (T(1) - T(0.5) * square);
  const Vec<T> own = select<T>(-(quarter & one), c, s);
  return reinterpret_cast<Vec<T>>(reinterpret_cast<I>(own) ^ ((quarter & (one * 2)) << (C::highest_bit - 1)));
}
template <class T>
PSINN_INLINE Vec<T> sin(Vec<T> x) {
  return sine<T, 0>(x);
}
template <class T>
PSINN_INLINE Vec<T> cos(Vec<T> x) {
  return sine<T, 1>(x);
}

template <class T>
PSINN_INLINE Vec<T> erf(Vec<T> x) {
  return lane_by_lane<T>(x, [](T own) { return std::erf(own); });
}
// log(1 + e^x).
template <class T>
PSINN_INLINE Vec<T> softplus(Vec<T> x) {
  return lane_by_lane<T>(x, [](T own) { return (own > 0 ? own : T(0)) + std::log1p(std::exp(-std::fabs(own))); });
}

#define PSINN_FORMULAS
#include "activations.h"
#undef PSINN_FORMULAS

}  // namespace PSINN_NAMESPACE
