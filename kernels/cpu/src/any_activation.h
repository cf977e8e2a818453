// The activation of a jet and its adjoint for channel sets that are not known at compile time. tanh goes by the recurrence
// of kernels/language/recurrence.py: rows of products of two numbers. A block of neurons goes through each row together,
// which hides what reading the row costs, and works where the numbers lie: z, h and their adjoints in the panel, the
// slopes in a memory of its own, where h goes, too, if not all its channels are wanted. Other activations go by the chain
// rule's parts.
#pragma once

#include "activation.h"

namespace PSINN_NAMESPACE {

// Planes, n channels of a block's neurons each: the slopes, h, and the adjoints of these.
constexpr int PLANES = 4;

// v: where the numbers lie, those of the next neuron `stride` further. Rows that make h are left out if h is given.
template <class T, int N>
PSINN_INLINE void run_rows(const Rules& rules, int first, int last, bool has_outputs, T* const* v, psinn::Index stride) {
  for (int r = first; r < last; ++r) {
    const psinn::RecurrenceRow& row = rules.rows[r];
    if (has_outputs && row.result < 2 * rules.n_channels) continue;
    Vec<T> sum[N] = {};
    for (int p = row.first; p < row.last; ++p) {
      const psinn::RecurrenceProduct& own = rules.products[p];
      const T *a = v[own.a], *b = v[own.b];
      PSINN_UNROLL
      for (int i = 0; i < N; ++i) sum[i] += load<T>(a + i * stride) * load<T>(b + i * stride);
      if (own.factor != 1) PSINN_UNROLL
        for (int i = 0; i < N; ++i) sum[i] *= static_cast<T>(own.factor);
    }
    T* result = v[row.result];
    if (row.adds) PSINN_UNROLL
      for (int i = 0; i < N; ++i) sum[i] += load<T>(result + i * stride);
    PSINN_UNROLL
    for (int i = 0; i < N; ++i) store<T>(result + i * stride, sum[i]);
  }
}

// Neurons r..r + REPEATS - 1, the s-th vector of points.
template <class T, int REPEATS>
struct Block {
  static constexpr int L = LANES<T>;
  using Index = psinn::Index;
  const AnyRule& rule;
  const Neurons<T>& neurons;
  int r, s;
  bool is_tanh = neurons.kind == psinn::Activation::tanh;
  Index n = rule.channels(), first = rule.first(), width = rule.sub() * L, stride = n * width;
  bool in_place = first == 0;  // all channels of h are wanted

  T* plane(int number) const { return static_cast<T*>(rule.block) + number * REPEATS * stride + s * L; }
  T* z() const { return neurons.z + r * stride + s * L; }
  // Of the i-th neuron, from the first channel wanted on.
  T* h(int i) const { return neurons.h + (r + i) * (n - first) * width + s * L; }
  const Vec<T>* forms(int i, Index count) const { return neurons.forms + (s * BLOCK + r + i) * count; }

  void forward() const {
    T* own = in_place ? h(0) : plane(1);
    for (int i = 0; i < REPEATS; ++i) {
      const Vec<T>* f = forms(i, rule.order() + 1);
      store<T>(own + i * stride, is_tanh ? load<T>(z() + i * stride) : f[0]);
      if (!is_tanh) by_parts(f, z() + i * stride, own + i * stride);
    }
    if (is_tanh) run_forward(z(), own, false);
    if (in_place) return;
    for (int i = 0; i < REPEATS; ++i)
      for (Index c = first; c < n; ++c) store<T>(h(i) + (c - first) * width, load<T>(own + i * stride + c * width));
  }

  // Destroys the adjoints of h.
  void adjoint() const {
    if (!in_place)
      for (int i = 0; i < REPEATS; ++i)
        for (Index c = 0; c < n; ++c)
          store<T>(plane(2) + i * stride + c * width, c < first ? Vec<T>{} : load<T>(h(i) + (c - first) * width));
    T* h_bar = in_place ? h(0) : plane(2);
    const bool has_outputs = in_place && neurons.outputs;
    if (is_tanh)
      run_adjoint(z(), has_outputs ? const_cast<T*>(neurons.outputs) + r * stride + s * L : plane(1), h_bar, has_outputs);
    else
      for (int i = 0; i < REPEATS; ++i)
        by_parts_adjoint(forms(i, rule.order() + 2), z() + i * stride, h_bar + i * stride);
    for (int i = 0; i < REPEATS; ++i) neurons.add_value_bar(r + i, s, rule.sub(), load<T>(z() + i * stride));
  }

 private:
  using Numbers = T* [6 * MOST_CHANNELS];

