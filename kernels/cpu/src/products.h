// The three matrix products of a layer on one panel: Z = W X, X_bar = W^T Y, W_bar += Y X^T.
//
// A panel holds `width` vectors for each feature: channels times points. Forward and backward share one kernel, which
// keeps a block of outputs in registers; W_bar keeps 4 x 4 entries, summed over all vectors of a tile before the lanes.
#pragma once

#include "engine.h"
#include "simd.h"

namespace PSINN_NAMESPACE {

using psinn::Index;

#if defined(PSINN_AVX512)
constexpr int BLOCK_VECTORS = 4;  // 6 x 4 of 32 registers
#else
constexpr int BLOCK_VECTORS = 2;  // 6 x 2 of 16
#endif

// z[r, :] (+)= sum_k w[k, r] x[k, :] for ROWS outputs and VECTORS vectors; rows lie `stride` numbers apart.
template <class T, int ROWS, int VECTORS, bool ACCUMULATE>
PSINN_INLINE void product_block(int depth, const T* w, const T* x, Index stride, T* z) {
  constexpr int L = LANES<T>;
  Vec<T> sum[ROWS][VECTORS];
  PSINN_UNROLL
  for (int r = 0; r < ROWS; ++r) PSINN_UNROLL
    for (int v = 0; v < VECTORS; ++v) sum[r][v] = ACCUMULATE ? load<T>(z + r * stride + v * L) : Vec<T>{};
  for (int k = 0; k < depth; ++k, w += ROWS, x += stride) {
    Vec<T> xs[VECTORS];
    PSINN_UNROLL
    for (int v = 0; v < VECTORS; ++v) xs[v] = load<T>(x + v * L);
    PSINN_UNROLL
    for (int r = 0; r < ROWS; ++r) PSINN_UNROLL
      for (int v = 0; v < VECTORS; ++v) sum[r][v] += w[r] * xs[v];
  }
  PSINN_UNROLL
  for (int r = 0; r < ROWS; ++r) PSINN_UNROLL
    for (int v = 0; v < VECTORS; ++v) store<T>(z + r * stride + v * L, sum[r][v]);
}

// The same for rows of `width` vectors, up to BLOCK_VECTORS at a time. WIDTH: the width if known, which makes all addresses
// constants, or 0.
template <class T, int ROWS, int WIDTH, bool ACCUMULATE>
void product_rows(int depth, const T* w, const T* x, int width, T* z) {
  constexpr int L = LANES<T>;
  if constexpr (WIDTH > 0) width = WIDTH;
  const Index stride = static_cast<Index>(width) * L;
  const int n_chunks = (width + BLOCK_VECTORS - 1) / BLOCK_VECTORS;
  PSINN_UNROLL
  for (int chunk = 0, v = 0; chunk < n_chunks; ++chunk) {
    const int next = psinn::block_end(width, chunk, n_chunks);
    const T* xv = x + v * L;
    T* zv = z + v * L;
    switch (next - v) {
      case 1: product_block<T, ROWS, 1, ACCUMULATE>(depth, w, xv, stride, zv); break;
      case 2: product_block<T, ROWS, 2, ACCUMULATE>(depth, w, xv, stride, zv); break;
#if defined(PSINN_AVX512)
      case 3: product_block<T, ROWS, 3, ACCUMULATE>(depth, w, xv, stride, zv); break;
      default: product_block<T, ROWS, 4, ACCUMULATE>(depth, w, xv, stride, zv); break;
#endif
    }
    v = next;
  }
}

template <class T, int WIDTH, bool ACCUMULATE>
PSINN_INLINE void product_of(int rows, int depth, const T* w, const T* x, int width, T* z) {
#define PSINN_ROWS(r) product_rows<T, r, WIDTH, ACCUMULATE>
  static constexpr void (*table[psinn::BLOCK_ROWS])(int, const T*, const T*, int, T*) = {
      PSINN_ROWS(1), PSINN_ROWS(2), PSINN_ROWS(3), PSINN_ROWS(4), PSINN_ROWS(5), PSINN_ROWS(6)};
#undef PSINN_ROWS
  const Index stride = static_cast<Index>(width) * LANES<T>;
  const int n_blocks = psinn::row_blocks(rows);
  for (int block = 0, row = 0; block < n_blocks; ++block) {
    const int next = psinn::block_end(rows, block, n_blocks);
    table[next - row - 1](depth, w + static_cast<Index>(row) * depth, x, width, z + row * stride);
    row = next;
  }
}

// Z (+)= W X on a panel; w: packed W (rows x depth), x and z: the panel's rows, `width` vectors each.
template <class T>
inline void product(int rows, int depth, const T* w, const T* x, int width, T* z, bool accumulate) {
  const auto with_width = [&](auto known) {
    constexpr int WIDTH = decltype(known)::value;
    if (accumulate)
      product_of<T, WIDTH, true>(rows, depth, w, x, width, z);
    else
      product_of<T, WIDTH, false>(rows, depth, w, x, width, z);
  };
  switch (width) {
    case 1: with_width(std::integral_constant<int, 1>{}); break;
    case 4: with_width(std::integral_constant<int, 4>{}); break;
    default: with_width(std::integral_constant<int, 0>{}); break;
  }
}

// Where the panels of one tile lie: `count` panels, `step` numbers apart.
template <class T>
struct Panels {
  const T* data;
  Index step;
};

// g[4 * i + j] += sum over panels and vectors of y[i] x[j], all lanes; 16 numbers, rows of 4.
// WIDTH: vectors per row if known. RESIDENT: g holds vectors, whose lanes are summed only at the end of all tiles: for
// layers so small that these sums stay in the first-level cache.
template <class T, int ROWS, int COLUMNS, int WIDTH, bool RESIDENT>
void gradient_block(Panels<T> y, Panels<T> x, int count, int width, T* g) {
  if constexpr (WIDTH > 0) width = WIDTH;
  constexpr int L = LANES<T>, side = psinn::GRADIENT_SIDE;
  // Two columns at a time where 16 registers do not hold 4 x 4 sums.
  constexpr int strip = BLOCK_VECTORS == 4 ? COLUMNS : (COLUMNS < 2 ? COLUMNS : 2);
  const Index stride = static_cast<Index>(width) * L;
  PSINN_UNROLL
  for (int c0 = 0; c0 < COLUMNS; c0 += strip) {
    Vec<T> sum[ROWS][strip];
    PSINN_UNROLL
    for (int i = 0; i < ROWS; ++i) PSINN_UNROLL
      for (int j = 0; j < strip; ++j)
        sum[i][j] = RESIDENT && c0 + j < COLUMNS ? load<T>(g + (i * side + c0 + j) * L) : Vec<T>{};
    for (int p = 0; p < count; ++p) {
      const T* yp = y.data + p * y.step;
      const T* xp = x.data + p * x.step + c0 * stride;
      for (int v = 0; v < width; ++v, yp += L, xp += L) {
        Vec<T> xs[strip];
        PSINN_UNROLL
        for (int j = 0; j < strip; ++j) xs[j] = load<T>(xp + (c0 + j < COLUMNS ? j : 0) * stride);
        PSINN_UNROLL
        for (int i = 0; i < ROWS; ++i) {
          Vec<T> yi = load<T>(yp + i * stride);
          keep_in_register<T>(yi);
          PSINN_UNROLL
          for (int j = 0; j < strip; ++j) sum[i][j] += yi * xs[j];
        }
      }
    }
    if constexpr (RESIDENT) {
      PSINN_UNROLL
      for (int i = 0; i < ROWS; ++i) PSINN_UNROLL
        for (int j = 0; j < strip; ++j)
          if (c0 + j < COLUMNS) store<T>(g + (i * side + c0 + j) * L, sum[i][j]);
      continue;
    }
    // Sums over lanes, LANES entries at a time: entry i * across + j.
    constexpr int across = BLOCK_VECTORS == 4 ? side : 2, entries = side * across;
    Vec<T> all[entries > L ? entries : L];
    PSINN_UNROLL
    for (int k = 0; k < (entries > L ? entries : L); ++k) {
      const int i = k / across, j = k % across;
      all[k] = i < ROWS && j < strip && c0 + j < COLUMNS ? sum[i < ROWS ? i : 0][j < strip ? j : 0] : Vec<T>{};
    }
    PSINN_UNROLL
    for (int k = 0; k < entries; k += L) {
      const Vec<T> total = sums<T>(all + k);
      if constexpr (across == side) {
        store<T>(g + k, load<T>(g + k) + total);
      } else {
        alignas(64) T lanes[L];
        store<T>(lanes, total);
        PSINN_UNROLL
        for (int l = 0; l < L; ++l) g[(k + l) / across * side + c0 + (k + l) % across] += lanes[l];
      }
    }
  }
}

template <class T>
using GradientFunction = void (*)(Panels<T>, Panels<T>, int, int, T*);

template <class T, int WIDTH, bool RESIDENT>
PSINN_INLINE GradientFunction<T> gradient_function(int rows, int columns) {
#define PSINN_BLOCK(r, c) gradient_block<T, r, c, WIDTH, RESIDENT>
#define PSINN_ROW(r) {PSINN_BLOCK(r, 1), PSINN_BLOCK(r, 2), PSINN_BLOCK(r, 3), PSINN_BLOCK(r, 4)}
  static constexpr GradientFunction<T> table[4][4] = {PSINN_ROW(1), PSINN_ROW(2), PSINN_ROW(3), PSINN_ROW(4)};
#undef PSINN_ROW
#undef PSINN_BLOCK
  return table[rows - 1][columns - 1];
}

// W_bar += Y X^T for one product; y and x point at its first rows; g: blocks of 16, row of blocks after row of blocks,
// numbers or (RESIDENT) vectors.
template <class T, bool RESIDENT>
inline void gradient(int n_out, int n_in, Panels<T> y, Panels<T> x, int count, int width, T* g) {
  constexpr int side = psinn::GRADIENT_SIDE;
  const Index stride = static_cast<Index>(width) * LANES<T>;
  const int n_columns = (n_in + side - 1) / side, n_rows = (n_out + side - 1) / side;
  // A strip of columns is read once per block row: it should stay in the first-level cache.
  const Index strip_bytes = static_cast<Index>(side) * count * stride * sizeof(T);
  const int strip = static_cast<int>(strip_bytes * 6 > 24576 ? (24576 / strip_bytes > 1 ? 24576 / strip_bytes : 1) : 6);
  for (int first = 0; first < n_columns; first += strip)
    for (int bi = 0; bi < n_rows; ++bi)
      for (int bj = first; bj < n_columns && bj < first + strip; ++bj) {
        const int i = bi * side, j = bj * side;
        const int rows = n_out - i < side ? n_out - i : side, columns = n_in - j < side ? n_in - j : side;
        const auto block = width == 4   ? gradient_function<T, 4, RESIDENT>(rows, columns)
                           : width == 1 ? gradient_function<T, 1, RESIDENT>(rows, columns)
                                        : gradient_function<T, 0, RESIDENT>(rows, columns);
        block(Panels<T>{y.data + i * stride, y.step}, Panels<T>{x.data + j * stride, x.step}, count, width,
              g + (static_cast<Index>(bi) * n_columns + bj) * psinn::GRADIENT_BLOCK * (RESIDENT ? LANES<T> : 1));
      }
}

}  // namespace PSINN_NAMESPACE
