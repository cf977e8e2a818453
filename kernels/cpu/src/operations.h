// The operations on a range of tiles: load points, run the tile, hand over what was asked for, sum the gradients.
#pragma once

#include "tile.h"

namespace PSINN_NAMESPACE {

// Panels between two times that a thread's sums go over to double precision.
constexpr Index FLUSH_PANELS = 512;

template <class T>
struct Range {
  static constexpr int L = LANES<T>;
  const psinn::Network<T>& net;
  const Term<T>& term;
  const Layout& at;
  T* memory;
  const Output<T>& output;
  const Sums& sums;
  Tile<T> tile;
  Index start = 0;  // first point of the panel
  Index valid = 0;  // points of the panel that exist

  Range(const psinn::Network<T>& net, const Term<T>& term, const Layout& at, const T* packed, const T* w, T* memory,
        const Output<T>& output, const Sums& sums)
      : net(net), term(term), at(at), memory(memory), output(output), sums(sums),
        tile{stages_of<T>(*term.rules, net.n_layers == 1, 0),
             stages_of<T>(*term.rules, net.n_layers == 1, at.first),
             {*term.rules, 0, memory + at.block},
             {*term.rules, at.first, memory + at.block},
             net, term, at, packed, w, memory, sums.counters} {}

  // begin, end: the first and last range of a step on this thread; between them the weights' sums stay where they are.
  void run(Index first, Index last, bool begin_step, bool end_step) {
    const bool has_gradient = output.mode == Mode::loss || output.mode == Mode::jets_backward;
    if (begin_step) clear_weight_sums();
    clear_first_sums();
    tile.clear(memory + at.squares, 1);
    psinn::Counters* counters = sums.counters;
    const std::int64_t started = counters ? psinn::ticks() : 0;
    for (Index number = first; number < last; ++number) {
      const std::int64_t tile_started = counters ? psinn::ticks() : 0;
      const Index begin = number * at.panels * panel_points();
      int count = 0;
      for (; count < at.panels && begin + count * panel_points() < term.n_points; ++count) {
        start = begin + count * panel_points();
        valid = term.n_points - start < panel_points() ? term.n_points - start : panel_points();
        if (counters && counters->watches_next())
          panel<true>(count);
        else
          panel<false>(count);
      }
      if (counters) {
        counters->begin();
        counters->panels += counters->last - tile_started;
      }
      if (!has_gradient) continue;
      if (output.mode == Mode::loss && !output.s) flush_squares();
      tile.gradients(count, output.x_bar != nullptr);
      if (counters) counters->book(psinn::Where::weight_gradients);
      if (output.x_bar) store_x_bar(begin, count);
      if ((number - first + 1) % (FLUSH_PANELS / at.panels) == 0) {
        flush_weights();
        flush_first();
        if (counters) counters->book(psinn::Where::sums);
      }
    }
    if (counters) counters->begin();
    if (has_gradient) flush_first();
    if (has_gradient && end_step) flush_weights();
    if (counters) {
      counters->book(psinn::Where::sums);
      counters->all += counters->last - started;
    }
  }

 private:
  static constexpr bool NO_VALUES = false, VALUES = true;

  Index panel_points() const { return static_cast<Index>(at.sub) * L; }
  T* reg(int r) const { return memory + at.registers + r * panel_points(); }
  // Lanes beyond the last point repeat it: their results are dropped, and they are as finite as it is.
  Index point(Index i) const { return start + (i < valid ? i : valid - 1); }

  template <bool COUNTS>
  void panel(int p) const {
    const psinn::Booking<COUNTS> book{sums.counters};
    if (COUNTS) sums.counters->begin();
    for (int site = 0; site < term.n_sites; ++site) load_points(site, p);
    if (output.mode == Mode::jacobian) {
      jacobian(p);
      return;
    }
    book(psinn::Where::rest);
    forward<COUNTS>(p);
    switch (output.mode) {
      case Mode::jets:
        copy_jets<false>(tile.u(p));
        return;
      case Mode::jets_backward:
        copy_jets<true>(tile.u_bar(p));
        break;
      default:
        residuals(p);
        if (output.residuals) store_residuals();
        if (!output.s) squares();
        residuals_bar();
        adjoint(p);
    }
    book(psinn::Where::residual);
    for (int site = 0; site < term.n_sites; ++site) {
      if (output.x_bar) tile.clear(tile.x_bar(site * at.panels + p), net.d_in * at.sub);
      tile.template backward<COUNTS>(site * at.panels + p, NO_VALUES);
    }
    book(psinn::Where::rest);
  }

