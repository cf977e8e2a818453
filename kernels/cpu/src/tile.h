// One tile of points: forward, what the operation asks for, backward. Nothing larger than a tile is ever stored.
//
// A tile holds up to `panels` panels per site; panel site * panels + p holds the p-th group of `sub` vectors of points.
// Rows of a panel are features, `channels * sub` vectors each.
#pragma once

#include "first_layer.h"
#include "products.h"
#include "residual.h"

namespace PSINN_NAMESPACE {

using psinn::Layer;
using psinn::Mode;
using psinn::Output;
using psinn::Sums;
using psinn::Term;
using psinn::Transform;

// What one layer behind the first keeps per panel. x: its operands; z: its pre-activation, later the adjoint of its
// slots; in the last layer the output and its adjoint. `width`, `in_width`: vectors per row of z and of x.
struct LayerBuffers {
  Index x, x_step, z, z_step, bias_bar, value_bar;
  int width, in_width;
};

constexpr int MOST_LAYERS = 64;

struct Layout {
  int sub, panels, first;
  Index x, x_step, t, t_step, u, u_step, u_bar, scratch, scratch2, first_sums, gradient, registers, mask, jacobian, x_bar,
      numbers;
  LayerBuffers layers[MOST_LAYERS];
};

constexpr int points_per_panel(int channels) { return channels >= 3 ? 1 : channels == 2 ? 2 : 4; }

template <class T>
Layout make_layout(const psinn::Network<T>& net, const Term<T>& term, Mode mode, Index jacobian_columns) {
  constexpr Index L = LANES<T>;
  Layout at{};
  const int n = term.rules->n_channels;
  at.first = term.first_channel;
  at.sub = points_per_panel(n);
  const int width = n * at.sub, out_width = (n - at.first) * at.sub;
  Index per_panel = static_cast<Index>(net.d_in + net.width0) * at.sub;
  for (int l = 0; l < net.n_layers - 1; ++l)
    per_panel += static_cast<Index>(net.layers[l].n_operands + net.layers[l].fan_out) * width;
  // Long enough to make the sums over lanes cheap, short enough for the second-level cache.
  const Index wanted = (16 + width - 1) / width, room = (1 << 19) / (per_panel * L * static_cast<Index>(sizeof(T)));
  at.panels = static_cast<int>(room < 1 ? 1 : room < wanted ? room : wanted);
  const Index count = static_cast<Index>(at.panels) * term.n_sites;

  Index end = 0;
  const auto take = [&end](Index vectors) {
    const Index start = end;
    end += vectors * L;
    return start;
  };
  at.x_step = net.d_in * at.sub * L;
  at.x = take(count * net.d_in * at.sub);
  at.x_bar = take(count * net.d_in * at.sub);
  at.t_step = net.width0 * at.sub * L;
  at.t = take(count * net.width0 * at.sub);
  for (int l = 0; l < net.n_layers - 1; ++l) {
    const Layer<T>& layer = net.layers[l];
    LayerBuffers& own = at.layers[l];
    const bool last = l == net.n_layers - 2;
    own.in_width = last ? out_width : width;
    own.width = last ? out_width : width;
    const int rows = layer.fan_out > layer.n_slots ? layer.fan_out : layer.n_slots;
    own.x_step = layer.n_operands * own.in_width * L;
    own.x = take(count * layer.n_operands * own.in_width);
    own.z_step = rows * own.width * L;
    own.z = take(count * rows * own.width);
    own.bias_bar = take(layer.fan_out);
    own.value_bar = mode == Mode::jacobian ? take(count * layer.fan_out * at.sub) : 0;
  }
  at.u_step = net.d_out * out_width * L;
  at.u = take(count * net.d_out * out_width);
  at.u_bar = take(count * net.d_out * out_width);
  at.scratch = take(static_cast<Index>(net.widest) * width * at.panels * term.n_sites);
  at.scratch2 = take(static_cast<Index>(net.widest) * width);
  at.first_sums = take(static_cast<Index>(net.width0) * first_sums(net.d_in, n));
  at.gradient = take((net.n_gradient + L - 1) / L);
  at.mask = take(static_cast<Index>(at.panels) * at.sub);
  at.registers = take(term.program ? static_cast<Index>(term.program->n_registers) * at.panels * at.sub : 0);
  at.jacobian = take(jacobian_columns);
  at.numbers = end;
  return at;
}

// out = M in for rows of `width` vectors; groups cover all rows of out.
template <class T>
void transform(const Transform<T>& map, int rows, int width, const T* in, T* out) {
  constexpr int L = LANES<T>;
  const Index stride = static_cast<Index>(width) * L;
  if (map.n_groups == 0) {
    std::memcpy(out, in, static_cast<std::size_t>(rows * stride) * sizeof(T));
    return;
  }
  for (int g = 0; g < map.n_groups; ++g) {
    const psinn::Group<T>& group = map.groups[g];
    for (int v = 0; v < width; ++v) {
      const T* from = in + v * L;
      T* to = out + v * L;
      if (group.n_in == 2) {
        const Vec<T> a = load<T>(from + group.in[0] * stride), b = load<T>(from + group.in[1] * stride);
        for (int r = 0; r < group.n_out; ++r)
          store<T>(to + group.out[r] * stride, group.coefficient[2 * r] * a + group.coefficient[2 * r + 1] * b);
        continue;
      }
      for (int r = 0; r < group.n_out; ++r) {
        Vec<T> sum{};
        for (int k = 0; k < group.n_in; ++k)
          sum += group.coefficient[r * group.n_in + k] * load<T>(from + group.in[k] * stride);
        store<T>(to + group.out[r] * stride, sum);
      }
    }
  }
}

// Forward and backward of one tile through the network, for one rule.
template <class T, class R>
struct Tile {
  static constexpr int L = LANES<T>;
  const R& rule;
  const psinn::Network<T>& net;
  const Term<T>& term;
  const Layout& at;
  const T* packed;
  const T* w;
  T* memory;
  int count;  // panels in use per site

