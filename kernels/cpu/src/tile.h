// A tile of points: each panel goes forward, through what the operation asks for, and backward while it sits in the
// first-level cache; then the weights' gradients are summed over all panels. Nothing larger than a tile is ever stored.
//
// A panel is `sub` vectors of points; its rows are features, `channels * sub` vectors each. A term with several sites
// (a periodic condition compares two points) has a panel for each: panel site * panels + p.
#pragma once

#include "joins.h"
#include "products.h"
#include "residual.h"
#include "layers.h"
#include "transforms.h"

namespace PSINN_NAMESPACE {

using psinn::Layer;
using psinn::Mode;
using psinn::Output;
using psinn::Sums;
using psinn::Term;
using psinn::Wiring;

// What one layer behind the first keeps per panel. x: its operands; z: its pre-activation, later the adjoint of its
// slots (in the last layer only that). `width`: vectors per row of both. kept: what is kept of z beside a number in it.
// activated: its activations, where a gated network blends them into the next layer's operands.
struct LayerBuffers {
  Index x, x_step, z, z_step, kept, kept_step, bias_bar, value_bar, activated;
  int width;
};

constexpr int MOST_LAYERS = 64;

// Offsets in a thread's memory, in numbers. Steps are from panel to panel; what has none serves one panel at a time.
struct Layout {
  int sub, panels, first;
  bool resident;  // see gradient_block
  Index x, x_step, x_bar, t, t_step, h_bar, h_step, u, u_step, u_bar, scratch, slots, first_sums, gradient, squares,
      registers, jacobian, block, gates, gates_bar, numbers;
  LayerBuffers layers[MOST_LAYERS];
};

// Gradients up to RESIDENT_BYTES are kept lane by lane. Where registers are half as long, so are these sums, and adding
// the lanes of 16 registers costs as much against half the work.
// *_VECTORS: over which a block of the weights' gradient is summed at once: long enough to make storing it (resident),
// or the sum of its lanes, cheap.
#if defined(PSINN_AVX512)
constexpr Index RESIDENT_BYTES = 1 << 14;
constexpr int RESIDENT_VECTORS = 8, GRADIENT_VECTORS = 24;
#else
constexpr Index RESIDENT_BYTES = 1 << 17;
constexpr int RESIDENT_VECTORS = 24, GRADIENT_VECTORS = 24;
#endif
// A tile should fit the second-level cache.
constexpr Index TILE_BYTES = 1 << 19;

template <class T>
Layout make_layout(const psinn::Network<T>& net, const Term<T>& term, Mode mode, Index jacobian_columns) {
  constexpr Index L = LANES<T>;
  Layout at{};
  const int n = term.rules->n_channels;
  // Where layers are joined, all channels are computed everywhere.
  at.first = net.wiring == Wiring::plain ? served_first(*term.rules, net.n_layers == 1, term.first_channel) : 0;
  at.sub = points_per_panel(n);
  const int width = n * at.sub, out_width = (n - at.first) * at.sub, n_kept = kept_of(net);
  Index per_panel = static_cast<Index>(net.width0) * (width + n_kept * at.sub);
  for (int l = 0; l < net.n_layers - 1; ++l)
    per_panel += static_cast<Index>(net.layers[l].n_operands + net.layers[l].fan_out) * width +
                 static_cast<Index>(net.layers[l].fan_out) * (n_kept - 1) * at.sub;
  at.resident = net.n_gradient * L * static_cast<Index>(sizeof(T)) <= RESIDENT_BYTES;
  const Index wanted = ((at.resident ? RESIDENT_VECTORS : GRADIENT_VECTORS) + width - 1) / width;
  const Index room = TILE_BYTES / (per_panel * L * static_cast<Index>(sizeof(T)) + 1);
  at.panels = static_cast<int>(room < 1 ? 1 : room < wanted ? room : wanted);
  const Index count = static_cast<Index>(at.panels) * term.n_sites;

  Index end = 0;
  const auto take = [&end](Index vectors) {
    const Index start = end;
    end += vectors * L;
    return start;
  };
  const int last = net.n_layers - 2;
  // First of all, where every term of a step has them: what the terms sum up together.
  at.gradient = take(at.resident ? net.n_gradient : (net.n_gradient + L - 1) / L);
  for (int l = 0; l <= last; ++l) at.layers[l].bias_bar = take(net.layers[l].fan_out);
  at.x_step = net.d_in * at.sub * L;
  at.x = take(count * net.d_in * at.sub);
  at.x_bar = take(count * net.d_in * at.sub);
  at.t_step = static_cast<Index>(net.width0) * n_kept * at.sub * L;
  at.t = take(count * at.t_step / L);
  at.h_step = static_cast<Index>(net.width0) * (last <= 0 ? out_width : width) * L;
  at.h_bar = take(count * at.h_step / L);
  for (int l = 0; l <= last; ++l) {
    const Layer<T>& layer = net.layers[l];
    LayerBuffers& own = at.layers[l];
    own.width = l == last ? out_width : width;
    const int rows = layer.fan_out > layer.n_slots ? layer.fan_out : layer.n_slots;
    own.x_step = static_cast<Index>(layer.n_operands) * own.width * L;
    own.x = take(count * layer.n_operands * own.width);
    own.z_step = static_cast<Index>(rows) * own.width * L;
    own.z = take(count * rows * own.width);
    own.kept_step = l == last ? 0 : static_cast<Index>(layer.fan_out) * (n_kept - 1) * at.sub * L;
    own.kept = take(count * own.kept_step / L);
    own.value_bar = mode == Mode::jacobian ? take(static_cast<Index>(term.n_sites) * layer.fan_out * at.sub) : 0;
    own.activated = net.wiring == Wiring::gated ? take(static_cast<Index>(term.n_sites) * layer.fan_out * width) : 0;
  }
  at.u_step = net.d_out * out_width * L;
  at.u = take(static_cast<Index>(term.n_sites) * net.d_out * out_width);
  at.u_bar = take(static_cast<Index>(term.n_sites) * net.d_out * out_width);
  at.scratch = take(static_cast<Index>(net.widest) * width);
  at.slots = take(static_cast<Index>(net.widest) * width);
  at.first_sums = take(static_cast<Index>(net.width0) * first_sums(net.d_in, n));
  at.squares = take(1);
  at.registers = take(term.program ? static_cast<Index>(term.program->n_registers) * at.sub : 0);
  at.jacobian = take(jacobian_columns);
  at.block = take(block_vectors(*term.rules));
  if (net.wiring == Wiring::gated) {
    const Index gates = static_cast<Index>(GATES) * net.layers[last].n_operands * width;
    at.gates = net.embedded ? at.layers[0].activated : take(term.n_sites * gates);
    at.gates_bar = net.embedded ? take(gates) : 0;
  }
  at.numbers = end;
  return at;
}

// The passes through the network. `stages` of a hidden layer; of the last one, which may leave out the channels that no
// residual reads, `last_stages`. q: a panel.
template <class T>
struct Tile {
  static constexpr int L = LANES<T>;
  const Stages<T>&stages, &last_stages;
  const AnyRule rule, last_rule;
  const psinn::Network<T>& net;
  const Term<T>& term;
  const Layout& at;
  const T* packed;
  const T* w;
  T* memory;
  psinn::Counters* counters;