  template <bool COUNTS>
  void forward(int p) const {
    for (int site = 0; site < term.n_sites; ++site) {
      if (net.embedded) load_features(site, site * at.panels + p);
      tile.template forward<COUNTS>(site * at.panels + p);
    }
  }

  // Where the network's first layer finds its inputs: rows of features, those channels that it needs.
  void load_features(int site, int q) const {
    const Index channels = term.rules->n_channels, n = panel_points();
    const Index first = net.n_layers == 2 ? at.first : 0;
    T* to = tile.layer_input(0, q);
    for (Index f = 0; f < net.width0; ++f)
      for (Index c = first; c < channels; ++c, to += n) {
        const T* from = term.features + ((site * net.width0 + f) * channels + c) * term.n_points;
        if (valid == n)
          std::memcpy(to, from + start, static_cast<std::size_t>(n) * sizeof(T));
        else
          for (Index i = 0; i < n; ++i) to[i] = from[point(i)];
      }
  }

  void load_points(int site, int p) const {
    const int d = net.d_in;
    const T* points = term.points + site * term.n_points * d;
    T* x = tile.x(site * at.panels + p);
    const Index n = panel_points();
    if (valid == n && d == 2) {
      const T* from = points + start * 2;
      for (Index i = 0; i < n; i += L) split_pairs<T>(from + 2 * i, x + i, x + n + i);
      return;
    }
    for (int a = 0; a < d; ++a)
      for (Index i = 0; i < n; ++i) x[a * n + i] = points[point(i) * d + a];
  }

  // Between u (or its adjoint), channels from at.first on, and the caller's (N, C, F).
  template <bool in>
  void copy_jets(T* rows) const {
    const int n = term.rules->n_channels, fields = net.d_out;
    for (int f = 0; f < fields; ++f)
      for (int c = at.first; c < n; ++c) {
        T* row = rows + (static_cast<Index>(f) * (n - at.first) + c - at.first) * panel_points();
        for (Index i = 0; i < panel_points(); ++i) {
          if (in)
            row[i] = i < valid ? output.jets[((start + i) * n + c) * fields + f] : T(0);
          else if (i < valid)
            output.jets[((start + i) * n + c) * fields + f] = row[i];
        }
      }
  }

  void store_x_bar(Index begin, int count) const {
    const int d = net.d_in;
    const Index n = panel_points();
    for (int site = 0; site < term.n_sites; ++site)
      for (int p = 0; p < count; ++p) {
        const T* from = tile.x_bar(site * at.panels + p);
        T* to = output.x_bar + (site * term.n_points + begin + p * n) * d;
        for (Index i = 0; i < n && begin + p * n + i < term.n_points; ++i)
          for (int a = 0; a < d; ++a) to[i * d + a] = from[a * n + i];
      }
  }

  // The row of `rows` (u or u_bar) that a program's jet input reads.
  T* jet(T* rows, const psinn::InputRegister& from) const {
    return rows + (static_cast<Index>(from.j) * (term.rules->n_channels - at.first) + from.k - at.first) * panel_points();
  }