  template <class Action>
  PSINN_INLINE void each_panel(const Action& action) const {
    for (int site = 0; site < term.n_sites; ++site)
      for (int p = 0; p < count; ++p) action(site * at.panels + p);
  }

  void forward() const {
    const int last = net.n_layers - 2;
    each_panel([&](int q) {
      T* h = last < 0 ? memory + at.u + q * at.u_step : operands_or_scratch(0, q);
      if (last == 0 || last < 0)
        first_forward(rule, net, w, term.powers, at.sub, memory + at.x + q * at.x_step, memory + at.t + q * at.t_step, h);
      else
        first_forward(all(), net, w, term.powers, at.sub, memory + at.x + q * at.x_step, memory + at.t + q * at.t_step, h);
      for (int l = 0; l <= last; ++l) {
        const Layer<T>& layer = net.layers[l];
        const LayerBuffers& own = at.layers[l];
        if (layer.pre.n_groups) transform(layer.pre, layer.n_operands, own.in_width, h, memory + own.x + q * own.x_step);
        T* z = l == last ? memory + at.u + q * at.u_step : memory + own.z + q * own.z_step;
        T* slots = layer.post.n_groups ? memory + at.scratch2 : z;
        multiply(layer, own.width, memory + own.x + q * own.x_step, slots);
        if (layer.post.n_groups) transform(layer.post, layer.fan_out, own.width, slots, z);
        const T* bias = layer.bias < 0 ? nullptr : w + layer.bias;
        if (l == last) {
          if (bias && at.first == 0) add_bias(layer, own.width, bias, z);
          break;
        }
        h = operands_or_scratch(l + 1, q);
        if (l + 1 == last)
          activation_forward(rule, layer.fan_out, at.sub, z, bias, h);
        else
          activation_forward(all(), layer.fan_out, at.sub, z, bias, h);
      }
    });
  }

