// The activation of a jet and its adjoint for channel sets that are not known at compile time. tanh goes by the recurrence
// of kernels/language/recurrence.py: rows of products of two numbers. A block of neurons goes through each row together,
// which hides what reading the row costs, and works where the numbers lie: z, h and their adjoints in the panel, the
// slopes in a memory of its own, where an orbit's h go, too, if its operands are not its outputs. Other activations go by
// the chain rule's parts.
#pragma once

#include "activation.h"

namespace PSINN_NAMESPACE {

// Planes, n channels of a neuron each, that a block takes: the slopes, h of each neuron, and the adjoints of these.
constexpr int planes(int orbit_size) { return 2 * (1 + orbit_size); }

inline psinn::Index block_vectors(const Rules& rules) {
  const int n = rules.n_channels;
  return static_cast<psinn::Index>(planes(2)) * block_neurons(2) * n * points_per_panel(n);
}
static_assert(planes(4) * block_neurons(4) <= planes(2) * block_neurons(2), "the largest block is that of pairs");

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

// Repetitions k..k + REPEATS - 1 of an orbit of SIZE neurons, the s-th vector of points.
template <class T, int SIZE, int REPEATS>
struct Block {
  static constexpr int L = LANES<T>;
  using Index = psinn::Index;
  const AnyRule& rule;
  const psinn::Orbits& orbits;
  const psinn::Orbit& orbit;
  T* memory;
  int k, s;
  bool is_tanh = orbits.activation == psinn::Activation::tanh;
  Index n = rule.channels(), first = rule.first(), width = rule.sub() * L, stride = n * width;
  bool in_place = first == 0 && is_direct(orbit);  // h and its adjoint lie in the operands' rows

  T* plane(int number) const { return memory + number * REPEATS * stride + s * L; }
  // The rows of the j-th neuron's repetitions.
  template <class P>
  P* rows(P* data, const int* numbers, int j) const {
    return data + (numbers[j] + k) * stride + s * L;
  }

  void forward(T* z, const T* bias, T* kept, T* out) const {
    const int order = is_tanh ? 0 : rule.order();
    Vec<T> f[REPEATS * SIZE * (MOST_ORDER + 1)];
    OrbitForms<T, SIZE>{orbits, orbit, rule.channels(), rule.sub(), order, z, kept}.forward(k, REPEATS, s, bias, f);
    mix_slots(z, 1);
    for (int j = 0; j < SIZE; ++j) {
      T *own = rows(z, orbit.slot, j), *h = in_place ? rows(out, orbit.operand, j) : plane(2 + j);
      for (int r = 0; r < REPEATS; ++r) {
        const Vec<T>* forms = f + (r * SIZE + j) * (order + 1);
        store<T>(h + r * stride, forms[0]);
        if (!is_tanh) by_parts(forms, own + r * stride, h + r * stride);
      }
      if (is_tanh) run_forward(own, h, false);
    }
    if (in_place) return;
    for_operands(out, [&](T* const(&to)[SIZE], int at, int c) {
      Vec<T> own[SIZE][1];
      PSINN_UNROLL
      for (int j = 0; j < SIZE; ++j) own[j][0] = load<T>(plane(2 + j) + at + c * width);
      store_operands<T, SIZE, 1>(orbit, 0, 1, 0, own, to, 0);
    });
  }

  // out: what `forward` made, or null if that is gone. Destroys out_bar.
  void adjoint(T* z, T* kept, const T* out, T* out_bar, T* bias_bar, T* value_bar) const {
    Vec<T> f[REPEATS * SIZE * (MOST_ORDER + 2)];
    if (!is_tanh)
      OrbitForms<T, SIZE>{orbits, orbit, rule.channels(), rule.sub(), rule.order(), z, kept}.backward(k, REPEATS, s, f);
    if (!in_place) load_planes(out_bar);
    const bool has_outputs = in_place && out;
    for (int j = 0; j < SIZE; ++j) {
      T* own = rows(z, orbit.slot, j);
      T* h_bar = in_place ? rows(out_bar, orbit.operand, j) : plane(2 + SIZE + j);
      if (is_tanh)
        run_adjoint(own, has_outputs ? const_cast<T*>(rows(out, orbit.operand, j)) : plane(2 + j), h_bar, has_outputs);
      else
        for (int r = 0; r < REPEATS; ++r)
          by_parts_adjoint(f + (r * SIZE + j) * (rule.order() + 2), own + r * stride, h_bar + r * stride);
      PSINN_UNROLL
      for (int r = 0; r < REPEATS; ++r) {
        const Index neuron = orbit.neuron[j] + k + r;
        const Vec<T> bar = load<T>(own + r * stride);
        store<T>(bias_bar + neuron * L, load<T>(bias_bar + neuron * L) + bar);
        if (value_bar) store<T>(value_bar + neuron * width + s * L, bar);
      }
    }
    mix_slots(z, 0);
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
    place(z, h_bar, plane(1), v + 2 * n + rule.rules.n_slopes);
    run_rows<T, REPEATS>(rule.rules, rule.rules.n_forward_rows, rule.rules.n_rows, false, v, stride);
  }

