#include "model.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "known_sets.h"

namespace psinn {

Sparse::Sparse(Index n_rows, Index n_columns, const std::vector<Index>& row, const std::vector<Index>& column,
               const std::vector<double>& value)
    : n_rows(n_rows), n_columns(n_columns), start(static_cast<std::size_t>(n_rows) + 1, 0), column(row.size()),
      value(row.size()) {
  for (Index r : row) ++start[static_cast<std::size_t>(r) + 1];
  for (std::size_t r = 1; r < start.size(); ++r) start[r] += start[r - 1];
  std::vector<Index> next(start.begin(), start.end() - 1);
  for (std::size_t k = 0; k < row.size(); ++k) {
    const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(row[k])]++);
    this->column[at] = column[k];
    this->value[at] = value[k];
  }
}

Sparse Sparse::transposed() const {
  std::vector<Index> rows(column.size());
  for (Index r = 0; r < n_rows; ++r)
    for (Index e = start[r]; e < start[r + 1]; ++e) rows[e] = r;
  return Sparse(n_columns, n_rows, column, rows, value);
}

template <class T>
Transforms<T>::Transforms(const Sparse* map) {
  if (!map) return;
  // Rows with the same columns make one group: a Hadamard transform of pairs is groups of 2 x 2.
  std::map<std::vector<int>, std::vector<int>> rows_of;
  std::vector<std::map<int, double>> entries(static_cast<std::size_t>(map->n_rows));
  for (Index r = 0; r < map->n_rows; ++r) {
    auto& row = entries[static_cast<std::size_t>(r)];
    for (Index e = map->start[r]; e < map->start[r + 1]; ++e) row[static_cast<int>(map->column[e])] += map->value[e];
    std::vector<int> columns;
    for (const auto& entry : row) columns.push_back(entry.first);
    rows_of[columns].push_back(static_cast<int>(r));
  }
  const auto follows = [this](const std::vector<int>& now, const std::vector<int>& first) {
    if (now.size() != first.size()) return false;
    for (std::size_t k = 0; k < now.size(); ++k)
      if (now[k] != first[k] + groups_.back().repeat) return false;
    return true;
  };
  indices_.reserve(2 * rows_of.size());
  coefficients_.reserve(rows_of.size());
  for (const auto& [columns, rows] : rows_of) {
    std::vector<T> coefficients;
    for (int r : rows)
      for (int c : columns) coefficients.push_back(static_cast<T>(entries[static_cast<std::size_t>(r)].at(c)));
    if (!groups_.empty() && coefficients == coefficients_.back() && follows(columns, indices_[indices_.size() - 2]) &&
        follows(rows, indices_.back())) {
      ++groups_.back().repeat;
      continue;
    }
    indices_.push_back(columns);
    indices_.push_back(rows);
    coefficients_.push_back(std::move(coefficients));
    groups_.push_back({static_cast<int>(columns.size()), static_cast<int>(rows.size()), 1,
                       indices_[indices_.size() - 2].data(), indices_.back().data(), coefficients_.back().data()});
  }
}

namespace {

bool covered_once(int rows, const std::vector<Product>& products, bool out) {
  std::vector<int> count(static_cast<std::size_t>(rows), 0);
  for (const Product& product : products)
    for (int i = 0; i < (out ? product.n_out : product.n_in); ++i)
      ++count[static_cast<std::size_t>((out ? product.out : product.in) + i)];
  return std::all_of(count.begin(), count.end(), [](int n) { return n == 1; });
}

Orbits orbits_of(const std::vector<Orbit>& list, Activation activation) {
  return {static_cast<int>(list.size()), list.data(), activation};
}

// The activations' formulas for single numbers.
namespace one {
template <class T>
T tanh(T x) {
  return std::tanh(x);
}
template <class T>
T sin(T x) {
  return std::sin(x);
}
template <class T>
T cos(T x) {
  return std::cos(x);
}
template <class T>
T exp(T x) {
  return std::exp(x);
}
template <class T>
T erf(T x) {
  return std::erf(x);
}
template <class T>
T sigmoid(T x) {
  const T e = std::exp(-std::fabs(x));
  return (x < 0 ? e : T(1)) / (T(1) + e);
}
template <class T>
T softplus(T x) {
  return (x > 0 ? x : T(0)) + std::log1p(std::exp(-std::fabs(x)));
}
#define PSINN_FORMULAS
#define PSINN_INLINE inline
#include "activations.h"
#undef PSINN_FORMULAS

struct ValueAndSlope {
  double value, slope;
};
ValueAndSlope activated(Activation kind, double z) {
  double f[2] = {}, kept[MOST_KEPT];
  with_activation(kind, [&](auto own) { own.template forward<double>(z, 1, kept, f); });
  return {f[0], f[1]};
}
}  // namespace one

}  // namespace

