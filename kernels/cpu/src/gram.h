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
// Rows of J at a time: two strips of so few fit the first-level cache. Of a large matrix, which memory delivers and takes
// again with each, they are more.
constexpr Index SHALLOW = 128, DEEP = 256, LARGE_GRAM = 1500;
PSINN_INLINE Index strip_depth(Index n) { return n < LARGE_GRAM ? SHALLOW : DEEP; }

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
  return gram_strips<T>(n) * strip_depth(n) * STRIP<T> * static_cast<Index>(sizeof(T));
}

// Columns of J, then r, then zeros, strip by strip: [strip][row][column], ``panel`` numbers a strip.
template <class T>
void pack_strips(const T* jacobian, const T* r, Index depth, Index n, Index strips, Index panel, T* packed) {
  constexpr int W = STRIP<T>;
  for (Index s = 0; s < strips; ++s) {
    T* to = packed + s * panel;
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

// Rows of out that are changed next, on their way while they are computed.
template <class S>
PSINN_INLINE void fetch(const S* to, Index stride, Index rows, Index count) {
  constexpr Index LINE = 64 / static_cast<Index>(sizeof(S));
  for (Index row = 0; row < rows; ++row)
    for (Index c = 0; c < count; c += LINE) __builtin_prefetch(to + row * stride + c, 1);
}

// Blocks [first, last) of the lower triangle, counted row by row, of out (n + 1, n + 1): products in T, of up to DEEP rows
// summed in T, those in S. Every entry is summed over the rows in their order, whichever thread does it.
template <class T, class S>
void gram(const T* jacobian, const T* r, Index rows, Index n, S* out, Index first, Index last, void* workspace) {
  constexpr int W = STRIP<T>;
  static_assert(W % STRIP_ROWS == 0, "a block is a whole number of row groups");
  const Index most = strip_depth(n), panel = most * W;
  T* packed = static_cast<T*>(workspace);
  Index begin = 0;
  while ((begin + 1) * (begin + 2) / 2 <= first) ++begin;
  Index end = begin;
  while (end * (end + 1) / 2 < last) ++end;
  alignas(64) T block[STRIP_ROWS * W];
  for (Index start = 0; start < rows; start += most) {
    const Index depth = rows - start < most ? rows - start : most;
    pack_strips(jacobian + start * n, r + start, depth, n, end, panel, packed);
    Index number = first;
    for (Index i = begin; i < end; ++i)
      for (Index j = number - i * (i + 1) / 2; j <= i && number < last; ++j, ++number)
        for (Index group = 0; group < W && i * W + group <= n; group += STRIP_ROWS) {
          S* to = out + (i * W + group) * (n + 1) + j * W;
          const Index count = n + 1 - j * W < W ? n + 1 - j * W : W, left = n + 1 - i * W - group;
          const Index own = left < STRIP_ROWS ? left : STRIP_ROWS;
          fetch(to, n + 1, own, count);
          strip_rows(packed + i * panel + group, packed + j * panel, depth, block);
          for (Index row = 0; row < own; ++row, to += n + 1)
            for (Index c = 0; c < count; ++c) to[c] += static_cast<S>(block[row * W + c]);
        }
  }
}

}  // namespace PSINN_NAMESPACE
