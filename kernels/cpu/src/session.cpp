#include "session.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>

namespace psinn {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point moment) { return std::chrono::duration<double>(Clock::now() - moment).count(); }

// Vector operations that pay for waking another thread.
constexpr double WORK_PER_THREAD = 1.5e5;

}  // namespace

template <class T>
double Penalty::operator()(const T* theta, double* theta_bar) const {
  double value = 0;
  for (const Part& part : parts) {
    if (kind == l1) {
      for (Index k = part.start; k < part.stop; ++k) {
        const double x = static_cast<double>(theta[k]);
        value += strength * std::fabs(x);
        theta_bar[k] += x > 0 ? strength : x < 0 ? -strength : strength * x;
      }
    } else if (kind == l2) {
      double square = 0;
      for (Index k = part.start; k < part.stop; ++k) square += static_cast<double>(theta[k]) * static_cast<double>(theta[k]);
      const double norm = std::sqrt(square), scale = norm == 0 ? 0 : strength / norm;
      value += strength * norm;
      for (Index k = part.start; k < part.stop; ++k) theta_bar[k] += scale * static_cast<double>(theta[k]);
    } else if (kind == growl) {
      const Index p = part.columns;
      std::vector<double> norms(static_cast<std::size_t>(p), 0.0);
      for (Index k = part.start; k < part.stop; ++k)
        norms[(k - part.start) % p] += static_cast<double>(theta[k]) * static_cast<double>(theta[k]);
      for (double& norm : norms) norm = std::sqrt(norm);
      std::vector<Index> order(static_cast<std::size_t>(p));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return norms[a] > norms[b]; });
      for (Index rank = 0; rank < p; ++rank) {
        const double lambda = strength / static_cast<double>(p) * static_cast<double>(p - rank);
        double& norm = norms[order[rank]];
        value += lambda * norm;
        norm = norm == 0 ? 0 : lambda / norm;
      }
      for (Index k = part.start; k < part.stop; ++k) theta_bar[k] += norms[(k - part.start) % p] * static_cast<double>(theta[k]);
    }
  }
  return value;
}

template <class T>
Session<T>::Session(const Model& model, const Engine<T>& engine, int threads, std::vector<TermData<T>> terms,
                    int n_coefficients, const Penalty* penalty)
    : model_(model), engine_(engine), net_(model.network<T>()), penalty_(penalty), data_(std::move(terms)),
      n_coefficients_(n_coefficients) {
  w_.resize(static_cast<std::size_t>(model.n_w()));
  packed_.resize(static_cast<std::size_t>(net_.n_packed));
  for (const TermData<T>& data : data_)
    add_term(data.program->rules_view, &data.program->view, data.points, data.columns,
             static_cast<T>(2 * data.weight / static_cast<double>(data.points.n)));
  output_.mode = Mode::loss;
  if (!data_.empty()) plan_lanes(threads, Mode::loss, 0);
}

template <class T>
void Session<T>::add_term(const Rules& rules, const Program* program, const Points<T>& points, const T* columns, T factor) {
  Term<T> term{};
  term.rules = &rules;
  term.program = program;
  term.points = points.x;
  term.features = points.features;
  term.columns = columns;
  term.n_points = points.n;
  term.n_sites = program ? program->n_sites : 1;
  term.first_channel = program ? program->first_channel : 0;
  term.factor = factor;
  terms_.push_back(term);
  powers_.emplace_back(static_cast<std::size_t>(net_.width0) * static_cast<std::size_t>(rules.n_channels));
}