  void place(T* z, T* h, T* slopes, T** v) const {
    for (Index c = 0; c < n; ++c) {
      v[c] = z + c * width;
      v[n + c] = h + c * width;
    }
    for (Index b = 0; b < rule.rules.n_slopes; ++b) v[2 * n + b] = slopes + b * width;
  }

  void mix_slots(T* z, Index from) const {
    if (SIZE == 1 || orbit.mixing <= 1) return;
    for (int r = 0; r < REPEATS; ++r)
      for (Index c = from; c < n; ++c) {
        Vec<T> own[SIZE][1];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) own[j][0] = load<T>(rows(z, orbit.slot, j) + r * stride + c * width);
        mix(orbit.mixing, 0, 1, own);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) store<T>(rows(z, orbit.slot, j) + r * stride + c * width, own[j][0]);
      }
  }

  // action(channel c of the operands, of the repetition whose rows in the planes start at `at`, c) for those that there are.
  template <class Action>
  PSINN_INLINE void for_operands(T* data, const Action& action) const {
    for (int r = 0; r < REPEATS; ++r)
      for (Index c = first; c < n; ++c) {
        T* operands[SIZE];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j)
          operands[j] = data + ((orbit.operand[j] + k + r) * (n - first) + c - first) * width + s * L;
        action(operands, static_cast<int>(r * stride), static_cast<int>(c));
      }
  }

  void load_planes(T* out_bar) const {
    for (int j = 0; j < SIZE; ++j)
      for (int r = 0; r < REPEATS; ++r)
        for (Index c = 0; c < first; ++c) store<T>(plane(2 + SIZE + j) + r * stride + c * width, Vec<T>{});
    for_operands(out_bar, [&](T* const(&from)[SIZE], int at, int c) {
      const T* operands[SIZE];
      PSINN_UNROLL
      for (int j = 0; j < SIZE; ++j) operands[j] = from[j];
      Vec<T> own[SIZE][1];
      load_outputs_bar<T, SIZE, 1>(orbit, 0, 1, 0, operands, 0, own);
      PSINN_UNROLL
      for (int j = 0; j < SIZE; ++j) store<T>(plane(2 + SIZE + j) + at + c * width, own[j][0]);
    });
  }
};

// action(block) for the neurons of an orbit from repetition k on, REPEATS at a time, the rest in smaller blocks.
template <class T, int SIZE, int REPEATS, class Action>
PSINN_INLINE void for_repeats(const AnyRule& rule, const psinn::Orbits& orbits, const psinn::Orbit& orbit, int k, int s,
                              const Action& action) {
  for (; k + REPEATS <= orbit.repeat; k += REPEATS)
    action(Block<T, SIZE, REPEATS>{rule, orbits, orbit, static_cast<T*>(rule.block), k, s});
  if constexpr (REPEATS > 1) for_repeats<T, SIZE, REPEATS / 2>(rule, orbits, orbit, k, s, action);
}

template <class T, class Action>
void for_blocks(const AnyRule& rule, const psinn::Orbits& orbits, const Action& action) {
  for_orbits(orbits, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int SIZE = decltype(size)::value;
    for (int s = 0; s < rule.sub(); ++s)
      for_repeats<T, SIZE, block_neurons(SIZE)>(rule, orbits, orbit, 0, s, action);
  });
}

template <class T>
void activation_forward(const AnyRule& rule, const psinn::Orbits& orbits, T* z, const T* bias, T* kept, T* out) {
  for_blocks<T>(rule, orbits, [&](const auto& block) { block.forward(z, bias, kept, out); });
}

template <class T>
void activation_adjoint(const AnyRule& rule, const psinn::Orbits& orbits, T* z, T* kept, const T* out, T* out_bar,
                        T* bias_bar, T* value_bar) {
  for_blocks<T>(rule, orbits, [&](const auto& block) { block.adjoint(z, kept, out, out_bar, bias_bar, value_bar); });
}

}  // namespace PSINN_NAMESPACE
