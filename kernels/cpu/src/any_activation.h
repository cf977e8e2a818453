// tanh of a jet and its adjoint for channel sets that are not known at compile time, by the recurrence of
// kernels/language/recurrence.py: rows of products of two numbers. A block of neurons goes through each row together,
// which hides what reading the row costs.
#pragma once

#include "activation.h"

namespace PSINN_NAMESPACE {

constexpr int NEURONS_PER_BLOCK = 4;

// Numbers of a recurrence: channels of z and h, slopes, and their adjoints.
constexpr int MOST_NUMBERS = 2 * (2 * psinn::MOST_CHANNELS + psinn::MOST_SLOPES);

template <class T, int BLOCK>
PSINN_INLINE void run_rows(const Rules& rules, int first, int last, Vec<T> (*v)[BLOCK]) {
  for (int r = first; r < last; ++r) {
    const psinn::RecurrenceRow& row = rules.rows[r];
    Vec<T> sum[BLOCK];
    PSINN_UNROLL
    for (int b = 0; b < BLOCK; ++b) sum[b] = row.adds ? v[row.result][b] : Vec<T>{};
    for (int p = row.first; p < row.last; ++p) {
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

  // Where channel c (from `start` on) of repetition r, j-th of `rows`, lies.
  template <class P>
  P* at(P* data, const int* rows, int r, int j, psinn::Index c, psinn::Index start) const {
    return data + ((rows[j] + k + r) * (n - start) + c - start) * width + s * L;
  }

  // Pre-activations of the neurons, with tanh in place of the value if `is_done`, and all h and slopes.
  void forward(T* z, const T* bias, bool is_done) const {
    for (psinn::Index c = 0; c < n; ++c) PSINN_UNROLL
      for (int r = 0; r < REPEATS; ++r) {
        Vec<T> own[SIZE][1];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) own[j][0] = load<T>(at(z, orbit.slot, r, j, c, 0));
        if (!is_done) mix(orbit.mixing, 0, 1, own);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          if (!is_done && c == 0) own[j][0] = tanh<T>(own[j][0] + (bias ? bias[orbit.neuron[j] + k + r] : T(0)));
          if (!is_done && (c == 0 || (SIZE > 1 && orbit.mixing > 1))) store<T>(at(z, orbit.slot, r, j, c, 0), own[j][0]);
          v[c == 0 ? h : c][r * SIZE + j] = own[j][0];
        }
      }
    PSINN_UNROLL
    for (int b = 0; b < N; ++b) v[slope][b] = T(1) - v[h][b] * v[h][b];
    run_rows<T, N>(rule.rules, 0, rule.rules.n_forward_rows, v);
  }

  void store_outputs(T* out) const {
    for (psinn::Index c = first; c < n; ++c) PSINN_UNROLL
      for (int r = 0; r < REPEATS; ++r) {
        Vec<T> own[SIZE][1];
        T* to[SIZE];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          own[j][0] = v[h + c][r * SIZE + j];
          to[j] = at(out, orbit.operand, r, j, c, first);
        }
        store_operands<T, SIZE, 1>(orbit, 0, 1, 0, own, to, 0);
      }
  }

  void adjoint(T* z, const T* out_bar, T* bias_bar, T* value_bar) const {
    forward(z, nullptr, true);
    for (psinn::Index c = 0; c < n; ++c) PSINN_UNROLL
      for (int r = 0; r < REPEATS; ++r) {
        Vec<T> own[SIZE][1] = {};
        if (c >= first) {
          const T* from[SIZE];
          PSINN_UNROLL
          for (int j = 0; j < SIZE; ++j) from[j] = at(out_bar, orbit.operand, r, j, c, first);
          load_outputs_bar<T, SIZE, 1>(orbit, 0, 1, 0, from, 0, own);
        }
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) v[bar + h + c][r * SIZE + j] = own[j][0];
      }
    run_rows<T, N>(rule.rules, rule.rules.n_forward_rows, rule.rules.n_rows, v);
    for (psinn::Index c = 0; c < n; ++c) PSINN_UNROLL
      for (int r = 0; r < REPEATS; ++r) {
        Vec<T> own[SIZE][1];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) {
          own[j][0] = v[bar + c][r * SIZE + j];
          if (c) continue;
          const psinn::Index neuron = orbit.neuron[j] + k + r;
          store<T>(bias_bar + neuron * L, load<T>(bias_bar + neuron * L) + own[j][0]);
          if (value_bar) store<T>(value_bar + neuron * width + s * L, own[j][0]);
        }
        mix(orbit.mixing, 0, 1, own);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) store<T>(at(z, orbit.slot, r, j, c, 0), own[j][0]);
      }
  }
};

// action(block) for all neurons.
template <class T, class Action>
void for_blocks(const AnyRule& rule, const psinn::Orbits& orbits, const Action& action) {
  for_orbits(orbits, [&](const psinn::Orbit& orbit, auto size) {
    constexpr int SIZE = decltype(size)::value, REPEATS = NEURONS_PER_BLOCK / SIZE;
    alignas(64) Vec<T> numbers[MOST_NUMBERS][NEURONS_PER_BLOCK];
    for (int s = 0; s < rule.sub(); ++s) {
      int k = 0;
      for (; k + REPEATS <= orbit.repeat; k += REPEATS) action(Block<T, SIZE, REPEATS>{rule, orbit, numbers, k, s});
      if constexpr (REPEATS > 1)
        for (; k < orbit.repeat; ++k)
          action(Block<T, SIZE, 1>{rule, orbit, reinterpret_cast<Vec<T>(*)[SIZE]>(numbers), k, s});
    }
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
