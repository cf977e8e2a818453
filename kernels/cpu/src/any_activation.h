// tanh of a jet and its adjoint for channel sets that are not known at compile time, by the recurrence of
// kernels/language/recurrence.py: rows of products of two numbers. A block of neurons goes through each row together,
// which hides what reading the row costs.
#pragma once

#include "activation.h"

namespace PSINN_NAMESPACE {

constexpr int NEURONS_PER_BLOCK = 8;

// Vectors that a block takes: channels of z and h, slopes, and the adjoints of all these.
inline psinn::Index block_vectors(const Rules& rules) {
  return 2 * (2 * rules.n_channels + rules.n_slopes) * NEURONS_PER_BLOCK;
}

template <class T, int BLOCK>
PSINN_INLINE void run_rows(const Rules& rules, int first, int last, Vec<T> (*v)[BLOCK]) {
  for (int r = first; r < last; ++r) {
    const psinn::RecurrenceRow& row = rules.rows[r];
    Vec<T> sum[BLOCK];
    PSINN_UNROLL
    for (int b = 0; b < BLOCK; ++b) sum[b] = row.adds ? v[row.result][b] : Vec<T>{};
    int p = row.first;
    for (; p < row.first_scaled; ++p) {
      const psinn::RecurrenceProduct& own = rules.products[p];
      PSINN_UNROLL
      for (int b = 0; b < BLOCK; ++b) sum[b] += v[own.a][b] * v[own.b][b];
    }
    for (; p < row.last; ++p) {
      const psinn::RecurrenceProduct& own = rules.products[p];
      const Vec<T> coefficient = broadcast<T>(static_cast<T>(own.coefficient));
      PSINN_UNROLL
      for (int b = 0; b < BLOCK; ++b) sum[b] += coefficient * v[own.a][b] * v[own.b][b];
    }
    PSINN_UNROLL
    for (int b = 0; b < BLOCK; ++b) v[row.result][b] = sum[b];
  }
}

// REPEATS times the SIZE neurons of an orbit: those of repetition k + r, j-th of the orbit, are number r * SIZE + j.
template <class T, int SIZE, int REPEATS>
struct Block {
  static constexpr int L = LANES<T>, N = SIZE * REPEATS;
  using Row = Vec<T>[N];
  const AnyRule& rule;
  const psinn::Orbit& orbit;
  Row* v;
  int k, s;
  psinn::Index n = rule.channels(), first = rule.first(), width = rule.sub() * L;
  psinn::Index h = n, slope = 2 * n, bar = 2 * n + rule.rules.n_slopes;

  // Where channel `start` of each neuron's row lies; channels lie `width` numbers apart.
  template <class P>
  PSINN_INLINE void rows_at(P* data, const int* rows, psinn::Index start, P* (&found)[N]) const {
    PSINN_UNROLL
    for (int b = 0; b < N; ++b) found[b] = data + (rows[b % SIZE] + k + b / SIZE) * (n - start) * width + s * L;
  }

  // Pre-activations of the neurons, with tanh in place of the value if `is_done`, and all h and slopes.
  PSINN_INLINE void forward(T* z, const T* bias, bool is_done) const {
    T* rows[N];
    rows_at(z, orbit.slot, 0, rows);
    const bool is_mixed = !is_done && SIZE > 1 && orbit.mixing > 1;
    for (psinn::Index c = 0; c < n; ++c) {
      Vec<T> own[SIZE][REPEATS];
      PSINN_UNROLL
      for (int b = 0; b < N; ++b) own[b % SIZE][b / SIZE] = load<T>(rows[b] + c * width);
      if (is_mixed) mix(orbit.mixing, 0, REPEATS, own);
      PSINN_UNROLL
      for (int b = 0; b < N; ++b) {
        Vec<T> value = own[b % SIZE][b / SIZE];
        if (c == 0 && !is_done) value = tanh<T>(value + (bias ? bias[orbit.neuron[b % SIZE] + k + b / SIZE] : T(0)));
        if (is_mixed || (c == 0 && !is_done)) store<T>(rows[b] + c * width, value);
        v[c == 0 ? h : c][b] = value;
      }
    }
    PSINN_UNROLL
    for (int b = 0; b < N; ++b) v[slope][b] = T(1) - v[h][b] * v[h][b];
    run_rows<T, N>(rule.rules, 0, rule.rules.n_forward_rows, v);
  }

