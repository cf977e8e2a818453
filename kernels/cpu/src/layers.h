// Activations of whole layers, and the first layer, on the rows of one panel: orbits are mixed, activations computed for
// many neurons together, and what depends on the channels is done by the set's stages.
#pragma once

#include "stages.h"

namespace PSINN_NAMESPACE {

// How many vectors of memory (AnyRule::block) that takes: planes of any_activation.h, and outputs of which operands are sums.
constexpr int OUTPUTS = 16;
static_assert(OUTPUTS >= 2 * block_neurons(2) && OUTPUTS >= 4 * block_neurons(4), "the outputs of a block's orbits");
inline Index block_vectors(const Rules& rules) {
  const int n = rules.n_channels;
  return static_cast<Index>(PLANES * BLOCK + OUTPUTS) * n * points_per_panel(n);
}

// The steps of one layer. z: slots, left as the pre-activations of the orbits' neurons in the order of their slots, with what is
// kept in place of the value, and in `kept` if that is more than a number. `operands`: of the next layer.
template <class T>
struct LayerSteps {
  static constexpr int L = LANES<T>, MOST_FORMS = points_per_panel(1) * BLOCK * (MOST_ORDER + 2);
  const Stages<T>& stages;
  const AnyRule& rule;
  const Orbits& orbits;
  psinn::Activation kind = orbits.activation;
  Index n = rule.channels(), first = rule.first(), sub = rule.sub();
  Index row = n * sub, out_row = (n - first) * sub, more = psinn::N_KEPT[static_cast<int>(kind)] - 1;
  T* memory = static_cast<T*>(rule.block) + PLANES * BLOCK * row * L;
  bool inlined = kind == psinn::Activation::tanh || (kind == psinn::Activation::sin && stages.is_fixed);

  // h = a(z + bias), mixed into `operands`.
  void forward(T* z, const T* bias, T* kept, T* operands) const {
    const int order = inlined ? -1 : rule.order();
    for_repeats<T>(orbits, inlined, [&](const auto& repeats, auto size) {
      constexpr int SIZE = decltype(size)::value;
      const Orbit& orbit = repeats.orbit;
      repeats.mix_rows(orbit.mixing, orbit.slot, row, z);
      Vec<T> forms[MOST_FORMS];
      for (int j = 0; j < SIZE; ++j) {
        const Index number = orbit.neuron[j] + repeats.k;
        T* own = z + (orbit.slot[j] + repeats.k) * row * L;
        for (Index s = 0; s < sub; ++s)
          forms_forward<T>(kind, order, repeats.count, {vectors<T>(own) + s, row}, bias ? bias + number : nullptr,
                           rest(kept, number, s), {forms + s * BLOCK * (order + 1), order + 1});
        T* h = repeats.outputs(j, out_row, operands, memory);
        stages.jets_forward(rule, {kind, repeats.count, number, own, kept, h, nullptr, forms, nullptr, nullptr});
      }
      repeats.to_operands(out_row, memory, operands);
    });
  }

  // From the adjoints of the operands, which are destroyed, to those of the slots, which replace z; bias_bar[neuron] += z_bar of
  // the value, lane by lane. value_bar, if not null: that z_bar for each point, neuron after neuron. `outputs`: the operands, if
  // they are still there.
  void adjoint(T* z, T* kept, const T* outputs, T* operands_bar, T* bias_bar, T* value_bar) const {
    const int order = rule.order() + 1;
    for_repeats<T>(orbits, inlined, [&](const auto& repeats, auto size) {
      constexpr int SIZE = decltype(size)::value;
      const Orbit& orbit = repeats.orbit;
      repeats.to_outputs(out_row, operands_bar, memory);
      Vec<T> forms[MOST_FORMS];
      for (int j = 0; j < SIZE; ++j) {
        const Index number = orbit.neuron[j] + repeats.k;
        T* own = z + (orbit.slot[j] + repeats.k) * row * L;
        for (Index s = 0; s < sub && !inlined; ++s) {
          const Places<Vec<T>> kept_rest = rest(kept, number, s);
          forms_backward<T>(kind, order, repeats.count, {vectors<T>(own) + s, row}, {kept_rest.start, kept_rest.step},
                            {forms + s * BLOCK * (order + 1), order + 1});
        }
        T* h_bar = repeats.outputs(j, out_row, operands_bar, memory);
        const T* h = outputs && is_direct(orbit) ? repeats.outputs(j, out_row, const_cast<T*>(outputs), memory) : nullptr;
        stages.jets_adjoint(rule, {kind, repeats.count, number, own, kept, h_bar, h, forms, bias_bar, value_bar});
      }
      repeats.mix_rows(orbit.mixing, orbit.slot, row, z);
    });
  }

  // The first layer, from x: (d, sub) vectors. t: (width, sub), what is kept for the adjoint, and behind that (width, sub, n) if it
  // is n numbers more.
  void first_forward(const Network<T>& net, const T* w, const T* powers, const T* x, T* t, T* operands) const {
    // Rules for any channels, and a first layer that is all of the network, read forms.
    const bool all = stages.is_fixed && inlined;
    const int order = all ? -1 : rule.order();
    for_repeats<T>(orbits, all, [&](const auto& repeats, auto size) {
      constexpr int SIZE = decltype(size)::value;
      Vec<T> forms[MOST_FORMS];
      for (int j = 0; j < SIZE; ++j) {
        const int number = repeats.orbit.neuron[j] + repeats.k;
        for (int s = 0; s < sub; ++s)
          first_forms<T>(net, order, number, repeats.count, s, static_cast<int>(sub), w, x, t,
                         {forms + s * BLOCK * (order + 1), order + 1});
        T* h = repeats.outputs(j, out_row, operands, memory);
        stages.first_rows(rule, powers, {kind, repeats.count, number, t + number * sub * L, t + net.width0 * sub * L, h, nullptr,
                                         forms, nullptr, nullptr});
      }
      repeats.to_operands(out_row, memory, operands);
    });
  }

 private:
  Places<Vec<T>> rest(T* kept, Index number, Index s) const {
    return {vectors<T>(kept) + (number * sub + s) * more, sub * more};
  }
};

}  // namespace PSINN_NAMESPACE
