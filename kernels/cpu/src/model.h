// Owners of the arrays that engine.h describes, made once per plan, channel set and residual program.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine.h"

namespace psinn {

// A sparse matrix by rows.
struct Sparse {
  Index n_rows = 0, n_columns = 0;
  std::vector<Index> start, column;
  std::vector<double> value;

  Sparse() = default;
  Sparse(Index n_rows, Index n_columns, const std::vector<Index>& row, const std::vector<Index>& column,
         const std::vector<double>& value);
  Sparse transposed() const;
};

// w[bias] += w[weight] * a(w[constant]): neurons that are constant (kernels/network/plan.py).
struct Fold {
  Index bias, weight, constant;
};

struct LayerSpec {
  int fan_in, fan_out, n_slots, n_operands;
  Index bias;
  std::vector<Product> products;       // offsets of the packed forms are set here
  std::unique_ptr<Sparse> pre, post;   // null: the identity, or part of the orbits
  std::vector<Orbit> orbits;           // none in the last layer
};

struct NetworkSpec {
  int d_in, d_out, width0;
  bool embedded;
  Wiring wiring;
  Index weight0, bias0;
  std::vector<Orbit> orbits0;
  std::vector<LayerSpec> layers;
  Sparse expansion;
  std::vector<Fold> folds;
  Activation activation;
};

template <class T>
class Transforms {
 public:
  explicit Transforms(const Sparse* map);
  Transform<T> view() const { return {static_cast<int>(groups_.size()), groups_.data()}; }

 private:
  std::vector<Group<T>> groups_;
  std::vector<std::vector<int>> indices_;
  std::vector<std::vector<T>> coefficients_;
};

template <class T>
class NetworkOf {
 public:
  explicit NetworkOf(const NetworkSpec& spec);
  Network<T> view;

 private:
  std::vector<Layer<T>> layers_;
  std::vector<std::unique_ptr<Transforms<T>>> transforms_;
};

class Model {
 public:
  explicit Model(NetworkSpec spec);
  Index n_theta() const { return spec.expansion.n_columns; }
  Index n_w() const { return spec.expansion.n_rows; }
  template <class T>
  const Network<T>& network() const;
  // w = E theta, with the folds; and its adjoint in double (w_bar is destroyed).
  template <class T>
  void expand(const T* theta, T* w) const;
  template <class T>
  void pull_back(const T* w, double* w_bar, double* theta_bar) const;
  // E^T with the folds at this w, by rows of w: what one point's w_bar adds to theta_bar.
  template <class T>
  Sparse point_map(const T* w) const;
  template <class T>
  void pack(const T* w, T* packed) const;

  NetworkSpec spec;

 private:
  Sparse transposed_;
  bool identity_;
  std::vector<Index> pack_index_;
  std::unique_ptr<NetworkOf<float>> float_;
  std::unique_ptr<NetworkOf<double>> double_;
};

class RulesOf {
 public:
  std::vector<int> orders, leading, unit_axes, unit_channels;
  std::vector<Part> parts;
  std::vector<Monomial> monomials;
  std::vector<Partial> partials;
  std::vector<RecurrenceRow> rows;
  std::vector<RecurrenceProduct> products;
  int order = 0, n_slopes = 0, n_forward_rows = 0, n_rows = 0, n_product_rows = 0, known_set = -1;
  bool serves_last_alone = false;
  Rules view() const;
  void finish();  // when all else is there
};

class ProgramOf {
 public:
  int n_sites = 1, n_columns = 0, n_forward = 0, n_registers = 0, first_channel = 0;
  std::vector<InputRegister> inputs;
  std::vector<Instruction> instructions;
  std::vector<int> residuals;
  std::vector<Gradient> gradients;
  std::shared_ptr<RulesOf> rules;
  Rules rules_view;
  Program view;
  void finish();
};

// power_c of every neuron of the first layer (first_layer.h).
template <class T>
void first_powers(const Network<T>& net, const Rules& rules, const T* w, T* powers);

}  // namespace psinn