  T* x(int q) const { return memory + at.x + q * at.x_step; }
  T* x_bar(int q) const { return memory + at.x_bar + q * at.x_step; }
  T* t(int q) const { return memory + at.t + q * at.t_step; }
  T* h_bar(int q) const { return memory + at.h_bar + q * at.h_step; }
  T* u(int q) const { return memory + at.u + q / at.panels * at.u_step; }
  // Where the adjoint of the output is to be put.
  T* u_bar(int q) const {
    const int last = net.n_layers - 2;
    if (last < 0) return h_bar(q);
    return net.layers[last].post.n_groups ? memory + at.u_bar + q / at.panels * at.u_step : z(last, q);
  }
  T* operands(int l, int q) const { return memory + at.layers[l].x + q * at.layers[l].x_step; }
  T* z(int l, int q) const { return memory + at.layers[l].z + q * at.layers[l].z_step; }
  T* kept(int l, int q) const { return memory + at.layers[l].kept + q * at.layers[l].kept_step; }
  T* value_bar(int l, int q) const {
    return memory + at.layers[l].value_bar + static_cast<Index>(q / at.panels) * net.layers[l].fan_out * at.sub * L;
  }

  T* layer_input(int l, int q) const { return net.layers[l].pre.n_groups ? memory + at.scratch : operands(l, q); }
  // Of hidden layers l, -1 being the first one in its own form.
  bool is_on_inputs(int l) const { return l == (net.embedded ? 0 : -1); }
  T* gates(int q) const {
    return memory + at.gates + q / at.panels * GATES * joined().numbers();
  }
  T* gates_bar(int q) const { return net.embedded ? memory + at.gates_bar : h_bar(q); }
  // Where the activations go.
  T* activated(int l, int q) const {
    if (net.wiring != Wiring::gated) return layer_input(l + 1, q);
    return is_on_inputs(l) ? gates(q) : memory + at.layers[l].activated + q / at.panels * joined().numbers();
  }