// A lane for each thread there may be: contiguous ranges of tiles, of about equal work. They depend on sizes and the thread
// count alone, as the result then does; how many threads take them is the crew's choice.
template <class T>
void Session<T>::plan_lanes(int threads, Mode mode, Index jacobian_columns) {
  double multiplications = 0, neurons = net_.width0;
  for (int l = 0; l < net_.n_layers - 1; ++l) {
    neurons += net_.layers[l].fan_out;
    for (int p = 0; p < net_.layers[l].n_products; ++p)
      multiplications += static_cast<double>(net_.layers[l].products[p].n_out) * net_.layers[l].products[p].n_in;
  }
  std::vector<double> cost;  // of one tile, by term
  std::vector<Index> tiles;
  double whole = 0;
  Index bytes = 0;
  for (const Term<T>& term : terms_) {
    const int points = engine_.tile_points(net_, term);
    tiles.push_back((term.n_points + points - 1) / points);
    const double vectors = static_cast<double>(std::min<Index>(points, term.n_points)) / engine_.lanes * term.n_sites;
    cost.push_back(vectors * (term.rules->n_channels * (3 * multiplications + 8 * neurons) + 40 * neurons));
    whole += cost.back() * static_cast<double>(tiles.back());
    bytes = std::max(bytes, engine_.workspace(net_, term, mode, jacobian_columns));
  }
  const double useful = std::floor(whole / WORK_PER_THREAD);
  n_lanes_ = static_cast<int>(std::max(1.0, std::min<double>(threads, useful)));
  tasks_.assign(static_cast<std::size_t>(n_lanes_), std::vector<Task>(terms_.size()));
  double before = 0;
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    Index first = 0;
    for (int k = 0; k < n_lanes_; ++k) {
      const double limit = whole * (k + 1) / n_lanes_;
      Index last = static_cast<Index>(std::llround((limit - before) / cost[t]));
      last = k == n_lanes_ - 1 ? tiles[t] : std::min(std::max(last, first), tiles[t]);
      tasks_[static_cast<std::size_t>(k)][t] = {first, last};
      first = last;
    }
    before += cost[t] * static_cast<double>(tiles[t]);
  }
  for (int k = 0; k < n_lanes_; ++k) workspaces_.emplace_back(bytes);
  amount_ = whole;
  crew_ = crew_for(static_cast<int>(mode), n_lanes_, whole);
  // Whole cache lines for each lane.
  sums_step_ = (model_.n_w() + n_coefficients_ + static_cast<Index>(terms_.size()) + 15) / 8 * 8;
  sums_.resize(static_cast<std::size_t>(sums_step_) * static_cast<std::size_t>(n_lanes_));
  w_bar_.resize(static_cast<std::size_t>(sums_step_));
  theta_bar_.resize(static_cast<std::size_t>(model_.n_theta() + n_coefficients_));
  losses_.resize(terms_.size());
}

template <class T>
void Session<T>::begin_step(const T* theta) {
  model_.expand(theta, w_.data());
  model_.pack(w_.data(), packed_.data());
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    first_powers(net_, *terms_[t].rules, w_.data(), powers_[t].data());
    terms_[t].powers = powers_[t].data();
    terms_[t].coefficients = coefficients_;
  }
}

std::atomic<Profile*>& profile() {
  static std::atomic<Profile*> own{nullptr};
  return own;
}

template <class T>
void Session<T>::work(int lane, int thread) {
  double* own = sums_.data() + sums_step_ * lane;
  std::fill(own, own + sums_step_, 0.0);
  const std::vector<Task>& tasks = tasks_[static_cast<std::size_t>(lane)];
  const auto is_empty = [](const Task& task) { return task.first == task.last; };
  const auto first = static_cast<std::size_t>(std::find_if_not(tasks.begin(), tasks.end(), is_empty) - tasks.begin());
  const auto after = static_cast<std::size_t>(tasks.rend() - std::find_if_not(tasks.rbegin(), tasks.rend(), is_empty));
  for (std::size_t t = first; t < after; ++t) {
    const Sums sums{own, own + model_.n_w(), own + model_.n_w() + n_coefficients_ + t, lane == 0 ? counters_ : nullptr};
    engine_.run(net_, terms_[t], packed_.data(), w_.data(), tasks[t].first, tasks[t].last,
                workspaces_[static_cast<std::size_t>(thread)].template as<void>(), output_, sums, t == first,
                t + 1 == after);
  }
}

// The share of one of so many threads.
template <class T>
void Session<T>::work_share(int thread, int threads) {
  for (int lane = n_lanes_ * thread / threads; lane < n_lanes_ * (thread + 1) / threads; ++lane) work(lane, thread);
}

// Sums of the lanes in their order; then losses_, theta_bar_ (theta, then coefficients) and penalty_value_.
template <class T>
void Session<T>::reduce() {
  const Index n_w = model_.n_w(), n = n_w + n_coefficients_;
  std::copy(sums_.begin(), sums_.begin() + sums_step_, w_bar_.begin());
  for (int k = 1; k < n_lanes_; ++k) {
    const double* own = sums_.data() + sums_step_ * k;
    for (Index i = 0; i < sums_step_; ++i) w_bar_[i] += own[i];
  }
  for (std::size_t t = 0; t < terms_.size(); ++t) losses_[t] = w_bar_[n + t] / static_cast<double>(terms_[t].n_points);
  std::copy(w_bar_.begin() + n_w, w_bar_.begin() + n, theta_bar_.begin() + model_.n_theta());
  model_.pull_back(w_.data(), w_bar_.data(), theta_bar_.data());
}

