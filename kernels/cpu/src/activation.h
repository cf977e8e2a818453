// tanh of a jet and its adjoint, on the rows of one panel.
//
// Vector c * sub + s of a row is channel c of the panel's s-th vector of points. h holds the channels from first() on.
#pragma once

#include "rules.h"
#include "tanh.h"

namespace PSINN_NAMESPACE {

// f[k] = tanh^(k)(z) for k = 0..order, as polynomials in t = tanh z; order <= 5.
template <class T>
PSINN_INLINE void tanh_derivatives(Vec<T> t, int order, Vec<T>* f) {
  f[0] = t;
  if (order >= 1) f[1] = T(1) - t * t;
  if (order >= 2) f[2] = T(-2) * t * f[1];
  if (order >= 3) f[3] = f[1] * (T(4) - T(6) * f[1]);
  if (order >= 4) f[4] = t * (f[1] * (T(24) * f[1] - T(8)));
  if (order >= 5) f[5] = f[1] * (T(16) + (t * t) * (T(120) * (t * t) - T(120)));
}

template <class T, class R>
PSINN_INLINE Vec<T> evaluate(const R& rule, int first, int last, const Vec<T>* z) {
  Vec<T> sum{};
  PSINN_UNROLL
  for (int m = first; m < last; ++m) {
    const Monomial& monomial = rule.monomial(m);
    Vec<T> value = z[monomial.factors[0]];
    PSINN_UNROLL
    for (int i = 1; i < monomial.n_factors; ++i) value *= z[monomial.factors[i]];
    sum += monomial.coefficient == 1 ? value : value * static_cast<T>(monomial.coefficient);
  }
  return sum;
}

// z <- z + bias; h_c = sum_k tanh^(k)(z) * (monomials in z's channels). Leaves z with t in place of its value.
template <class T, class R>
void activation_forward(const R& rule, int rows, T* z, const T* bias, T* h) {
  constexpr int L = LANES<T>;
  const int n = rule.channels(), first = rule.first(), sub = rule.sub();
  for (int row = 0; row < rows; ++row) {
    const T b = bias ? bias[row] : T(0);
    for (int s = 0; s < sub; ++s) {
      T* zp = z + (static_cast<psinn::Index>(row) * n * sub + s) * L;
      T* hp = h + (static_cast<psinn::Index>(row) * (n - first) * sub + s) * L;
      Vec<T> zs[R::capacity], hs[R::capacity], f[MOST_ORDER + 2];
      PSINN_UNROLL
      for (int c = 1; c < n; ++c) zs[c] = load<T>(zp + c * sub * L);
      const Vec<T> t = tanh<T>(load<T>(zp) + b);
      store<T>(zp, t);
      tanh_derivatives<T>(t, rule.order(), f);
      hs[0] = t;
      PSINN_UNROLL
      for (int c = 1; c < n; ++c) hs[c] = f[1] * zs[c];
      for (int i = 0; i < rule.n_parts(); ++i) {
        const Part& part = rule.part(i);
        if (part.channel >= first) hs[part.channel] += f[part.order] * evaluate<T>(rule, part.first, part.last, zs);
      }
      PSINN_UNROLL
      for (int c = first; c < n; ++c) store<T>(hp + (c - first) * sub * L, hs[c]);
    }
  }
}

// z_bar from z (t in place of the value) and h_bar; z_bar may be z. bias_bar[row] += z_bar of the value, lane by lane.
template <class T, class R>
void activation_adjoint(const R& rule, int rows, const T* z, const T* h_bar, T* z_bar, T* bias_bar) {
  constexpr int L = LANES<T>;
  const int n = rule.channels(), first = rule.first(), sub = rule.sub();
  for (int row = 0; row < rows; ++row) {
    Vec<T> sum = load<T>(bias_bar + row * L);
    for (int s = 0; s < sub; ++s) {
      const psinn::Index at = (static_cast<psinn::Index>(row) * n * sub + s) * L;
      const T* zp = z + at;
      const T* hp = h_bar + (static_cast<psinn::Index>(row) * (n - first) * sub + s) * L;
      Vec<T> zs[R::capacity], hs[R::capacity], out[R::capacity], f[MOST_ORDER + 2];
      out[0] = zs[0] = Vec<T>{};
      PSINN_UNROLL
      for (int c = 0; c < n; ++c) zs[c] = load<T>(zp + c * sub * L);
      PSINN_UNROLL
      for (int c = first; c < n; ++c) hs[c] = load<T>(hp + (c - first) * sub * L);
      tanh_derivatives<T>(zs[0], rule.order() + 1, f);
      PSINN_UNROLL
      for (int c = 0; c < n; ++c) out[c] = c >= first ? f[1] * hs[c] : Vec<T>{};
      if (n > 1) {
        Vec<T> weighted{};
        PSINN_UNROLL
        for (int c = first > 1 ? first : 1; c < n; ++c) weighted += zs[c] * hs[c];
        out[0] += f[2] * weighted;
      }
      for (int i = 0; i < rule.n_parts(); ++i) {
        const Part& part = rule.part(i);
        if (part.channel < first) continue;
        const Vec<T> c_bar = hs[part.channel];
        out[0] += f[part.order + 1] * (c_bar * evaluate<T>(rule, part.first, part.last, zs));
        const Vec<T> common = f[part.order] * c_bar;
        PSINN_UNROLL
        for (int p = part.partial_first; p < part.partial_last; ++p) {
          const Partial& partial = rule.partial(p);
          out[partial.b] += common * evaluate<T>(rule, partial.first, partial.last, zs);
        }
      }
      sum += out[0];
      PSINN_UNROLL
      for (int c = 0; c < n; ++c) store<T>(z_bar + at + c * sub * L, out[c]);
    }
    store<T>(bias_bar + row * L, sum);
  }
}

}  // namespace PSINN_NAMESPACE