  void clear(T* start, Index vectors) const {
    for (Index v = 0; v < vectors; ++v) store<T>(start + v * L, Vec<T>{});
  }

  // From x to u, or from what `layer_input(0, q)` holds; keeps t, operands and z.
  template <bool COUNTS>
  void forward(int q) const {
    const psinn::Booking<COUNTS> book{counters};
    const int last = net.n_layers - 2;
    T* h = last < 0 ? u(q) : net.embedded ? layer_input(0, q) : activated(-1, q);
    if (net.embedded) {
      // `layer_input` holds the features' jets.
    } else if (last <= 0) {
      last_steps(net.orbits0).first_forward(net, w, term.powers, x(q), t(q), h);
    } else {
      steps(net.orbits0).first_forward(net, w, term.powers, x(q), t(q), h);
    }
    if (net.wiring != Wiring::plain && !net.embedded) join(-1, q);
    book(psinn::Where::first_layer);
    for (int l = 0; l <= last; ++l) {
      const Layer<T>& layer = net.layers[l];
      const int width = at.layers[l].width;
      if (layer.pre.n_groups) {
        transform(layer.pre, width, h, operands(l, q));
        book(psinn::Where::relations);
      }
      T* out = l == last ? u(q) : z(l, q);
      T* slots = layer.post.n_groups ? memory + at.slots : out;
      if (!layer.slots_once) clear(slots, static_cast<Index>(layer.n_slots) * width);
      for (int p = 0; p < layer.n_products; ++p) {
        const psinn::Product& own = layer.products[p];
        product<T>(own.n_out, own.n_in, packed + own.packed, operands(l, q) + static_cast<Index>(own.in) * width * L, width,
                   slots + static_cast<Index>(own.out) * width * L, !layer.slots_once);
      }
      book(psinn::Where::products);
      if (layer.post.n_groups) {
        transform(layer.post, width, slots, out);
        book(psinn::Where::relations);
      }
      const T* bias = layer.bias < 0 ? nullptr : w + layer.bias;
      if (l == last) {
        if (bias && at.first == 0) add_bias(layer, width, bias, out);
        break;
      }
      h = activated(l, q);
      (l + 1 == last ? last_steps(layer.orbits) : steps(layer.orbits)).forward(out, bias, kept(l, q), h);
      if (net.wiring != Wiring::plain) join(l, q);
      book(psinn::Where::activation);
    }
  }