  PSINN_INLINE void store_outputs(T* out) const {
    T* rows[N];
    rows_at(out, orbit.operand, first, rows);
    for (psinn::Index c = first; c < n; ++c) PSINN_UNROLL
      for (int r = 0; r < REPEATS; ++r) {
        Vec<T> own[SIZE][1];
        T* to[SIZE];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          own[j][0] = v[h + c][r * SIZE + j];
          to[j] = rows[r * SIZE + j] + (c - first) * width;
        }
        store_operands<T, SIZE, 1>(orbit, 0, 1, 0, own, to, 0);
      }
  }

  PSINN_INLINE void adjoint(T* z, const T* out_bar, T* bias_bar, T* value_bar) const {
    forward(z, nullptr, true);
    const T* from[N];
    rows_at(out_bar, orbit.operand, first, from);
    for (psinn::Index c = 0; c < first; ++c) PSINN_UNROLL
      for (int b = 0; b < N; ++b) v[bar + h + c][b] = Vec<T>{};
    for (psinn::Index c = first; c < n; ++c) PSINN_UNROLL
      for (int r = 0; r < REPEATS; ++r) {
        Vec<T> own[SIZE][1];
        const T* operands[SIZE];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) operands[j] = from[r * SIZE + j] + (c - first) * width;
        load_outputs_bar<T, SIZE, 1>(orbit, 0, 1, 0, operands, 0, own);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) v[bar + h + c][r * SIZE + j] = own[j][0];
      }
    run_rows<T, N>(rule.rules, rule.rules.n_forward_rows, rule.rules.n_rows, v);
    PSINN_UNROLL
    for (int b = 0; b < N; ++b) {
      const psinn::Index neuron = orbit.neuron[b % SIZE] + k + b / SIZE;
      store<T>(bias_bar + neuron * L, load<T>(bias_bar + neuron * L) + v[bar][b]);
      if (value_bar) store<T>(value_bar + neuron * width + s * L, v[bar][b]);
    }
    T* to[N];
    rows_at(z, orbit.slot, 0, to);
    for (psinn::Index c = 0; c < n; ++c) {
      Vec<T> own[SIZE][REPEATS];
      PSINN_UNROLL
      for (int b = 0; b < N; ++b) own[b % SIZE][b / SIZE] = v[bar + c][b];
      mix(orbit.mixing, 0, REPEATS, own);
      PSINN_UNROLL
      for (int b = 0; b < N; ++b) store<T>(to[b] + c * width, own[b % SIZE][b / SIZE]);
    }
  }
};

// action(block) for the neurons of an orbit from repetition k on, REPEATS at a time, the rest in smaller blocks.
template <class T, int SIZE, int REPEATS, class Action>
PSINN_INLINE void for_repeats(const AnyRule& rule, const psinn::Orbit& orbit, int k, int s, Vec<T>* numbers, const Action& action) {
  for (; k + REPEATS <= orbit.repeat; k += REPEATS)
    action(Block<T, SIZE, REPEATS>{rule, orbit, reinterpret_cast<Vec<T>(*)[SIZE * REPEATS]>(numbers), k, s});
  if constexpr (REPEATS > 1) for_repeats<T, SIZE, REPEATS / 2>(rule, orbit, k, s, numbers, action);
}

template <class T, class Action>
void for_blocks(const AnyRule& rule, const psinn::Orbits& orbits, const Action& action) {
  for_orbits(orbits, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int SIZE = decltype(size)::value;
    Vec<T>* numbers = static_cast<Vec<T>*>(rule.block);
    for (int s = 0; s < rule.sub(); ++s)
      for_repeats<T, SIZE, NEURONS_PER_BLOCK / SIZE>(rule, orbit, 0, s, numbers, action);
  });
}

template <class T>
void activation_forward(const AnyRule& rule, const psinn::Orbits& orbits, T* z, const T* bias, T* out) {
  for_blocks<T>(rule, orbits, [&](const auto& block) {
    block.forward(z, bias, false);
    block.store_outputs(out);
  });
}

template <class T>
void activation_adjoint(const AnyRule& rule, const psinn::Orbits& orbits, T* z, const T* out_bar, T* bias_bar, T* value_bar) {
  for_blocks<T>(rule, orbits, [&](const auto& block) { block.adjoint(z, out_bar, bias_bar, value_bar); });
}

}  // namespace PSINN_NAMESPACE
