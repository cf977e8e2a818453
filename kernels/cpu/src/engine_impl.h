// The table of one instruction set and type of numbers. Included by engine_baseline.cpp, engine_avx2.cpp and
// engine_avx512.cpp, each of which is compiled with PSINN_NUMBER float and double (setup.py).
#pragma once

#include <chrono>

#include "gram.h"
#include "operations.h"

namespace PSINN_NAMESPACE {

template <class T>
int tile_points(const psinn::Network<T>& net, const Term<T>& term) {
  const Layout at = make_layout(net, term, Mode::loss, 0);
  return at.panels * at.sub * LANES<T>;
}

template <class T>
Index workspace(const psinn::Network<T>& net, const Term<T>& term, Mode mode, Index jacobian_columns) {
  return make_layout(net, term, mode, jacobian_columns).numbers * static_cast<Index>(sizeof(T));
}

template <class T>
void run(const psinn::Network<T>& net, const Term<T>& term, const T* packed, const T* w, Index first, Index last,
         void* memory, const Output<T>& output, const Sums& sums, bool begin_step, bool end_step) {
  const Layout at = make_layout(net, term, output.mode, output.jacobian_columns);
  Range<T>(net, term, at, packed, w, static_cast<T*>(memory), output, sums).run(first, last, begin_step, end_step);
}

template <class T>
void tanh_of(const T* x, T* y, Index n) {
  constexpr int L = LANES<T>;
  for (Index i = 0; i < n; i += L) {
    alignas(64) T lanes[L] = {};
    const Index count = n - i < L ? n - i : L;
    for (Index l = 0; l < count; ++l) lanes[l] = x[i + l];
    store<T>(lanes, tanh<T>(load<T>(lanes)));
    for (Index l = 0; l < count; ++l) y[i + l] = lanes[l];
  }
}

// Independent multiply-adds on registers alone: what no program can exceed.
template <class T>
double peak(double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr int chains = 12, repeats = 20000;
  Vec<T> sum[chains];
  for (int k = 0; k < chains; ++k) sum[k] = broadcast<T>(T(k));
  Vec<T> a = broadcast<T>(T(0.999)), b = broadcast<T>(T(0.001));
  double best = 0;
  const auto begin = Clock::now();
  while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds) {
    const auto start = Clock::now();
    for (int i = 0; i < repeats; ++i) {
      PSINN_UNROLL
      for (int k = 0; k < chains; ++k) sum[k] = sum[k] * a + b;
      asm volatile("" : "+x"(a), "+x"(b));  // the loop must stay a loop
    }
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    const double rate = static_cast<double>(chains) * repeats * LANES<T> / elapsed;
    if (rate > best) best = rate;
  }
  for (int k = 1; k < chains; ++k) sum[0] += sum[k];
  volatile T sink = total<T>(sum[0]);
  static_cast<void>(sink);
  return best;
}

template <class T>
constexpr psinn::Engine<T> table() {
  return {LANES<T>,       tile_points<T>,    workspace<T>, run<T>,          tanh_of<T>,
          gram_blocks<T>, gram_workspace<T>, gram<T, T>,   gram<T, double>, peak<T>};
}

#define PSINN_JOIN(a, b) a##b
#define PSINN_NAME(number) PSINN_JOIN(engine_, number)
const psinn::Engine<PSINN_NUMBER>& PSINN_NAME(PSINN_NUMBER)() {
  static constexpr psinn::Engine<PSINN_NUMBER> engine = table<PSINN_NUMBER>();
  return engine;
}

}  // namespace PSINN_NAMESPACE