  // From u_bar to h_bar of the first layer; leaves the adjoints of the slots in z, sums those of the biases.
  template <bool COUNTS>
  void backward(int q, bool keep_values) const {
    const psinn::Booking<COUNTS> book{counters};
    const int last = net.n_layers - 2;
    if (net.wiring == Wiring::gated) clear(gates_bar(q), (GATES - 1) * joined().numbers() / L);
    for (int l = last; l >= 0; --l) {
      const Layer<T>& layer = net.layers[l];
      const LayerBuffers& own = at.layers[l];
      T* y = z(l, q);
      T* z_bar = l == last ? u_bar(q) : y;
      T* values_bar = keep_values ? value_bar(l, q) : nullptr;
      const bool is_plain = net.wiring == Wiring::plain;
      const T* outputs = l == last || net.layers[l + 1].pre.n_groups || !is_plain ? nullptr : operands(l + 1, q);
      T* out_bar = l == last || is_plain ? memory + at.scratch : join_adjoint(l, q);
      if (l != last)
        (l + 1 == last ? last_steps(layer.orbits) : steps(layer.orbits))
            .adjoint(y, kept(l, q), outputs, out_bar, memory + own.bias_bar, values_bar);
      else if (at.first == 0)
        add_bias_bar(layer, own, z_bar, values_bar);
      else if (keep_values)
        clear(values_bar, static_cast<Index>(layer.fan_out) * at.sub);
      book(psinn::Where::activation);
      if (layer.post_t.n_groups) {
        if (l != last) z_bar = copy(y, memory + at.slots, static_cast<Index>(layer.fan_out) * own.width);
        transform(layer.post_t, own.width, z_bar, y);
        book(psinn::Where::relations);
      }
      if (l == 0 && net.embedded) return;
      // operands_bar = pre^T (sum of W^T y)
      T* target = l == 0 && !mixes_first() && net.wiring != Wiring::gated ? h_bar(q) : memory + at.scratch;
      T* inputs_bar = layer.pre_t.n_groups ? memory + at.slots : target;
      // What went past this layer comes back beside what went through it.
      const bool is_passed = net.wiring == Wiring::residual && l != last;
      const bool accumulate = !layer.operands_once || is_passed;
      if (is_passed)
        copy(memory + at.slots, inputs_bar, static_cast<Index>(layer.n_operands) * own.width);
      else if (accumulate)
        clear(inputs_bar, static_cast<Index>(layer.n_operands) * own.width);
      for (int p = 0; p < layer.n_products; ++p) {
        const psinn::Product& part = layer.products[p];
        product<T>(part.n_in, part.n_out, packed + part.packed_t, y + static_cast<Index>(part.out) * own.width * L, own.width,
                   inputs_bar + static_cast<Index>(part.in) * own.width * L, accumulate);
      }
      book(psinn::Where::products);
      if (layer.pre_t.n_groups) {
        transform(layer.pre_t, own.width, inputs_bar, target);
        book(psinn::Where::relations);
      }
    }
    if (net.wiring == Wiring::gated) join_adjoint(-1, q);
    if (!mixes_first()) return;
    outputs_bar(net.orbits0, static_cast<int>(at.h_step / L) / net.width0, memory + at.scratch, memory + at.block, h_bar(q));
    book(psinn::Where::relations);
  }

  // Adds the gradients of the weights of all panels in use: to gradient and first_sums, and to x_bar if asked for.
  void gradients(int count, bool need_x) const {
    for (int site = 0; site < term.n_sites; ++site) {
      const int q = site * at.panels;
      for (int l = 0; l < net.n_layers - 1; ++l) {
        const LayerBuffers& own = at.layers[l];
        for (int p = 0; p < net.layers[l].n_products; ++p) {
          const psinn::Product& part = net.layers[l].products[p];
          const Panels<T> y{z(l, q) + static_cast<Index>(part.out) * own.width * L, own.z_step};
          const Panels<T> x{operands(l, q) + static_cast<Index>(part.in) * own.width * L, own.x_step};
          if (at.resident)
            gradient<T, true>(part.n_out, part.n_in, y, x, count, own.width, memory + at.gradient + part.gradient * L);
          else
            gradient<T, false>(part.n_out, part.n_in, y, x, count, own.width, memory + at.gradient + part.gradient);
        }
      }
      if (net.embedded) continue;
      const bool is_last = net.n_layers <= 2;
      (is_last ? last_stages : stages)
          .first_adjoint(is_last ? last_rule : rule, net, term.powers, count, t(q), at.t_step, h_bar(q), at.h_step,
                         memory + at.first_sums);
      inputs_adjoint<T>(net, first_sums(net.d_in, term.rules->n_channels), w, count, at.sub, x(q), at.x_step, t(q),
                        at.t_step, memory + at.first_sums, need_x ? x_bar(q) : nullptr);
    }
  }

