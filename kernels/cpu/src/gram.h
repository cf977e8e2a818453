// [J r]^T [J r], lower triangle, added to what is there: the normal equations of Gauss-Newton.
#pragma once

#include "engine.h"
#include "simd.h"

namespace PSINN_NAMESPACE {

using psinn::Index;

// A strip is this many columns of [J r], three vectors; a block is the product of two strips. ROWS of its rows stay in
// registers at a time: 3 ROWS sums, three vectors and a broadcast fill most of them.
template <class T>
constexpr int STRIP = 3 * LANES<T>;
#if defined(PSINN_AVX512)
constexpr int STRIP_ROWS = 8;
#elif defined(PSINN_AVX2)
constexpr int STRIP_ROWS = 4;
#else
constexpr int STRIP_ROWS = 3;
#endif
// Rows of J at a time: two strips of them fit the first-level cache.
constexpr Index STRIP_DEPTH = 128;

// Strips of n columns and r.
template <class T>
Index gram_strips(Index n) {
  return (n + STRIP<T>) / STRIP<T>;
}

template <class T>
Index gram_blocks(Index n) {
  return gram_strips<T>(n) * (gram_strips<T>(n) + 1) / 2;
}

template <class T>
Index gram_workspace(Index n) {
  return gram_strips<T>(n) * STRIP_DEPTH * STRIP<T> * static_cast<Index>(sizeof(T));
}

// Columns of J, then r, then zeros, strip by strip: [strip][row][column].
template <class T>
void pack_strips(const T* jacobian, const T* r, Index depth, Index n, Index strips, T* packed) {
  constexpr int W = STRIP<T>;
  for (Index s = 0; s < strips; ++s) {
    T* to = packed + s * STRIP_DEPTH * W;
    const Index first = s * W, from_jacobian = n - first < W ? n - first : W;
    for (Index k = 0; k < depth; ++k, to += W) {
      const T* from = jacobian + k * n + first;
      for (Index c = 0; c < from_jacobian; ++c) to[c] = from[c];
      for (Index c = from_jacobian; c < W; ++c) to[c] = first + c == n ? r[k] : T(0);
    }
  }
}

// ROWS rows of a block, a^T b, into out (aligned, STRIP a row).
template <class T>
PSINN_INLINE void strip_rows(const T* a, const T* b, Index depth, T* out) {
  constexpr int W = STRIP<T>, L = LANES<T>;
  Vec<T> sum[STRIP_ROWS][3] = {};
  for (Index k = 0; k < depth; ++k, a += W, b += W) {
    Vec<T> right[3] = {load<T>(b), load<T>(b + L), load<T>(b + 2 * L)};
    PSINN_UNROLL
    for (int v = 0; v < 3; ++v) keep_in_register<T>(right[v]);
    PSINN_UNROLL
    for (int i = 0; i < STRIP_ROWS; ++i) {
      const Vec<T> left = broadcast<T>(a[i]);
      PSINN_UNROLL
      for (int v = 0; v < 3; ++v) sum[i][v] += left * right[v];
    }
  }
  PSINN_UNROLL
  for (int i = 0; i < STRIP_ROWS; ++i)
    for (int v = 0; v < 3; ++v) store<T>(out + i * W + v * L, sum[i][v]);
}

// Blocks [first, last) of the lower triangle, counted row by row, of out (n + 1, n + 1). Every entry is summed over the
// rows in their order, whichever thread does it.
template <class T>
void gram(const T* jacobian, const T* r, Index rows, Index n, T* out, Index first, Index last, void* workspace) {
  constexpr int W = STRIP<T>;
  static_assert(W % STRIP_ROWS == 0, "a block is a whole number of row groups");
  T* packed = static_cast<T*>(workspace);
  Index begin = 0;
  while ((begin + 1) * (begin + 2) / 2 <= first) ++begin;
  Index end = begin;
  while (end * (end + 1) / 2 < last) ++end;
  alignas(64) T block[STRIP_ROWS * W];
  for (Index start = 0; start < rows; start += STRIP_DEPTH) {
    const Index depth = rows - start < STRIP_DEPTH ? rows - start : STRIP_DEPTH;
    pack_strips(jacobian + start * n, r + start, depth, n, end, packed);
    Index number = first;
    for (Index i = begin; i < end; ++i)
      for (Index j = number - i * (i + 1) / 2; j <= i && number < last; ++j, ++number)
        for (int group = 0; group < W; group += STRIP_ROWS) {
          strip_rows(packed + i * STRIP_DEPTH * W + group, packed + j * STRIP_DEPTH * W, depth, block);
          for (int row = 0; row < STRIP_ROWS && i * W + group + row <= n; ++row) {
            T* to = out + (i * W + group + row) * (n + 1) + j * W;
            const Index count = n + 1 - j * W < W ? n + 1 - j * W : W;
            for (Index c = 0; c < count; ++c) to[c] += block[row * W + c];
          }
        }
  }
}

}  // namespace PSINN_NAMESPACE
