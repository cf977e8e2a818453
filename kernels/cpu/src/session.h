// One call of an operation: lanes of points, threads that take them, the sum of their gradients, and Adam.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "buffer.h"
#include "crew.h"
#include "engine.h"
#include "model.h"
#include "team.h"

namespace psinn {

// kernels/language/regularizer.py, on theta; growl needs the matrix shapes.
struct Penalty {
  enum Kind { none, l2, l1, growl } kind = none;
  double strength = 0;
  struct Part {
    Index start, stop, rows, columns;
  };
  std::vector<Part> parts;
  // Value; adds the gradient.
  template <class T>
  double operator()(const T* theta, double* theta_bar) const;
};

// See Term: what its points are, by themselves and to an embedded network.
template <class T>
struct Points {
  const T* x;
  const T* features;
  Index n;
};

template <class T>
struct TermData {
  const ProgramOf* program;
  Points<T> points;
  const T* columns;
  double weight;
};

template <class T>
struct AdamData {
  T* theta;
  T* coefficients;
  T* first_moment;
  T* second_moment;
  T* good[4];  // the last step whose losses and gradient were finite
  double lr, gamma, beta1, beta2, eps;
  std::vector<Index> milestones;
  Index step;
};

constexpr int NO_FAILURE = -1;

// Where steps of `train` book their time, or null.
std::atomic<Profile*>& profile();

template <class T>
class Session {
 public:
  // terms: operation 3 and 4; `rules` alone: operations 1 and 2 on `points`.
  Session(const Model& model, const Engine<T>& engine, int threads, std::vector<TermData<T>> terms, int n_coefficients,
          const Penalty* penalty);
  // losses: one per term; all gradients are of sum weight * loss + penalty.
  void loss_and_gradient(const T* theta, const T* coefficients, T* losses, T* penalty, T* theta_bar, T* coefficients_bar);
  // Up to `steps` steps or `seconds`; rows of losses and penalty; returns the number done. failure: as TrainReport.
  Index train(AdamData<T>& adam, Index steps, double seconds, T* losses, int* failure);

  static void jets(const Model& model, const Engine<T>& engine, int threads, const Rules& rules, const T* theta,
                   const Points<T>& points, T* out);
  static void jets_backward(const Model& model, const Engine<T>& engine, int threads, const Rules& rules, const T* theta,
                            const Points<T>& points, const T* grad, T* theta_bar, T* x_bar);
  // J^T s of a term's residuals; x_bar: (n_sites, N, d_in) or null; residuals: (N, m) or null.
  void residuals_backward(const T* theta, const T* coefficients, const T* s, T* theta_bar, T* coefficients_bar, T* x_bar,
                          T* residuals);
  static void jacobian(const Model& model, const Engine<T>& engine, int threads, const ProgramOf& program, const T* theta,
                       const T* coefficients, int n_coefficients, const Points<T>& points, const T* columns,
                       T* residuals, T* out);

 private:
  struct Task {
    Index first, last;
  };
  void add_term(const Rules& rules, const Program* program, const Points<T>& points, const T* columns, T factor);
  void plan_lanes(int threads, Mode mode, Index jacobian_columns);
  void begin_step(const T* theta);
  void work(int lane, int thread);
  void work_share(int thread, int threads);
  void reduce();
  void run_all();

  const Model& model_;
  const Engine<T>& engine_;
  const Network<T>& net_;
  const Penalty* penalty_ = nullptr;
  std::vector<TermData<T>> data_;
  std::vector<Term<T>> terms_;
  Output<T> output_{};
  int n_lanes_ = 1, n_coefficients_ = 0;
  std::shared_ptr<Crew> crew_;
  Counters* counters_ = nullptr;
  double amount_ = 0;  // of work, in one call or step
  std::vector<std::vector<Task>> tasks_;  // [lane][term]
  std::vector<Buffer> workspaces_;  // of threads, of which there are at most as many as lanes
  std::vector<double> sums_;  // [lane][w, coefficients, squares]
  Index sums_step_ = 0;
  std::vector<T> w_, packed_;
  std::vector<std::vector<T>> powers_;
  std::vector<double> w_bar_, theta_bar_, losses_;
  double penalty_value_ = 0;
  const T* coefficients_ = nullptr;
};

}  // namespace psinn
