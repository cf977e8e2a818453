// What activations call, for vectors of float and double (kernels/language/activations.py).
#pragma once

#include <cmath>

#include "polynomials.h"
#include "tanh.h"

namespace PSINN_NAMESPACE {

template <class T>
PSINN_INLINE Vec<T> magnitude(Vec<T> x) {
  return reinterpret_cast<Vec<T>>(reinterpret_cast<Int<T>>(x) & ~reinterpret_cast<Int<T>>(broadcast<T>(T(-0.0))));
}

// x with the sign bits of another number turned.
template <class T>
PSINN_INLINE Vec<T> turned(Vec<T> x, Int<T> signs) {
  return reinterpret_cast<Vec<T>>(reinterpret_cast<Int<T>>(x) ^ signs);
}

// Whether any lane is larger than `largest` in magnitude.
template <class T>
PSINN_INLINE bool any_beyond(Vec<T> x, T largest) {
#if defined(PSINN_AVX512)
  if constexpr (sizeof(T) == 4)
    return _mm512_cmp_ps_mask(magnitude<T>(x), broadcast<T>(largest), _CMP_GT_OQ) != 0;
  else
    return _mm512_cmp_pd_mask(magnitude<T>(x), broadcast<T>(largest), _CMP_GT_OQ) != 0;
#else
  const Int<T> mask = magnitude<T>(x) > broadcast<T>(largest);
#if defined(PSINN_AVX2)
  return _mm256_movemask_epi8(reinterpret_cast<__m256i>(mask)) != 0;
#else
  for (int l = 0; l < LANES<T>; ++l)
    if (mask[l]) return true;
  return false;
#endif
#endif
}

template <class T, int N>
PSINN_INLINE Vec<T> polynomial(const T (&c)[N], Vec<T> x) {
  Vec<T> sum = broadcast<T>(c[N - 1]);
  PSINN_UNROLL
  for (int k = N - 2; k >= 0; --k) sum = sum * x + c[k];
  return sum;
}

// e^x for x <= 0, with what tanh.h does; 0 below the smallest normal number, so that a huge number times it is 0, too.
// NaN stays NaN.
template <class T>
PSINN_INLINE Vec<T> exp(Vec<T> x) {
  using C = TanhConstants<T>;
  constexpr auto one = static_cast<decltype(Int<T>{}[0] + 0)>(1);
  const Vec<T> least = broadcast<T>(T(sizeof(T) == 4 ? -87.3 : -708.3));
  const Vec<T> shifted = x * T(1.44269504088896340736) + C::shift;
  const Vec<T> n = shifted - C::shift;
  const Vec<T> r = (x - n * C::ln2_high) - n * C::ln2_low;
  Vec<T> q = broadcast<T>(C::c[C::terms - 1]);
  PSINN_UNROLL
  for (int k = C::terms - 2; k >= 0; --k) q = q * r + C::c[k];
  const Vec<T> power = reinterpret_cast<Vec<T>>((reinterpret_cast<Int<T>>(shifted) + one * C::bias) << C::mantissa);
  return x < least ? Vec<T>{} : ((r * r) * q + r) * power + power;
}

// 1 / (1 + e^-x), to all digits for x << 0, too.
template <class T>
PSINN_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp<T>(-magnitude<T>(x));
  const Vec<T> top = x < Vec<T>{} ? e : broadcast<T>(T(1));
  return top / (T(1) + e);
}

// pi in three parts, the first two of few bits, so that their products with the number of half turns are exact.
template <class T>
struct Pi;
template <>
struct Pi<float> {
  static constexpr float largest = 8192.0f, part[3] = {3.140625f, 9.67502593994140625e-4f, 1.5099579909783765e-7f};
};
template <>
struct Pi<double> {
  static constexpr double largest = 1e6;
  static constexpr double part[3] = {3.141592651605606, 1.9841871583270443e-09, 1.034036596358821e-18};
};

// x = r + n pi with |r| <= pi/2; sin x and cos x have the signs of sin r and cos r, turned if n is odd.
template <class T>
struct HalfTurns {
  Vec<T> r;
  Int<T> signs;

  explicit PSINN_INLINE HalfTurns(Vec<T> x) {
    const Vec<T> shifted = x * T(0.31830988618379067154) + TanhConstants<T>::shift;
    const Vec<T> n = shifted - TanhConstants<T>::shift;
    r = ((x - n * Pi<T>::part[0]) - n * Pi<T>::part[1]) - n * Pi<T>::part[2];
    signs = reinterpret_cast<Int<T>>(shifted) << (8 * static_cast<int>(sizeof(T)) - 1);
  }
};

// Where x is too large for that, by the library.
template <class T>
__attribute__((noinline, cold)) Vec<T> lane_by_lane(Vec<T> x, T (*function)(T)) {
  for (int l = 0; l < LANES<T>; ++l) x[l] = function(x[l]);
  return x;
}

// At most 2 units of the last place of 1 off; sin also relative to itself, near 0.
template <class T>
PSINN_INLINE Vec<T> sin(Vec<T> x) {
  const HalfTurns<T> own(x);
  const Vec<T> v = own.r * own.r;
  Vec<T> y = turned<T>(polynomial<T>(Polynomials<T>::sine, v) * (v * own.r) + own.r, own.signs);
  if (__builtin_expect(any_beyond<T>(x, Pi<T>::largest), 0)) y = lane_by_lane<T>(x, std::sin);
  return y;
}
template <class T>
PSINN_INLINE Vec<T> cos(Vec<T> x) {
  const HalfTurns<T> own(x);
  const Vec<T> v = own.r * own.r;
  Vec<T> y = turned<T>(polynomial<T>(Polynomials<T>::cosine, v) * v + T(1), own.signs);
  if (__builtin_expect(any_beyond<T>(x, Pi<T>::largest), 0)) y = lane_by_lane<T>(x, std::cos);
  return y;
}

// At most 2 units of the last place of 1 off: 1 - exp(-a^2) erfcx(a) for a = |x|.
template <class T>
PSINN_INLINE Vec<T> erf(Vec<T> x) {
  const Vec<T> largest = broadcast<T>(T(sizeof(T) == 4 ? 4 : 6)), size = magnitude<T>(x);
  const Vec<T> a = size > largest ? largest : size;
  const Vec<T> y = T(1) - exp<T>(-(a * a)) * polynomial<T>(Polynomials<T>::erfcx, (a - T(3)) / (a + T(3)));
  return turned<T>(y, reinterpret_cast<Int<T>>(x) ^ reinterpret_cast<Int<T>>(size));
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|).
template <class T>
PSINN_INLINE Vec<T> softplus(Vec<T> x) {
  const Vec<T> e = exp<T>(-magnitude<T>(x)), s = e / (T(2) + e), v = s * s;
  const Vec<T> part = (polynomial<T>(Polynomials<T>::logarithm, v) * v + T(2)) * s;
  return (x > Vec<T>{} ? x : Vec<T>{}) + part;
}

#define PSINN_FORMULAS
#include "activations.h"
#undef PSINN_FORMULAS

}  // namespace PSINN_NAMESPACE