  // Without a recurrence: h_c = sum_k a^(k)(z) (the monomials of part k), one neuron after the other.
  void by_parts(const Vec<T>* f, const T* z, T* h) const {
    const Rules& rules = rule.rules;
    for (Index c = 1; c < n; ++c) store<T>(h + c * width, f[1] * load<T>(z + c * width));
    for (int p = 0; p < rules.n_parts; ++p) {
      const Part& part = rules.parts[p];
      T* own = h + part.channel * width;
      store<T>(own, load<T>(own) + f[part.order] * sum_of(rules, part.first, part.last, z));
    }
  }

  // The adjoints of z take its place.
  void by_parts_adjoint(const Vec<T>* f, T* z, const T* h_bar) const {
    const Rules& rules = rule.rules;
    Vec<T> z_bar[MOST_CHANNELS] = {}, weighted{};
    for (Index c = 0; c < n; ++c) z_bar[c] = f[1] * load<T>(h_bar + c * width);
    for (Index c = 1; c < n; ++c) weighted += load<T>(z + c * width) * load<T>(h_bar + c * width);
    if (n > 1) z_bar[0] += f[2] * weighted;
    for (int p = 0; p < rules.n_parts; ++p) {
      const Part& part = rules.parts[p];
      const Vec<T> c_bar = load<T>(h_bar + part.channel * width), common = f[part.order] * c_bar;
      z_bar[0] += f[part.order + 1] * (c_bar * sum_of(rules, part.first, part.last, z));
      for (int i = part.partial_first; i < part.partial_last; ++i) {
        const Partial& partial = rules.partials[i];
        z_bar[partial.b] += common * sum_of(rules, partial.first, partial.last, z);
      }
    }
    for (Index c = 0; c < n; ++c) store<T>(z + c * width, z_bar[c]);
  }

  Vec<T> sum_of(const Rules& rules, int first, int last, const T* z) const {
    Vec<T> sum{};
    for (int m = first; m < last; ++m) {
      const Monomial& own = rules.monomials[m];
      Vec<T> value = broadcast<T>(static_cast<T>(own.coefficient));
      for (int i = 0; i < own.n_factors; ++i) value *= load<T>(z + own.factors[i] * width);
      sum += value;
    }
    return sum;
  }

  // z and h lie in rows of all channels, tanh in place of the value of z.
  void run_forward(T* z, T* h, bool has_outputs) const {
    Numbers v;
    place(z, h, plane(0), v);
    run_forward(v, has_outputs);
  }
  void run_forward(T* const* v, bool has_outputs) const {
    PSINN_UNROLL
    for (int r = 0; r < REPEATS; ++r) {
      const Vec<T> t = load<T>(v[0] + r * stride);
      store<T>(v[2 * n] + r * stride, T(1) - t * t);
    }
    run_rows<T, REPEATS>(rule.rules, 0, rule.rules.n_forward_rows, has_outputs, v, stride);
  }

  // z_bar takes the place of z, which is no longer read by then.
  void run_adjoint(T* z, T* h, T* h_bar, bool has_outputs) const {
    Numbers v;
    place(z, h, plane(0), v);
    v[n] = z;
    run_forward(v, has_outputs);
    place(z, h_bar, plane(3), v + 2 * n + rule.rules.n_slopes);
    run_rows<T, REPEATS>(rule.rules, rule.rules.n_forward_rows, rule.rules.n_rows, false, v, stride);
  }

  void place(T* z, T* h, T* slopes, T** v) const {
    for (Index c = 0; c < n; ++c) {
      v[c] = z + c * width;
      v[n + c] = h + c * width;
    }
    for (Index b = 0; b < rule.rules.n_slopes; ++b) v[2 * n + b] = slopes + b * width;
  }
};

// action(block) for all neurons, REPEATS at a time, the rest in smaller blocks.
template <int REPEATS, class T, class Action>
PSINN_INLINE void for_blocks(const AnyRule& rule, const Neurons<T>& neurons, int r, int s, const Action& action) {
  for (; r + REPEATS <= neurons.count; r += REPEATS) action(Block<T, REPEATS>{rule, neurons, r, s});
  if constexpr (REPEATS > 1) for_blocks<REPEATS / 2>(rule, neurons, r, s, action);
}

template <class T>
void any_jets_forward(const AnyRule& rule, const Neurons<T>& neurons) {
  for (int s = 0; s < rule.sub(); ++s)
    for_blocks<BLOCK>(rule, neurons, 0, s, [](const auto& block) { block.forward(); });
}

template <class T>
void any_jets_adjoint(const AnyRule& rule, const Neurons<T>& neurons) {
  for (int s = 0; s < rule.sub(); ++s)
    for_blocks<BLOCK>(rule, neurons, 0, s, [](const auto& block) { block.adjoint(); });
}

}  // namespace PSINN_NAMESPACE
