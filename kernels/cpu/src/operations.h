// The operations on a range of tiles: load points, run the tile, hand over what was asked for, sum the gradients.
#pragma once

#include "tile.h"

namespace PSINN_NAMESPACE {

// Tiles between two times that a thread's sums go over to double precision.
constexpr Index FLUSH_TILES = 64;

template <class T, class R>
struct Range {
  static constexpr int L = LANES<T>;
  const R& rule;
  const psinn::Network<T>& net;
  const Term<T>& term;
  const Layout& at;
  T* memory;
  const Output<T>& output;
  const Sums& sums;
  Tile<T, R> tile;
  Index start = 0;  // first point of the tile
  int valid = 0;    // points of the tile that exist

  Range(const R& rule, const psinn::Network<T>& net, const Term<T>& term, const Layout& at, const T* packed, const T* w,
        T* memory, const Output<T>& output, const Sums& sums)
      : rule(rule), net(net), term(term), at(at), memory(memory), output(output), sums(sums),
        tile{rule, net, term, at, packed, w, memory, 0} {}

  void run(Index first, Index last) {
    clear_sums();
    const Index tile_points = static_cast<Index>(at.panels) * at.sub * L;
    for (Index number = first; number < last; ++number) {
      start = number * tile_points;
      valid = static_cast<int>(term.n_points - start < tile_points ? term.n_points - start : tile_points);
      tile.count = (valid + at.sub * L - 1) / (at.sub * L);
      load_points();
      switch (output.mode) {
        case Mode::jets:
          tile.forward();
          copy_jets<false>(memory + at.u);
          break;
        case Mode::jets_backward:
          tile.forward();
          copy_jets<true>(memory + at.u_bar);
          if (output.x_bar) tile.each_panel([&](int q) { tile.clear(memory + at.x_bar + q * at.x_step, net.d_in * at.sub); });
          tile.backward(output.x_bar != nullptr, false);
          if (output.x_bar) store_x_bar();
          break;
        case Mode::loss:
          tile.forward();
          residuals();
          squares();
          adjoint();
          tile.backward(false, false);
          break;
        case Mode::jacobian:
          jacobian();
          break;
      }
      if ((number - first + 1) % FLUSH_TILES == 0) flush();
    }
    flush();
  }

 private:
  Index in_use() const { return static_cast<Index>(tile.count) * at.sub * L; }
  T* reg(int r) const { return memory + at.registers + r * in_use(); }
  // Lanes beyond the last point repeat it: their results are dropped, and they are as finite as it is.
  Index point(Index i) const { return start + (i < valid ? i : valid - 1); }

  void load_points() const {
    const int d = net.d_in;
    for (int site = 0; site < term.n_sites; ++site) {
      const T* points = term.points + site * term.n_points * d;
      for (int p = 0; p < tile.count; ++p) {
        T* x = memory + at.x + (static_cast<Index>(site) * at.panels + p) * at.x_step;
        const Index offset = static_cast<Index>(p) * at.sub * L, n = static_cast<Index>(at.sub) * L;
        if (offset + n <= valid && d == 2) {
          const T* from = points + (start + offset) * 2;
          for (Index i = 0; i < n; ++i) {
            x[i] = from[2 * i];
            x[n + i] = from[2 * i + 1];
          }
          continue;
        }
        for (int a = 0; a < d; ++a)
          for (Index i = 0; i < n; ++i) x[a * n + i] = points[point(offset + i) * d + a];
      }
    }
  }

  // Between u (or its adjoint) in panels and the caller's (N, C, F).
  template <bool in>
  void copy_jets(T* panels) const {
    const int n = rule.channels(), fields = net.d_out;
    for (int p = 0; p < tile.count; ++p)
      for (int f = 0; f < fields; ++f)
        for (int c = 0; c < n; ++c) {
          T* row = panels + p * at.u_step + (static_cast<Index>(f) * n + c) * at.sub * L;
          for (Index i = 0; i < static_cast<Index>(at.sub) * L; ++i) {
            const Index number = static_cast<Index>(p) * at.sub * L + i;
            if (in)
              row[i] = number < valid ? output.jets[((start + number) * n + c) * fields + f] : T(0);
            else if (number < valid)
              output.jets[((start + number) * n + c) * fields + f] = row[i];
          }
        }
  }