  // Fills the input registers and computes the residuals.
  void residuals(int p) const {
    const psinn::Program& program = *term.program;
    const Index n = panel_points();
    for (int k = 0; k < program.n_inputs; ++k) {
      const psinn::InputRegister& from = program.inputs[k];
      T* to = reg(from.result);
      switch (from.source) {
        case psinn::Source::jet:
          copy(jet(tile.u(from.i * at.panels + p), from), to);
          break;
        case psinn::Source::coordinate:
          copy(tile.x(from.i * at.panels + p) + from.j * n, to);
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

  void store_residuals() const {
    const psinn::Program& program = *term.program;
    const int m = program.n_residuals;
    for (int i = 0; i < m; ++i) {
      const T* r = reg(program.residuals[i]);
      for (Index k = 0; k < valid; ++k) output.residuals[(start + k) * m + i] = r[k];
    }
  }

  // Adds the squares to the sums.
  void squares() const {
    const psinn::Program& program = *term.program;
    const Index n = panel_points();
    for (int i = 0; i < program.n_residuals; ++i) {
      const T* r = reg(program.residuals[i]);
      T* sum = memory + at.squares;
      if (valid == n) {
        for (Index v = 0; v < n; v += L) store<T>(sum, load<T>(sum) + load<T>(r + v) * load<T>(r + v));
      } else {
        for (Index k = 0; k < valid; ++k) sum[k % L] += r[k] * r[k];
      }
    }
  }

  // Sets the adjoints of the residuals.
  void residuals_bar() const {
    const psinn::Program& program = *term.program;
    const Index n = panel_points();
    for (int k = 0; k < program.n_inputs; ++k) {
      const psinn::InputRegister& to = program.inputs[k];
      if (to.source != psinn::Source::adjoint) continue;
      T* r_bar = reg(to.result);
      if (output.s) {
        for (Index i = 0; i < valid; ++i) r_bar[i] = output.s[(start + i) * program.n_residuals + to.i];
      } else {
        const T* r = reg(program.residuals[to.i]);
        for (Index v = 0; v < n; v += L) store<T>(r_bar + v, term.factor * load<T>(r + v));
      }
      for (Index lane = valid; lane < n; ++lane) r_bar[lane] = 0;
    }
  }

  // From the residuals' adjoints to those of the output's jets and of the coefficients.
  void adjoint(int p) const {
    const psinn::Program& program = *term.program;
    const Index n = panel_points();
    run_instructions(program.instructions + program.n_forward, program.n_instructions - program.n_forward,
                     memory + at.registers, static_cast<int>(n));
    for (int site = 0; site < term.n_sites; ++site) tile.clear(tile.u_bar(site * at.panels + p), at.u_step / L);
    for (int k = 0; k < program.n_gradients; ++k) {
      const psinn::InputRegister& of = program.inputs[program.gradients[k].input];
      const T* value = reg(program.gradients[k].result);
      if (of.source == psinn::Source::jet) {
        copy(value, jet(tile.u_bar(of.i * at.panels + p), of));
      } else if (output.mode == Mode::loss) {
        double sum = 0;
        for (Index i = 0; i < valid; ++i) sum += static_cast<double>(value[i]);
        sums.coefficients[of.i] += sum;
      }
    }
  }

  // A panel's row of one channel.
  void copy(const T* from, T* to) const {
    for (int s = 0; s < at.sub; ++s) store<T>(to + s * L, load<T>(from + s * L));
  }

  // After each tile: in float, a sum of thousands of squares would lose digits.
  void flush_squares() const {
    *sums.squares += static_cast<double>(total<T>(load<T>(memory + at.squares)));
    tile.clear(memory + at.squares, 1);
  }

  void clear_weight_sums() const {
    for (int l = 0; l < net.n_layers - 1; ++l) tile.clear(memory + at.layers[l].bias_bar, net.layers[l].fan_out);
    std::memset(memory + at.gradient, 0, static_cast<std::size_t>(net.n_gradient * (at.resident ? L : 1)) * sizeof(T));
  }

  void clear_first_sums() const {
    tile.clear(memory + at.first_sums, static_cast<Index>(net.width0) * first_sums(net.d_in, term.rules->n_channels));
  }

  void flush_weights() const {
    constexpr int side = psinn::GRADIENT_SIDE;
    for (int l = 0; l < net.n_layers - 1; ++l) {
      const Layer<T>& layer = net.layers[l];
      if (layer.bias >= 0)
        for (int row = 0; row < layer.fan_out; ++row)
          sums.w[layer.bias + row] += static_cast<double>(total<T>(load<T>(memory + at.layers[l].bias_bar + row * L)));
      for (int p = 0; p < layer.n_products; ++p) {
        const psinn::Product& part = layer.products[p];
        const T* block = memory + at.gradient + part.gradient * (at.resident ? L : 1);
        for (int i0 = 0; i0 < part.n_out; i0 += side)
          for (int j0 = 0; j0 < part.n_in; j0 += side, block += psinn::GRADIENT_BLOCK * (at.resident ? L : 1))
            for (int i = 0; i < side && i0 + i < part.n_out; ++i) {
              double* to = sums.w + part.weight + static_cast<Index>(i0 + i) * part.n_in + j0;
              for (int j = 0; j < side && j0 + j < part.n_in; ++j) {
                const int entry = i * side + j;
                to[j] += static_cast<double>(at.resident ? total<T>(load<T>(block + entry * L)) : block[entry]);
              }
            }
      }
    }
    clear_weight_sums();
  }

  void flush_first() const {
    if (net.embedded) return;
    const int d = net.d_in, n = term.rules->n_channels;
    for (int row = 0; row < net.width0; ++row) {
      const T* own = memory + at.first_sums + static_cast<Index>(row) * first_sums(d, n) * L;
      double values[1 + 4 + MOST_CHANNELS];
      for (int k = 0; k < first_sums(d, n); ++k) values[k] = static_cast<double>(total<T>(load<T>(own + k * L)));
      if (net.bias0 >= 0) sums.w[net.bias0 + row] += values[0];
      powers_adjoint(*term.rules, tile.w + net.weight0 + static_cast<Index>(row) * d, values + 1 + d, values + 1);
      for (int a = 0; a < d; ++a) sums.w[net.weight0 + static_cast<Index>(row) * d + a] += values[1 + a];
    }
    clear_first_sums();
  }

  // Rows of the Jacobian, one residual after the other; the backward pass overwrites what forward kept.
  void jacobian(int p) const {
    const psinn::Program& program = *term.program;
    const int m = program.n_residuals;
    const Index columns = output.jacobian_columns;
    T* rows = memory + at.jacobian;
    for (int i = 0; i < m; ++i) {
      forward<false>(p);
      residuals(p);
      for (int k = 0; k < program.n_inputs; ++k)
        if (program.inputs[k].source == psinn::Source::adjoint)
          for (Index lane = 0; lane < panel_points(); ++lane) reg(program.inputs[k].result)[lane] = T(program.inputs[k].i == i);
      for (Index lane = 0; lane < valid; ++lane)
        output.residuals[(start + lane) * m + i] = reg(program.residuals[i])[lane];
      adjoint(p);
      for (int site = 0; site < term.n_sites; ++site) tile.template backward<false>(site * at.panels + p, VALUES);
      for (int s = 0; s * L < valid; ++s) {
        tile.clear(rows, columns);
        for (int k = 0; k < program.n_gradients; ++k) {
          const psinn::InputRegister& of = program.inputs[program.gradients[k].input];
          if (of.source == psinn::Source::coefficient)
            store<T>(rows + (output.jacobian_coefficients + of.i) * L, load<T>(reg(program.gradients[k].result) + s * L));
        }
        for (int site = 0; site < term.n_sites; ++site) add_point_gradients(site * at.panels + p, s, rows);
        for (int lane = 0; lane < L && s * L + lane < valid; ++lane) {
          T* to = output.jacobian + ((start + s * L + lane) * m + i) * columns;
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
    const int n = term.rules->n_channels, d = net.d_in, last = net.n_layers - 2;
    for (int l = 0; l <= last; ++l) {
      const Layer<T>& layer = net.layers[l];
      const LayerBuffers& own = at.layers[l];
      const Index stride = static_cast<Index>(own.width) * L;
      for (int p = 0; p < layer.n_products; ++p) {
        const psinn::Product& product = layer.products[p];
        for (int i = 0; i < product.n_out; ++i)
          for (int j = 0; j < product.n_in; ++j) {
            const T* y = tile.z(l, q) + (product.out + i) * stride + s * L;
            const T* x = tile.operands(l, q) + (product.in + j) * stride + s * L;
            Vec<T> sum{};
            for (int c = 0; c < own.width / at.sub; ++c) sum += load<T>(y + c * at.sub * L) * load<T>(x + c * at.sub * L);
            add_entry(rows, product.weight + static_cast<Index>(i) * product.n_in + j, sum);
          }
      }
      if (layer.bias >= 0)
        for (int row = 0; row < layer.fan_out; ++row)
          add_entry(rows, layer.bias + row, load<T>(tile.value_bar(l, q) + (static_cast<Index>(row) * at.sub + s) * L));
    }
    if (net.embedded) return;
    const int first = last <= 0 ? at.first : 0;
    for (int row = 0; row < net.width0; ++row) {
      const T* a = tile.w + net.weight0 + static_cast<Index>(row) * d;
      const T* power = term.powers + static_cast<Index>(row) * n;
      Vec<T> f[MOST_ORDER + 2], z_bar{}, power_bar[MOST_CHANNELS] = {}, a_bar[4] = {};
      first_forms_backward<T>(net, term.rules->order + 1, row, 1, s, at.sub, tile.t(q), 0, {f, 0});
      for (int c = first; c < n; ++c) {
        const Vec<T> h = load<T>(tile.h_bar(q) + ((static_cast<Index>(row) * (n - first) + c - first) * at.sub + s) * L);
        const int k = term.rules->orders[c];
        z_bar += (h * f[k + 1]) * (c ? power[c] : T(1));
        if (c) power_bar[c > 0 ? c - 1 : 0] = h * f[k];
      }
      for (int i = 0; i < d; ++i) a_bar[i] = z_bar * load<T>(tile.x(q) + (i * at.sub + s) * L);
      powers_adjoint(*term.rules, a, power_bar, a_bar);
      if (net.bias0 >= 0) add_entry(rows, net.bias0 + row, z_bar);
      for (int i = 0; i < d; ++i) add_entry(rows, net.weight0 + static_cast<Index>(row) * d + i, a_bar[i]);
    }
  }
};

}  // namespace PSINN_NAMESPACE
