// Orbits (engine.h) on the rows of one panel: what mixes their neurons before and after the activation, for any channels.
// What depends on the channels takes neurons one by one (activation.h, any_activation.h, first_layer.h).
#pragma once

#include "forms.h"

namespace PSINN_NAMESPACE {

using psinn::Index;
using psinn::Orbit;
using psinn::Orbits;

// Whether the operands are the outputs.
inline bool is_direct(const Orbit& orbit) { return orbit.n_sums == 0 && orbit.mixing_after <= 1; }

// In place: v[r] <- sum_j H[r][j] v[j], with Walsh-Hadamard matrices of `mixing` rows on the diagonal.
template <int SIZE, class V>
PSINN_INLINE void mix(int mixing, V (&v)[SIZE]) {
  const auto butterflies = [&](auto stride) PSINN_LAMBDA {
    constexpr int STRIDE = decltype(stride)::value;
    PSINN_UNROLL
    for (int j = 0; j < SIZE; ++j)
      if (!(j & STRIDE)) {
        const V a = v[j], b = v[j + STRIDE];
        v[j] = a + b;
        v[j + STRIDE] = a - b;
      }
  };
  if constexpr (SIZE >= 2)
    if (mixing >= 2) butterflies(std::integral_constant<int, 1>{});
  if constexpr (SIZE >= 4)
    if (mixing >= 4) butterflies(std::integral_constant<int, 2>{});
}

// Rows of an orbit, the k-th time; rows are `stride` numbers apart.
template <int SIZE, class P>
PSINN_INLINE void rows_of(const int* numbers, int k, Index stride, P* start, P* (&rows)[SIZE]) {
  PSINN_UNROLL
  for (int j = 0; j < SIZE; ++j) rows[j] = start + (numbers[j] + k) * stride;
}

// Repetitions k..k + count - 1 of an orbit.
template <class T, int SIZE>
struct Repeats {
  static constexpr int L = LANES<T>;
  const Orbit& orbit;
  int k, count;

  // Mixes in place the rows, of `vectors` vectors each, that have these numbers.
  __attribute__((noinline)) void mix_rows(int mixing, const int* numbers, Index vectors, T* data) const {
    if (SIZE == 1 || mixing <= 1) return;
    for (int r = 0; r < count; ++r) {
      T* rows[SIZE];
      rows_of<SIZE>(numbers, k + r, vectors * L, data, rows);
      for (Index v = 0; v < vectors; ++v) {
        Vec<T> own[SIZE];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) own[j] = load<T>(rows[j] + v * L);
        mix(mixing, own);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) store<T>(rows[j] + v * L, own[j]);
      }
    }
  }

  // Where outputs of the j-th neuron are: in the operands' rows, or, if operands are sums of them, in `memory`.
  T* outputs(int j, Index vectors, T* operands, T* memory) const {
    return orbit.n_sums ? memory + j * count * vectors * L : operands + (orbit.operand[j] + k) * vectors * L;
  }

  // From outputs to operands.
  void to_operands(Index vectors, const T* memory, T* operands) const {
    if (orbit.n_sums)
      sum(vectors, memory, operands);
    else
      mix_rows(orbit.mixing_after, orbit.operand, vectors, operands);
  }
  // From the adjoints of operands to those of outputs.
  void to_outputs(Index vectors, T* operands, T* memory) const {
    if (orbit.n_sums)
      sum_adjoint(vectors, operands, memory);
    else
      mix_rows(orbit.mixing_after, orbit.operand, vectors, operands);
  }

 private:
  struct Sums {
    T of[SIZE][SIZE];
    explicit Sums(const Orbit& orbit) {
      for (int i = 0; i < SIZE; ++i)
        for (int j = 0; j < SIZE; ++j) of[i][j] = i < orbit.n_sums ? T(orbit.sum[i][j]) : T(0);
    }
  };

  __attribute__((noinline)) void sum(Index vectors, const T* memory, T* operands) const {
    const Sums sums{orbit};
    for (int r = 0; r < count; ++r) {
      T* rows[SIZE];
      rows_of<SIZE>(orbit.operand, k + r, vectors * L, operands, rows);
      for (Index v = 0; v < vectors; ++v) {
        Vec<T> own[SIZE];
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) own[j] = load<T>(memory + ((j * count + r) * vectors + v) * L);
        PSINN_UNROLL
        for (int i = 0; i < SIZE; ++i) {
          if (i >= orbit.n_sums) break;
          Vec<T> total = sums.of[i][0] * own[0];
          PSINN_UNROLL
          for (int j = 1; j < SIZE; ++j) total += sums.of[i][j] * own[j];
          store<T>(rows[i] + v * L, total);
        }
      }
    }
  }

  __attribute__((noinline)) void sum_adjoint(Index vectors, const T* operands, T* memory) const {
    const Sums sums{orbit};
    for (int r = 0; r < count; ++r) {
      const T* rows[SIZE];
      rows_of<SIZE>(orbit.operand, k + r, vectors * L, operands, rows);
      for (Index v = 0; v < vectors; ++v) {
        Vec<T> own[SIZE];
        const Vec<T> first = load<T>(rows[0] + v * L);
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) own[j] = sums.of[0][j] * first;
        PSINN_UNROLL
        for (int i = 1; i < SIZE; ++i) {
          if (i >= orbit.n_sums) break;
          const Vec<T> bar = load<T>(rows[i] + v * L);
          PSINN_UNROLL
          for (int j = 0; j < SIZE; ++j) own[j] += sums.of[i][j] * bar;
        }
        PSINN_UNROLL
        for (int j = 0; j < SIZE; ++j) store<T>(memory + ((j * count + r) * vectors + v) * L, own[j]);
      }
    }
  }
};

// action(Repeats) for all orbits, in blocks; where nothing is mixed and `whole`, all repetitions together.
template <class T, class Action>
PSINN_INLINE void for_repeats(const Orbits& orbits, bool whole, const Action& action) {
  const auto blocks = [&](const Orbit& orbit, auto size) PSINN_LAMBDA {
    constexpr int SIZE = decltype(size)::value;
    const int block = SIZE == 1 && whole && is_direct(orbit) ? orbit.repeat : block_neurons(SIZE);
    for (int k = 0; k < orbit.repeat; k += block)
      action(Repeats<T, SIZE>{orbit, k, orbit.repeat - k < block ? orbit.repeat - k : block}, size);
  };
  for (int i = 0; i < orbits.count; ++i) {
    const Orbit& orbit = orbits.items[i];
    switch (orbit.size) {
      case 1: blocks(orbit, std::integral_constant<int, 1>{}); break;
      case 2: blocks(orbit, std::integral_constant<int, 2>{}); break;
      default: blocks(orbit, std::integral_constant<int, 4>{}); break;
    }
  }
}

}  // namespace PSINN_NAMESPACE