  void store_x_bar() const {
    const int d = net.d_in;
    for (Index i = 0; i < valid; ++i) {
      const Index p = i / (at.sub * L), lane = i % (at.sub * L);
      for (int a = 0; a < d; ++a)
        output.x_bar[(start + i) * d + a] = memory[at.x_bar + p * at.x_step + static_cast<Index>(a) * at.sub * L + lane];
    }
  }

  T* jet(Index base, const psinn::InputRegister& from, int p) const {
    const Index q = static_cast<Index>(from.i) * at.panels + p;
    return memory + base + q * at.u_step +
           (static_cast<Index>(from.j) * (rule.channels() - at.first) + from.k - at.first) * at.sub * L;
  }

  // Fills the input registers and computes the residuals.
  void residuals() const {
    const psinn::Program& program = *term.program;
    const Index n = in_use(), own = static_cast<Index>(at.sub) * L;
    const std::size_t bytes = static_cast<std::size_t>(own) * sizeof(T);
    for (int k = 0; k < program.n_inputs; ++k) {
      const psinn::InputRegister& from = program.inputs[k];
      T* to = reg(from.result);
      switch (from.source) {
        case psinn::Source::jet:
          for (int p = 0; p < tile.count; ++p) std::memcpy(to + p * own, jet(at.u, from, p), bytes);
          break;
        case psinn::Source::coordinate:
          for (int p = 0; p < tile.count; ++p)
            std::memcpy(to + p * own,
                        memory + at.x + (static_cast<Index>(from.i) * at.panels + p) * at.x_step + from.j * own, bytes);
          break;
        case psinn::Source::column:
          for (Index i = 0; i < n; ++i) to[i] = term.columns[point(i) * program.n_columns + from.i];
          break;
        case psinn::Source::coefficient:
          for (Index i = 0; i < n; ++i) to[i] = term.coefficients[from.i];
          break;
        case psinn::Source::adjoint:
          break;
      }
    }
    run_instructions(program.instructions, program.n_forward, memory + at.registers, static_cast<int>(n));
  }

  // Adds the squares to the sums and sets the adjoints of the residuals.
  void squares() const {
    const psinn::Program& program = *term.program;
    const Index n = in_use();
    for (int i = 0; i < program.n_residuals; ++i) {
      const T* r = reg(program.residuals[i]);
      Vec<T> sum{};
      for (Index v = 0; v + L <= valid; v += L) {
        const Vec<T> value = load<T>(r + v);
        sum += value * value;
      }
      T rest = 0;
      for (Index k = valid / L * L; k < valid; ++k) rest += r[k] * r[k];
      *sums.squares += static_cast<double>(total<T>(sum)) + static_cast<double>(rest);
    }
    for (int k = 0; k < program.n_inputs; ++k) {
      const psinn::InputRegister& to = program.inputs[k];
      if (to.source != psinn::Source::adjoint) continue;
      const T* r = reg(program.residuals[to.i]);
      T* r_bar = reg(to.result);
      for (Index v = 0; v < n; v += L) store<T>(r_bar + v, term.factor * load<T>(r + v));
      for (Index lane = valid; lane < n; ++lane) r_bar[lane] = 0;
    }
  }

  // From the residuals' adjoints to those of the output's jets and of the coefficients.
  void adjoint() const {
    const psinn::Program& program = *term.program;
    const Index own = static_cast<Index>(at.sub) * L;
    run_instructions(program.instructions + program.n_forward, program.n_instructions - program.n_forward,
                     memory + at.registers, static_cast<int>(in_use()));
    tile.each_panel([&](int q) { tile.clear(memory + at.u_bar + q * at.u_step, at.u_step / L); });
    for (int k = 0; k < program.n_gradients; ++k) {
      const psinn::InputRegister& of = program.inputs[program.gradients[k].input];
      const T* value = reg(program.gradients[k].result);
      if (of.source == psinn::Source::jet)
        for (int p = 0; p < tile.count; ++p)
          std::memcpy(jet(at.u_bar, of, p), value + p * own, static_cast<std::size_t>(own) * sizeof(T));
      else if (output.mode == Mode::loss)
        sums.coefficients[of.i] += sum_of(value);
    }
  }