 private:
  LayerSteps<T> steps(const psinn::Orbits& orbits) const { return {stages, rule, orbits}; }
  LayerSteps<T> last_steps(const psinn::Orbits& orbits) const { return {last_stages, last_rule, orbits}; }

  // Jets of hidden layers that are joined, which are of one width.
  JetProduct<T> joined() const { return {*term.rules, at.sub, net.layers[net.n_layers - 2].n_operands}; }

  // From the activations of hidden layer l to its outputs, the operands of the next one.
  void join(int l, int q) const {
    const JetProduct<T> jets = joined();
    T* h = operands(l + 1, q);
    if (net.wiring == Wiring::residual) {
      if (!is_on_inputs(l)) add_to(h, operands(l, q), jets.numbers());
      return;
    }
    T* own = gates(q);
    if (is_on_inputs(l)) subtract_from(own, own + jets.numbers(), jets.numbers());  // U - V in place of U
    blend(jets, gated_by(l, q), own, h);
  }

  // From the adjoint of the outputs, in `scratch`, to that of the activations; where it is. What goes past a residual layer
  // is then in `slots`.
  T* join_adjoint(int l, int q) const {
    const JetProduct<T> jets = joined();
    T *h_bar = memory + at.scratch, *slots = memory + at.slots;
    if (net.wiring == Wiring::residual) {
      copy(h_bar, slots, jets.numbers() / L);
      return h_bar;
    }
    T *bar = gates_bar(q), *a_bar = is_on_inputs(l) ? bar + (GATES - 1) * jets.numbers() : slots;
    blend_adjoint(jets, gated_by(l, q), gates(q), h_bar, a_bar, bar);
    if (!is_on_inputs(l)) return a_bar;
    subtract_from(bar + jets.numbers(), bar, jets.numbers());
    return bar;
  }

  // The activations by which a gated layer blends U and V.
  const T* gated_by(int l, int q) const {
    return is_on_inputs(l) ? gates(q) + (GATES - 1) * joined().numbers() : activated(l, q);
  }

  bool mixes_first() const { return net.orbits0.count > 1 || net.orbits0.items[0].size > 1; }

  T* copy(const T* from, T* to, Index vectors) const {
    std::memcpy(to, from, static_cast<std::size_t>(vectors * L) * sizeof(T));
    return to;
  }

  void add_bias(const Layer<T>& layer, int width, const T* bias, T* out) const {
    for (int row = 0; row < layer.fan_out; ++row)
      for (int s = 0; s < at.sub; ++s) {
        T* value = out + (static_cast<Index>(row) * width + s) * L;
        store<T>(value, load<T>(value) + bias[row]);
      }
  }

  // values_bar, if not null: the sums' terms point by point, for Jacobians.
  void add_bias_bar(const Layer<T>& layer, const LayerBuffers& own, const T* z_bar, T* values_bar) const {
    for (int row = 0; row < layer.fan_out; ++row)
      for (int s = 0; s < at.sub; ++s) {
        T* sum = memory + own.bias_bar + row * L;
        const Vec<T> value = load<T>(z_bar + (static_cast<Index>(row) * own.width + s) * L);
        store<T>(sum, load<T>(sum) + value);
        if (values_bar) store<T>(values_bar + (static_cast<Index>(row) * at.sub + s) * L, value);
      }
  }
};

}  // namespace PSINN_NAMESPACE
