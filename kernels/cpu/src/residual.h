// Residual programs, one instruction at a time for all points of a tile.
#pragma once

#include <cmath>

#include "engine.h"
#include "tanh.h"

namespace PSINN_NAMESPACE {

using psinn::Op;

// Functions without a vector form here: lane by lane from the C library. They are rare: what depends on coordinates
// alone is computed once, before training.
template <class T, class F>
PSINN_INLINE void by_lane(const T* a, T* out, int n, F f) {
  for (int i = 0; i < n; ++i) out[i] = f(a[i]);
}

template <class T, class F>
PSINN_INLINE void by_vector(const T* a, const T* b, T* out, int n, F f) {
  constexpr int L = LANES<T>;
  for (int i = 0; i < n; i += L) store<T>(out + i, f(load<T>(a + i), load<T>(b + i)));
}

// max and min are NaN if either argument is.
template <class T>
PSINN_INLINE T larger(T a, T b) {
  return a > b || a != a ? a : b;
}
template <class T>
PSINN_INLINE T smaller(T a, T b) {
  return a < b || a != a ? a : b;
}

// registers: n numbers each.
template <class T>
void run_instructions(const psinn::Instruction* code, int count, T* registers, int n) {
  using V = Vec<T>;
  for (int k = 0; k < count; ++k) {
    const psinn::Instruction& at = code[k];
    const T* a = registers + static_cast<psinn::Index>(at.a < 0 ? 0 : at.a) * n;
    const T* b = registers + static_cast<psinn::Index>(at.b < 0 ? 0 : at.b) * n;
    T* out = registers + static_cast<psinn::Index>(at.result) * n;
    switch (at.op) {
      case Op::constant:
        for (int i = 0; i < n; ++i) out[i] = static_cast<T>(at.value);
        break;
      case Op::add: by_vector(a, b, out, n, [](V x, V y) { return x + y; }); break;
      case Op::mul: by_vector(a, b, out, n, [](V x, V y) { return x * y; }); break;
      case Op::div: by_vector(a, b, out, n, [](V x, V y) { return x / y; }); break;
      case Op::neg: by_vector(a, a, out, n, [](V x, V) { return -x; }); break;
      case Op::reciprocal: by_vector(a, a, out, n, [](V x, V) { return T(1) / x; }); break;
      case Op::tanh: by_vector(a, a, out, n, [](V x, V) { return tanh<T>(x); }); break;
      case Op::sqrt: by_lane(a, out, n, [](T x) { return std::sqrt(x); }); break;
      case Op::exp: by_lane(a, out, n, [](T x) { return std::exp(x); }); break;
      case Op::log: by_lane(a, out, n, [](T x) { return std::log(x); }); break;
      case Op::sin: by_lane(a, out, n, [](T x) { return std::sin(x); }); break;
      case Op::cos: by_lane(a, out, n, [](T x) { return std::cos(x); }); break;
      case Op::tan: by_lane(a, out, n, [](T x) { return std::tan(x); }); break;
      case Op::sinh: by_lane(a, out, n, [](T x) { return std::sinh(x); }); break;
      case Op::cosh: by_lane(a, out, n, [](T x) { return std::cosh(x); }); break;
      case Op::atan: by_lane(a, out, n, [](T x) { return std::atan(x); }); break;
      case Op::abs: by_lane(a, out, n, [](T x) { return std::fabs(x); }); break;
      case Op::sign: by_lane(a, out, n, [](T x) { return x > 0 ? T(1) : x < 0 ? T(-1) : x; }); break;
      case Op::pow:
        for (int i = 0; i < n; ++i) out[i] = std::pow(a[i], b[i]);
        break;
      case Op::max:
        for (int i = 0; i < n; ++i) out[i] = larger(a[i], b[i]);
        break;
      case Op::min:
        for (int i = 0; i < n; ++i) out[i] = smaller(a[i], b[i]);
        break;
      case Op::gt:
        for (int i = 0; i < n; ++i) out[i] = T(a[i] > b[i]);
        break;
    }
  }
}

}  // namespace PSINN_NAMESPACE
