// Sparse linear maps of features, small dense groups at a time: `pre` and `post` of a layer where no orbit takes them over.
#pragma once

#include "products.h"

namespace PSINN_NAMESPACE {

using psinn::Transform;

template <class T, int INPUTS, int OUTPUTS, int VECTORS>
PSINN_INLINE void transform_group(const psinn::Group<T>& group, Index stride, const T* in, T* out) {
  constexpr int L = LANES<T>;
  const T* from[INPUTS];
  T* to[OUTPUTS];
  Vec<T> c[OUTPUTS][INPUTS];
  PSINN_UNROLL
  for (int k = 0; k < INPUTS; ++k) from[k] = in + group.in[k] * stride;
  PSINN_UNROLL
  for (int r = 0; r < OUTPUTS; ++r) {
    to[r] = out + group.out[r] * stride;
    PSINN_UNROLL
    for (int k = 0; k < INPUTS; ++k) c[r][k] = broadcast<T>(group.coefficient[r * INPUTS + k]);
  }
  for (int repeat = 0; repeat < group.repeat; ++repeat) {
    PSINN_UNROLL
    for (int v = 0; v < VECTORS; ++v) {
      Vec<T> x[INPUTS];
      PSINN_UNROLL
      for (int k = 0; k < INPUTS; ++k) x[k] = load<T>(from[k] + v * L);
      PSINN_UNROLL
      for (int r = 0; r < OUTPUTS; ++r) {
        Vec<T> sum = c[r][0] * x[0];
        PSINN_UNROLL
        for (int k = 1; k < INPUTS; ++k) sum += c[r][k] * x[k];
        store<T>(to[r] + v * L, sum);
      }
    }
    PSINN_UNROLL
    for (int k = 0; k < INPUTS; ++k) from[k] += stride;
    PSINN_UNROLL
    for (int r = 0; r < OUTPUTS; ++r) to[r] += stride;
  }
}

// Singles, pairs and quadruples, the transforms of Z2 and Z2 x Z2, in registers; other groups row by row.
template <class T, int VECTORS>
PSINN_INLINE void transform_vectors(const psinn::Group<T>& group, Index stride, const T* in, T* out) {
  constexpr int L = LANES<T>;
  switch (8 * group.n_in + group.n_out) {
    case 8 * 2 + 2: return transform_group<T, 2, 2, VECTORS>(group, stride, in, out);
    case 8 * 2 + 1: return transform_group<T, 2, 1, VECTORS>(group, stride, in, out);
    case 8 * 1 + 2: return transform_group<T, 1, 2, VECTORS>(group, stride, in, out);
    case 8 * 1 + 1: return transform_group<T, 1, 1, VECTORS>(group, stride, in, out);
    case 8 * 4 + 4: return transform_group<T, 4, 4, VECTORS>(group, stride, in, out);
    case 8 * 4 + 1: return transform_group<T, 4, 1, VECTORS>(group, stride, in, out);
    case 8 * 1 + 4: return transform_group<T, 1, 4, VECTORS>(group, stride, in, out);
  }
  for (int repeat = 0; repeat < group.repeat; ++repeat, in += stride, out += stride)
    for (int r = 0; r < group.n_out; ++r)
      for (int v = 0; v < VECTORS; ++v) {
        Vec<T> sum{};
        for (int k = 0; k < group.n_in; ++k)
          sum += group.coefficient[r * group.n_in + k] * load<T>(in + group.in[k] * stride + v * L);
        store<T>(out + group.out[r] * stride + v * L, sum);
      }
}

// out = M in for rows of `width` vectors; groups cover all rows of out.
template <class T>
void transform(const Transform<T>& map, int width, const T* in, T* out) {
  constexpr int L = LANES<T>;
  const Index stride = static_cast<Index>(width) * L;
  for (int g = 0; g < map.n_groups; ++g) {
    const psinn::Group<T>& group = map.groups[g];
    for (int v = 0; v < width; v += BLOCK_VECTORS) {
      if (width - v >= BLOCK_VECTORS)
        transform_vectors<T, BLOCK_VECTORS>(group, stride, in + v * L, out + v * L);
      else
        for (int rest = v; rest < width; ++rest) transform_vectors<T, 1>(group, stride, in + rest * L, out + rest * L);
    }
  }
}

}  // namespace PSINN_NAMESPACE