template <class T>
void Session<T>::run_all() {
  const int threads = crew_->size();
  const auto started = Clock::now();
  share(threads, [this, threads](int thread) { work_share(thread, threads); });
  crew_->took(threads, seconds_since(started), amount_);
}

template <class T>
void Session<T>::loss_and_gradient(const T* theta, const T* coefficients, T* losses, T* penalty, T* theta_bar,
                                   T* coefficients_bar) {
  coefficients_ = coefficients;
  begin_step(theta);
  run_all();
  reduce();
  *penalty = penalty_ ? static_cast<T>((*penalty_)(theta, theta_bar_.data())) : T(0);
  for (std::size_t t = 0; t < terms_.size(); ++t) losses[t] = static_cast<T>(losses_[t]);
  for (Index k = 0; k < model_.n_theta(); ++k) theta_bar[k] = static_cast<T>(theta_bar_[k]);
  for (int k = 0; k < n_coefficients_; ++k) coefficients_bar[k] = static_cast<T>(theta_bar_[model_.n_theta() + k]);
}

template <class T>
void Session<T>::residuals_backward(const T* theta, const T* coefficients, const T* s, T* theta_bar, T* coefficients_bar,
                                    T* x_bar, T* residuals) {
  output_.s = s;
  output_.x_bar = x_bar;
  output_.residuals = residuals;
  coefficients_ = coefficients;
  begin_step(theta);
  run_all();
  reduce();
  for (Index k = 0; k < model_.n_theta(); ++k) theta_bar[k] = static_cast<T>(theta_bar_[k]);
  for (int k = 0; k < n_coefficients_; ++k) coefficients_bar[k] = static_cast<T>(theta_bar_[model_.n_theta() + k]);
}

template <class T>
Index Session<T>::train(AdamData<T>& adam, Index steps, double seconds, T* losses, int* failure) {
  const auto started = Clock::now();
  const Index n_theta = model_.n_theta(), n = n_theta + n_coefficients_;
  const int n_rows = static_cast<int>(terms_.size()) + 1;
  coefficients_ = adam.coefficients;
  *failure = NO_FAILURE;
  Index done = 0;
  bool go_on = steps > 0;
  Profile* watched = profile();
  counters_ = watched ? &watched->counters : nullptr;
  Clock::time_point last = started;
  // What happened since it was called last goes to this part of the profile.
  const auto book = [&](double Profile::*part) {
    if (!watched) return;
    const auto now = Clock::now();
    watched->*part += std::chrono::duration<double>(now - last).count();
    last = now;
  };
  const auto begin = [&] {
    begin_step(adam.theta);
    book(&Profile::packing);
  };
  if (go_on) begin();

  const auto update = [&] {
    reduce();
    book(&Profile::reduction);
    const double penalty = penalty_ ? (*penalty_)(adam.theta, theta_bar_.data()) : 0.0;
    T* row = losses + done * n_rows;
    for (int t = 0; t < n_rows; ++t) {
      row[t] = static_cast<T>(t + 1 < n_rows ? losses_[static_cast<std::size_t>(t)] : penalty);
      if (*failure == NO_FAILURE && !std::isfinite(row[t])) *failure = t;
    }
    bool finite = true;
    for (Index k = 0; k < n; ++k) finite &= std::isfinite(static_cast<T>(theta_bar_[k]));
    if (*failure == NO_FAILURE && !finite) *failure = n_rows;
    if (*failure != NO_FAILURE) {
      go_on = false;
      return;
    }
    std::copy(adam.theta, adam.theta + n_theta, adam.good[0]);
    std::copy(adam.coefficients, adam.coefficients + n_coefficients_, adam.good[1]);
    std::copy(adam.first_moment, adam.first_moment + n, adam.good[2]);
    std::copy(adam.second_moment, adam.second_moment + n, adam.good[3]);
    double rate = adam.lr;
    for (Index milestone : adam.milestones)
      if (milestone <= adam.step) rate *= adam.gamma;
    ++adam.step;
    const double correction1 = 1 - std::pow(adam.beta1, static_cast<double>(adam.step));
    const double correction2 = 1 - std::pow(adam.beta2, static_cast<double>(adam.step));
    const T one_minus1 = static_cast<T>(1 - adam.beta1), beta2 = static_cast<T>(adam.beta2),
            one_minus2 = static_cast<T>(1 - adam.beta2), inverse2 = static_cast<T>(1 / correction2),
            eps = static_cast<T>(adam.eps), scale = static_cast<T>(-rate / correction1);
    T *m = adam.first_moment, *v = adam.second_moment;
    for (Index k = 0; k < n; ++k) {
      const T g = static_cast<T>(theta_bar_[k]);
      m[k] += one_minus1 * (g - m[k]);
      v[k] = beta2 * v[k] + one_minus2 * (g * g);
      T& parameter = k < n_theta ? adam.theta[k] : adam.coefficients[k - n_theta];
      parameter += scale * m[k] / (std::sqrt(v[k] * inverse2) + eps);
    }
    ++done;
    if (watched) ++watched->steps;
    go_on = done < steps && seconds_since(started) < seconds;
    book(&Profile::update);
    if (go_on) begin();
  };

  while (go_on) {
    const int threads = crew_->size();
    const double round = crew_->round_seconds();
    const Index before = done;
    const auto began = Clock::now();
    bool is_over = false;
    TeamLease lease(threads);
    Team& team = *lease;
    team.run([&](int thread) {
      while (!is_over) {
        if (thread == 0) book(&Profile::waiting);
        work_share(thread, threads);
        if (thread == 0) book(&Profile::panels);
        team.barrier();
        if (thread == 0) {
          book(&Profile::waiting);
          update();
          is_over = !go_on || seconds_since(began) >= round;
        }
        team.barrier();
      }
    });
    if (done > before) crew_->took(threads, seconds_since(began), amount_ * static_cast<double>(done - before));
  }
  return done;
}

