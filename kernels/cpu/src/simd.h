// One vector register of T, in GCC/Clang vector extensions: the same source serves every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(PSINN_AVX512)
#define PSINN_NAMESPACE psinn_avx512
#define PSINN_VECTOR_BYTES 64
#elif defined(PSINN_AVX2)
#define PSINN_NAMESPACE psinn_avx2
#define PSINN_VECTOR_BYTES 32
#else
#define PSINN_NAMESPACE psinn_baseline
#define PSINN_VECTOR_BYTES 16
#endif

#define PSINN_INLINE inline __attribute__((always_inline))
#define PSINN_LAMBDA __attribute__((always_inline))
#define PSINN_UNROLL _Pragma("GCC unroll 16")
// Of channels known at compile time: where these loops stay loops, nothing is kept in registers.
#define PSINN_UNROLL_CHANNELS _Pragma("GCC unroll 64")

// Everything that is compiled once per instruction set lives in a namespace of its own: a function that two
// translation units share would be merged by the linker, and the merged one might use instructions the machine lacks.
namespace PSINN_NAMESPACE {

template <class T>
struct Lane;
template <>
struct Lane<float> {
  typedef float Vec __attribute__((vector_size(PSINN_VECTOR_BYTES)));
  typedef int32_t Int __attribute__((vector_size(PSINN_VECTOR_BYTES)));
};
template <>
struct Lane<double> {
  typedef double Vec __attribute__((vector_size(PSINN_VECTOR_BYTES)));
  typedef int64_t Int __attribute__((vector_size(PSINN_VECTOR_BYTES)));
};

template <class T>
using Vec = typename Lane<T>::Vec;
template <class T>
using Int = typename Lane<T>::Int;
template <class T>
constexpr int LANES = PSINN_VECTOR_BYTES / static_cast<int>(sizeof(T));

// Buffers are aligned to vectors; a plain pointer cast keeps the compiler's aligned loads.
template <class T>
PSINN_INLINE Vec<T> load(const T* p) {
  return *reinterpret_cast<const Vec<T>*>(p);
}
template <class T>
PSINN_INLINE void store(T* p, Vec<T> v) {
  *reinterpret_cast<Vec<T>*>(p) = v;
}
template <class T>
PSINN_INLINE Vec<T> broadcast(T value) {
  return value - Vec<T>{};
}

// Keeps the compiler from reading memory again for each use: two loads a cycle are all there are. With 32 registers it
// has room for what is used again.
template <class T>
PSINN_INLINE void keep_in_register([[maybe_unused]] Vec<T>& v) {
#if defined(PSINN_X86) && !defined(PSINN_AVX512)
  asm("" : "+x"(v));
#endif
}

// action(i) for i = first..last - 1, each a constant that its type tells.
namespace detail {
template <int first, class Action, int... I>
PSINN_INLINE void each(const Action& action, std::integer_sequence<int, I...>) {
  (action(std::integral_constant<int, first + I>{}), ...);
}
}  // namespace detail
template <int first, int last, class Action>
PSINN_INLINE void each(const Action& action) {
  if constexpr (last > first) detail::each<first>(action, std::make_integer_sequence<int, last - first>{});
}

// mask ? a : b, lane by lane; mask is all ones or all zeros.
template <class T>
PSINN_INLINE Vec<T> select(Int<T> mask, Vec<T> a, Vec<T> b) {
  return reinterpret_cast<Vec<T>>((reinterpret_cast<Int<T>>(a) & mask) | (reinterpret_cast<Int<T>>(b) & ~mask));
}

// Lanes by compile-time numbers: 0.. from a, LANES.. from b.
template <class T, int... I>
PSINN_INLINE Vec<T> pick(Vec<T> a, Vec<T> b, std::integer_sequence<int, I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, I...);
#else
  return __builtin_shuffle(a, b, Int<T>{I...});
#endif
}

namespace detail {
template <int stride, int lanes, int... L>
constexpr auto keep(std::integer_sequence<int, L...>) {
  return std::integer_sequence<int, ((L & stride) ? lanes + L : L)...>{};
}
template <int stride, int lanes, int... L>
constexpr auto swap(std::integer_sequence<int, L...>) {
  return std::integer_sequence<int, ((L & stride) ? lanes + L - stride : L + stride)...>{};
}

template <class T, int stride>
PSINN_INLINE void fold(Vec<T>* v) {
  constexpr int lanes = LANES<T>;
  if constexpr (stride > 0) {
    using Count = std::make_integer_sequence<int, lanes>;
    PSINN_UNROLL
    for (int i = 0; i < stride; ++i) {
      Vec<T> a = v[i], b = v[i + stride];
      v[i] = pick<T>(a, b, keep<stride, lanes>(Count{})) + pick<T>(a, b, swap<stride, lanes>(Count{}));
    }
    fold<T, stride / 2>(v);
  }
}
}  // namespace detail

// Lane l of the result is the sum over all lanes of v[l]: a blend and a shuffle per addition. Destroys v[0..LANES).
template <class T>
PSINN_INLINE Vec<T> sums(Vec<T>* v) {
  detail::fold<T, LANES<T> / 2>(v);
  return v[0];
}

// Pairs (a0 b0 a1 b1 ...), not necessarily aligned, into (a0 a1 ...) and (b0 b1 ...).
namespace detail {
template <int odd, int... I>
constexpr auto every_second(std::integer_sequence<int, I...>) {
  return std::integer_sequence<int, (2 * I + odd)...>{};
}
}  // namespace detail
template <class T>
PSINN_INLINE void split_pairs(const T* pairs, T* first, T* second) {
  constexpr int lanes = LANES<T>;
  using Count = std::make_integer_sequence<int, lanes>;
  Vec<T> low, high;
  std::memcpy(&low, pairs, sizeof(low));
  std::memcpy(&high, pairs + lanes, sizeof(high));
  store<T>(first, pick<T>(low, high, detail::every_second<0>(Count{})));
  store<T>(second, pick<T>(low, high, detail::every_second<1>(Count{})));
}

// Sum of all lanes in a fixed order.
template <class T>
PSINN_INLINE T total(Vec<T> v) {
  T lane[LANES<T>];
  std::memcpy(lane, &v, sizeof(v));
  for (int stride = LANES<T> / 2; stride > 0; stride /= 2)
    for (int l = 0; l < stride; ++l) lane[l] += lane[l + stride];
  return lane[0];
}

}  // namespace PSINN_NAMESPACE