  double sum_of(const T* values) const {
    double sum = 0;
    for (Index i = 0; i < valid; ++i) sum += static_cast<double>(values[i]);
    return sum;
  }

  void clear_sums() const {
    for (int l = 0; l < net.n_layers - 1; ++l) tile.clear(memory + at.layers[l].bias_bar, net.layers[l].fan_out);
    tile.clear(memory + at.first_sums, static_cast<Index>(net.width0) * first_sums(net.d_in, rule.channels()));
    std::memset(memory + at.gradient, 0, static_cast<std::size_t>(net.n_gradient) * sizeof(T));
  }

  void flush() const {
    if (output.mode != Mode::loss && output.mode != Mode::jets_backward) return;
    for (int l = 0; l < net.n_layers - 1; ++l) {
      const Layer<T>& layer = net.layers[l];
      if (layer.bias >= 0)
        for (int row = 0; row < layer.fan_out; ++row)
          sums.w[layer.bias + row] += static_cast<double>(total<T>(load<T>(memory + at.layers[l].bias_bar + row * L)));
      for (int p = 0; p < layer.n_products; ++p) {
        const psinn::Product& product = layer.products[p];
        const int n_columns = (product.n_in + psinn::GRADIENT_SIDE - 1) / psinn::GRADIENT_SIDE;
        for (int i = 0; i < product.n_out; ++i)
          for (int j = 0; j < product.n_in; ++j) {
            const Index block = static_cast<Index>(i / psinn::GRADIENT_SIDE) * n_columns + j / psinn::GRADIENT_SIDE;
            const int entry = i % psinn::GRADIENT_SIDE * psinn::GRADIENT_SIDE + j % psinn::GRADIENT_SIDE;
            sums.w[product.weight + static_cast<Index>(i) * product.n_in + j] +=
                static_cast<double>(memory[at.gradient + product.gradient + block * psinn::GRADIENT_BLOCK + entry]);
          }
      }
    }
    const int d = net.d_in, n = rule.channels();
    for (int row = 0; row < net.width0; ++row) {
      const T* own = memory + at.first_sums + static_cast<Index>(row) * first_sums(d, n) * L;
      double values[1 + 4 + MOST_CHANNELS];
      for (int k = 0; k < first_sums(d, n); ++k) values[k] = static_cast<double>(total<T>(load<T>(own + k * L)));
      if (net.bias0 >= 0) sums.w[net.bias0 + row] += values[0];
      powers_adjoint(*term.rules, tile.w + net.weight0 + static_cast<Index>(row) * d, values + 1 + d, values + 1);
      for (int a = 0; a < d; ++a) sums.w[net.weight0 + static_cast<Index>(row) * d + a] += values[1 + a];
    }
    clear_sums();
  }

  // Rows of the Jacobian, one residual after the other; the backward pass overwrites what forward kept.
  void jacobian() const {
    const psinn::Program& program = *term.program;
    const int m = program.n_residuals;
    const Index columns = output.jacobian_columns;
    for (int i = 0; i < m; ++i) {
      tile.forward();
      residuals();
      for (int k = 0; k < program.n_inputs; ++k)
        if (program.inputs[k].source == psinn::Source::adjoint)
          for (Index lane = 0; lane < in_use(); ++lane)
            reg(program.inputs[k].result)[lane] = T(program.inputs[k].i == i);
      for (Index number = 0; number < valid; ++number)
        output.residuals[(start + number) * m + i] = reg(program.residuals[i])[number];
      adjoint();
      tile.backward(false, true);
      T* rows = memory + at.jacobian;
      for (int v = 0; v * L < valid; ++v) {
        tile.clear(rows, columns);
        for (int k = 0; k < program.n_gradients; ++k) {
          const psinn::InputRegister& of = program.inputs[program.gradients[k].input];
          if (of.source == psinn::Source::coefficient)
            store<T>(rows + (output.jacobian_coefficients + of.i) * L, load<T>(reg(program.gradients[k].result) + v * L));
        }
        for (int site = 0; site < term.n_sites; ++site)
          add_point_gradients(site * at.panels + v / at.sub, v % at.sub, rows);
        for (int lane = 0; lane < L && v * L + lane < valid; ++lane) {
          T* to = output.jacobian + ((start + v * L + lane) * m + i) * columns;
          for (Index k = 0; k < columns; ++k) to[k] = rows[k * L + lane];
        }
      }
    }
  }