  // From the output's adjoint in u_bar. Sums go to bias_bar, gradient, first_sums; x_bar is added to if asked for.
  void backward(bool need_x, bool per_point) const {
    const int last = net.n_layers - 2;
    for (int l = last; l >= 0; --l) {
      const Layer<T>& layer = net.layers[l];
      const LayerBuffers& own = at.layers[l];
      each_panel([&](int q) {
        T* y = memory + own.z + q * own.z_step;
        const T* z_bar = y;
        if (l == last) {
          z_bar = memory + at.u_bar + q * at.u_step;
          add_bias_bar(layer, own, z_bar);
        } else {
          // The adjoint of this layer's h was left in scratch by the layer behind it.
          T* h_bar = scratch(q);
          if (l + 1 == last)
            activation_adjoint(rule, layer.fan_out, at.sub, y, h_bar, memory + own.bias_bar);
          else
            activation_adjoint(all(), layer.fan_out, at.sub, y, h_bar, memory + own.bias_bar);
        }
        if (per_point) keep_value_bar(layer, own, z_bar, q);
        if (layer.post_t.n_groups) {
          T* slots = memory + at.scratch2;
          transform(layer.post_t, layer.n_slots, own.width, z_bar, slots);
          std::memcpy(y, slots, static_cast<std::size_t>(layer.n_slots) * own.width * L * sizeof(T));
        } else if (z_bar != y) {
          std::memcpy(y, z_bar, static_cast<std::size_t>(layer.n_slots) * own.width * L * sizeof(T));
        }
        // h_bar = pre^T sum of W^T y
        T* target = scratch(q);
        T* x_bar = layer.pre_t.n_groups ? memory + at.scratch2 : target;
        if (!layer.operands_once) clear(x_bar, static_cast<Index>(layer.n_operands) * own.in_width);
        for (int p = 0; p < layer.n_products; ++p) {
          const psinn::Product& product = layer.products[p];
          PSINN_NAMESPACE::product<T>(product.n_in, product.n_out, packed + product.packed_t,
                                      y + static_cast<Index>(product.out) * own.width * L, own.in_width,
                                      x_bar + static_cast<Index>(product.in) * own.in_width * L, !layer.operands_once);
        }
        if (layer.pre_t.n_groups) transform(layer.pre_t, layer.fan_in, own.in_width, x_bar, target);
      });
      if (per_point) continue;
      for (int site = 0; site < term.n_sites; ++site) {
        const Index q = static_cast<Index>(site) * at.panels;
        for (int p = 0; p < layer.n_products; ++p) {
          const psinn::Product& product = layer.products[p];
          const T* y = memory + own.z + q * own.z_step + static_cast<Index>(product.out) * own.width * L;
          const T* x = memory + own.x + q * own.x_step + static_cast<Index>(product.in) * own.in_width * L;
          gradient<T>(product.n_out, product.n_in, {y, own.z_step}, {x, own.x_step}, count, own.width,
                      memory + at.gradient + product.gradient);
        }
      }
    }
    if (per_point) return;
    for (int site = 0; site < term.n_sites; ++site) {
      const Index q = static_cast<Index>(site) * at.panels;
      const T* h_bar = last < 0 ? memory + at.u_bar + q * at.u_step : memory + at.scratch + q * scratch_step();
      const Index h_step = last < 0 ? at.u_step : scratch_step();
      T* x_bar = need_x ? memory + at.x_bar + q * at.x_step : nullptr;
      const auto run = [&](const auto& own_rule) {
        first_adjoint(own_rule, net, w, term.powers, at.sub, count, memory + at.x + q * at.x_step, at.x_step,
                      memory + at.t + q * at.t_step, at.t_step, h_bar, h_step, memory + at.first_sums, x_bar);
      };
      if (last <= 0)
        run(rule);
      else
        run(all());
    }
  }

  Index scratch_step() const { return static_cast<Index>(net.widest) * term.rules->n_channels * at.sub * L; }
  T* scratch(int q) const { return memory + at.scratch + q * scratch_step(); }

  void clear(T* start, Index vectors) const { std::memset(start, 0, static_cast<std::size_t>(vectors) * L * sizeof(T)); }

 private:
  // The rule with all channels: only the last hidden layer may leave out those that no residual reads.
  auto all() const {
    if constexpr (R::fixed)
      return rule.template from<0>();
    else
      return R{rule.rules, 0};
  }

  T* operands_or_scratch(int l, int q) const {
    return net.layers[l].pre.n_groups ? memory + at.scratch : memory + at.layers[l].x + q * at.layers[l].x_step;
  }

  void multiply(const Layer<T>& layer, int width, const T* x, T* slots) const {
    if (!layer.slots_once) clear(slots, static_cast<Index>(layer.n_slots) * width);
    for (int p = 0; p < layer.n_products; ++p) {
      const psinn::Product& product = layer.products[p];
      PSINN_NAMESPACE::product<T>(product.n_out, product.n_in, packed + product.packed,
                                  x + static_cast<Index>(product.in) * width * L, width,
                                  slots + static_cast<Index>(product.out) * width * L, !layer.slots_once);
    }
  }

  void add_bias(const Layer<T>& layer, int width, const T* bias, T* z) const {
    for (int row = 0; row < layer.fan_out; ++row)
      for (int s = 0; s < at.sub; ++s) {
        T* value = z + (static_cast<Index>(row) * width + s) * L;
        store<T>(value, load<T>(value) + bias[row]);
      }
  }

  void add_bias_bar(const Layer<T>& layer, const LayerBuffers& own, const T* z_bar) const {
    if (at.first) return;
    for (int row = 0; row < layer.fan_out; ++row)
      for (int s = 0; s < at.sub; ++s) {
        T* sum = memory + own.bias_bar + row * L;
        store<T>(sum, load<T>(sum) + load<T>(z_bar + (static_cast<Index>(row) * own.width + s) * L));
      }
  }

  void keep_value_bar(const Layer<T>& layer, const LayerBuffers& own, const T* z_bar, int q) const {
    T* kept = memory + own.value_bar + static_cast<Index>(q) * layer.fan_out * at.sub * L;
    const bool has_value = own.width == term.rules->n_channels * at.sub;
    for (int row = 0; row < layer.fan_out; ++row)
      for (int s = 0; s < at.sub; ++s)
        store<T>(kept + (static_cast<Index>(row) * at.sub + s) * L,
                 has_value ? load<T>(z_bar + (static_cast<Index>(row) * own.width + s) * L) : Vec<T>{});
  }
};

}  // namespace PSINN_NAMESPACE