template <class T>
void Session<T>::jets(const Model& model, const Engine<T>& engine, int threads, const Rules& rules, const T* theta,
                      const Points<T>& points, T* out) {
  Session<T> own(model, engine, threads, {}, 0, nullptr);
  own.add_term(rules, nullptr, points, nullptr, T(0));
  own.output_.mode = Mode::jets;
  own.output_.jets = out;
  own.plan_lanes(threads, Mode::jets, 0);
  own.begin_step(theta);
  own.run_all();
}

// n - 1 if only the last of the n channels of an adjoint (N, n, F) has any entries, as of a Laplacian, else 0.
template <class T>
static int first_channel_of(const T* grad, Index n_points, int n, int fields) {
  for (Index i = 0; i < n_points; ++i, grad += static_cast<Index>(n) * fields)
    for (int k = 0; k < (n - 1) * fields; ++k)
      if (grad[k] != 0) return 0;  // NaN as well
  return n - 1;
}

template <class T>
void Session<T>::jets_backward(const Model& model, const Engine<T>& engine, int threads, const Rules& rules, const T* theta,
                               const Points<T>& points, const T* grad, T* theta_bar, T* x_bar) {
  Session<T> own(model, engine, threads, {}, 0, nullptr);
  own.add_term(rules, nullptr, points, nullptr, T(0));
  own.terms_[0].first_channel = first_channel_of(grad, points.n, rules.n_channels, own.net_.d_out);
  own.output_.mode = Mode::jets_backward;
  own.output_.jets = const_cast<T*>(grad);
  own.output_.x_bar = x_bar;
  own.plan_lanes(threads, Mode::jets_backward, 0);
  own.begin_step(theta);
  own.run_all();
  own.reduce();
  for (Index k = 0; k < model.n_theta(); ++k) theta_bar[k] = static_cast<T>(own.theta_bar_[k]);
}

template <class T>
void Session<T>::jacobian(const Model& model, const Engine<T>& engine, int threads, const ProgramOf& program, const T* theta,
                          const T* coefficients, int n_coefficients, const Points<T>& points, const T* columns,
                          T* residuals, T* out) {
  Session<T> own(model, engine, threads, {}, n_coefficients, nullptr);
  own.add_term(program.rules_view, &program.view, points, columns, T(1));
  own.coefficients_ = coefficients;
  own.begin_step(theta);
  const Sparse map = model.point_map(own.w_.data());
  std::vector<T> values(map.value.begin(), map.value.end());
  Output<T>& output = own.output_;
  output.mode = Mode::jacobian;
  output.residuals = residuals;
  output.jacobian = out;
  output.jacobian_coefficients = model.n_theta();
  output.jacobian_columns = model.n_theta() + n_coefficients;
  output.map_start = map.start.data();
  output.map_column = map.column.data();
  output.map_value = values.data();
  own.plan_lanes(threads, Mode::jacobian, output.jacobian_columns);
  own.run_all();
}

template class Session<float>;
template class Session<double>;
template double Penalty::operator()<float>(const float*, double*) const;
template double Penalty::operator()<double>(const double*, double*) const;

}  // namespace psinn