  void add_entry(T* rows, Index entry, Vec<T> value) const {
    for (Index e = output.map_start[entry]; e < output.map_start[entry + 1]; ++e) {
      T* to = rows + output.map_column[e] * L;
      store<T>(to, load<T>(to) + output.map_value[e] * value);
    }
  }

  // w_bar of every point of one vector, through E^T into `rows`.
  void add_point_gradients(int q, int s, T* rows) const {
    const int n = rule.channels(), d = net.d_in, last = net.n_layers - 2;
    for (int l = 0; l <= last; ++l) {
      const Layer<T>& layer = net.layers[l];
      const LayerBuffers& own = at.layers[l];
      const Index stride = static_cast<Index>(own.width) * L;
      for (int p = 0; p < layer.n_products; ++p) {
        const psinn::Product& product = layer.products[p];
        for (int i = 0; i < product.n_out; ++i)
          for (int j = 0; j < product.n_in; ++j) {
            const T* y = memory + own.z + q * own.z_step + (product.out + i) * stride + s * L;
            const T* x = memory + own.x + q * own.x_step + (product.in + j) * stride + s * L;
            Vec<T> sum{};
            for (int c = 0; c < own.width / at.sub; ++c) sum += load<T>(y + c * at.sub * L) * load<T>(x + c * at.sub * L);
            add_entry(rows, product.weight + static_cast<Index>(i) * product.n_in + j, sum);
          }
      }
      if (layer.bias >= 0)
        for (int row = 0; row < layer.fan_out; ++row)
          add_entry(rows, layer.bias + row,
                    load<T>(memory + own.value_bar + ((static_cast<Index>(q) * layer.fan_out + row) * at.sub + s) * L));
    }
    const bool linear = net.n_layers == 1;
    const int first = last <= 0 ? at.first : 0;
    const T* h_bar = linear ? memory + at.u_bar + q * at.u_step : tile.scratch(q);
    for (int row = 0; row < net.width0; ++row) {
      const T* a = tile.w + net.weight0 + static_cast<Index>(row) * d;
      const T* power = term.powers + static_cast<Index>(row) * n;
      Vec<T> f[MOST_ORDER + 2], z_bar{}, power_bar[MOST_CHANNELS] = {}, a_bar[4] = {};
      first_derivatives<T>(linear, load<T>(memory + at.t + q * at.t_step + (static_cast<Index>(row) * at.sub + s) * L),
                           rule.order() + 1, f);
      for (int c = first; c < n; ++c) {
        const Vec<T> h = load<T>(h_bar + ((static_cast<Index>(row) * (n - first) + c - first) * at.sub + s) * L);
        const int k = rule.orders(c);
        z_bar += (h * f[k + 1]) * (c ? power[c] : T(1));
        if (c) power_bar[c - 1] = h * f[k];
      }
      for (int i = 0; i < d; ++i) a_bar[i] = z_bar * load<T>(memory + at.x + q * at.x_step + (i * at.sub + s) * L);
      powers_adjoint(*term.rules, a, power_bar, a_bar);
      if (net.bias0 >= 0) add_entry(rows, net.bias0 + row, z_bar);
      for (int i = 0; i < d; ++i) add_entry(rows, net.weight0 + static_cast<Index>(row) * d + i, a_bar[i]);
    }
  }
};

}  // namespace PSINN_NAMESPACE