template <class T>
NetworkOf<T>::NetworkOf(const NetworkSpec& spec) {
  Index n_packed = 0, n_gradient = 0;
  int widest = std::max(spec.width0, spec.d_out);
  const auto add = [this](const Sparse* map) {
    transforms_.push_back(std::make_unique<Transforms<T>>(map));
    return transforms_.back()->view();
  };
  for (const LayerSpec& own : spec.layers) {
    Layer<T> layer{};
    layer.fan_in = own.fan_in;
    layer.fan_out = own.fan_out;
    layer.n_slots = own.n_slots;
    layer.n_operands = own.n_operands;
    layer.n_products = static_cast<int>(own.products.size());
    layer.products = own.products.data();
    layer.slots_once = covered_once(own.n_slots, own.products, true);
    layer.operands_once = covered_once(own.n_operands, own.products, false);
    layer.bias = own.bias;
    layer.orbits = orbits_of(own.orbits, spec.activation);
    if (own.pre) {
      const Sparse back = own.pre->transposed();
      layer.pre = add(own.pre.get());
      layer.pre_t = add(&back);
    }
    if (own.post) {
      const Sparse back = own.post->transposed();
      layer.post = add(own.post.get());
      layer.post_t = add(&back);
    }
    for (const Product& product : own.products) {
      n_packed = std::max(n_packed, product.packed_t + static_cast<Index>(product.n_out) * product.n_in);
      n_gradient = std::max(n_gradient, product.gradient + GRADIENT_BLOCK * ((product.n_out + GRADIENT_SIDE - 1) / GRADIENT_SIDE) *
                                                               static_cast<Index>((product.n_in + GRADIENT_SIDE - 1) / GRADIENT_SIDE));
    }
    widest = std::max({widest, own.fan_in, own.fan_out, own.n_slots, own.n_operands});
    layers_.push_back(layer);
  }
  view = {spec.d_in, spec.d_out, static_cast<int>(spec.layers.size()) + 1, spec.width0, spec.embedded, spec.wiring, spec.weight0,
          spec.bias0, orbits_of(spec.orbits0, spec.activation), layers_.data(), spec.expansion.n_rows, n_packed, n_gradient, widest};
}

Model::Model(NetworkSpec given) : spec(std::move(given)), transposed_(spec.expansion.transposed()) {
  const Sparse& e = spec.expansion;
  identity_ = e.n_rows == e.n_columns && static_cast<Index>(e.column.size()) == e.n_rows;
  for (Index r = 0; identity_ && r < e.n_rows; ++r)
    identity_ = e.start[r] == r && e.column[r] == r && e.value[r] == 1;
  Index packed = 0, gradient = 0;
  for (LayerSpec& layer : spec.layers)
    for (Product& product : layer.products) {
      const int m = product.n_out, n = product.n_in;
      const auto add = [&](int rows, int depth, Index row_step, Index depth_step) {
        for (int block = 0, n_blocks = row_blocks(rows), row = 0; block < n_blocks; ++block) {
          const int next = block_end(rows, block, n_blocks);
          for (int k = 0; k < depth; ++k)
            for (int r = row; r < next; ++r) pack_index_.push_back(product.weight + r * row_step + k * depth_step);
          row = next;
        }
      };
      product.packed = packed;
      add(m, n, n, 1);
      packed = static_cast<Index>(pack_index_.size());
      product.packed_t = packed;
      add(n, m, 1, n);
      packed = static_cast<Index>(pack_index_.size());
      product.gradient = gradient;
      gradient += static_cast<Index>(GRADIENT_BLOCK) * ((m + GRADIENT_SIDE - 1) / GRADIENT_SIDE) *
                  ((n + GRADIENT_SIDE - 1) / GRADIENT_SIDE);
    }
  float_ = std::make_unique<NetworkOf<float>>(spec);
  double_ = std::make_unique<NetworkOf<double>>(spec);
}

template <>
const Network<float>& Model::network<float>() const {
  return float_->view;
}
template <>
const Network<double>& Model::network<double>() const {
  return double_->view;
}

template <class T>
void Model::expand(const T* theta, T* w) const {
  const Sparse& e = spec.expansion;
  if (identity_) {
    std::copy(theta, theta + e.n_rows, w);
  } else {
    for (Index r = 0; r < e.n_rows; ++r) {
      T sum = 0;
      for (Index k = e.start[r]; k < e.start[r + 1]; ++k) sum += static_cast<T>(e.value[k]) * theta[e.column[k]];
      w[r] = sum;
    }
  }
  for (const Fold& fold : spec.folds)
    w[fold.bias] += w[fold.weight] * static_cast<T>(one::activated(spec.activation, static_cast<double>(w[fold.constant])).value);
}

template <class T>
void Model::pull_back(const T* w, double* w_bar, double* theta_bar) const {
  for (auto fold = spec.folds.rbegin(); fold != spec.folds.rend(); ++fold) {
    const auto [value, slope] = one::activated(spec.activation, static_cast<double>(w[fold->constant]));
    w_bar[fold->weight] += value * w_bar[fold->bias];
    w_bar[fold->constant] += slope * static_cast<double>(w[fold->weight]) * w_bar[fold->bias];
  }
  if (identity_) {
    std::copy(w_bar, w_bar + n_w(), theta_bar);
    return;
  }
  for (Index r = 0; r < transposed_.n_rows; ++r) {
    double sum = 0;
    for (Index k = transposed_.start[r]; k < transposed_.start[r + 1]; ++k)
      sum += transposed_.value[k] * w_bar[transposed_.column[k]];
    theta_bar[r] = sum;
  }
}

template <class T>
Sparse Model::point_map(const T* w) const {
  if (spec.folds.empty()) return spec.expansion;
  const Sparse& e = spec.expansion;
  std::vector<std::map<Index, double>> rows(static_cast<std::size_t>(e.n_rows));
  for (Index r = 0; r < e.n_rows; ++r)
    for (Index k = e.start[r]; k < e.start[r + 1]; ++k) rows[static_cast<std::size_t>(r)][e.column[k]] += e.value[k];
  for (const Fold& fold : spec.folds) {
    const auto [t, derivative] = one::activated(spec.activation, static_cast<double>(w[fold.constant]));
    auto& to = rows[static_cast<std::size_t>(fold.bias)];
    for (const auto& [column, value] : rows[static_cast<std::size_t>(fold.weight)]) to[column] += t * value;
    const double slope = derivative * static_cast<double>(w[fold.weight]);
    for (const auto& [column, value] : rows[static_cast<std::size_t>(fold.constant)]) to[column] += slope * value;
  }
  std::vector<Index> row, column;
  std::vector<double> value;
  for (Index r = 0; r < e.n_rows; ++r)
    for (const auto& entry : rows[static_cast<std::size_t>(r)]) {
      row.push_back(r);
      column.push_back(entry.first);
      value.push_back(entry.second);
    }
  return Sparse(e.n_rows, e.n_columns, row, column, value);
}

template <class T>
void Model::pack(const T* w, T* packed) const {
  for (std::size_t k = 0; k < pack_index_.size(); ++k) packed[k] = w[pack_index_[k]];
}

Rules RulesOf::view() const {
  return {static_cast<int>(orders.size()), order, static_cast<int>(parts.size()), static_cast<int>(leading.size()),
          static_cast<int>(unit_axes.size()), orders.data(), parts.data(), leading.data(), unit_axes.data(),
          unit_channels.data(), monomials.data(), partials.data(), n_slopes, n_forward_rows, n_rows, n_product_rows,
          static_cast<int>(rows.size()), rows.data(), products.data(), known_set, serves_last_alone};
}

void RulesOf::finish() {
  Rules rules = view();
  sets::find(rules, sets::All{});
  known_set = rules.known_set;
  serves_last_alone = rules.serves_last_alone;
}

void ProgramOf::finish() {
  rules_view = rules->view();
  view = {n_sites, n_columns, static_cast<int>(inputs.size()), static_cast<int>(instructions.size()), n_forward,
          static_cast<int>(residuals.size()), static_cast<int>(gradients.size()), n_registers, first_channel,
          inputs.data(), instructions.data(), residuals.data(), gradients.data()};
}

template <class T>
void first_powers(const Network<T>& net, const Rules& rules, const T* w, T* powers) {
  for (int row = 0; row < net.width0 && !net.embedded; ++row) {
    const T* a = w + net.weight0 + static_cast<Index>(row) * net.d_in;
    T* power = powers + static_cast<Index>(row) * rules.n_channels;
    std::fill(power, power + rules.n_channels, T(0));
    for (int u = 0; u < rules.n_units; ++u) power[rules.unit_channels[u]] = a[rules.unit_axes[u]];
    // Read by higher channels only after all first derivatives are set; written channels are of order 2 and more.
    for (int k = 0; k < rules.n_leading && net.n_layers > 1; ++k) {
      const Part& part = rules.parts[rules.leading[k]];
      T sum = 0;
      for (int m = part.first; m < part.last; ++m) {
        T value = static_cast<T>(rules.monomials[m].coefficient);
        for (int i = 0; i < rules.monomials[m].n_factors; ++i) value *= power[rules.monomials[m].factors[i]];
        sum += value;
      }
      power[part.channel] = sum;
    }
  }
}

#define PSINN_INSTANTIATE(T)                                                  \
  template class Transforms<T>;                                               \
  template class NetworkOf<T>;                                                \
  template void Model::expand<T>(const T*, T*) const;                         \
  template void Model::pull_back<T>(const T*, double*, double*) const;        \
  template Sparse Model::point_map<T>(const T*) const;                        \
  template void Model::pack<T>(const T*, T*) const;                           \
  template void first_powers<T>(const Network<T>&, const Rules&, const T*, T*);
PSINN_INSTANTIATE(float)
PSINN_INSTANTIATE(double)

}  // namespace psinn
