// The Python face of the kernels. Tensors come as addresses: shapes, dtypes and contiguity are checked in backend.py.
// The interpreter lock is released while kernels run.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <tuple>

#include "session.h"

namespace py = pybind11;
using namespace psinn;

namespace {

using IndexArray = py::array_t<Index, py::array::c_style | py::array::forcecast>;
using DoubleArray = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Address = std::uintptr_t;

// Best first; every machine runs the last.
enum class Isa { avx512, avx2, baseline };

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
#if defined(PSINN_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    names.push_back("avx512");
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) names.push_back("avx2");
#endif
  names.push_back("baseline");
  return names;
}

Isa isa_of(const std::string& name) {
  for (const std::string& known : instruction_sets())
    if (known == name) return name == "avx512" ? Isa::avx512 : name == "avx2" ? Isa::avx2 : Isa::baseline;
  throw std::invalid_argument("instruction set not available: " + name);
}

template <class T>
const Engine<T>& engine(Isa isa);
template <>
const Engine<float>& engine<float>(Isa isa) {
#if defined(PSINN_X86)
  if (isa == Isa::avx512) return psinn_avx512::engine_float();
  if (isa == Isa::avx2) return psinn_avx2::engine_float();
#endif
  static_cast<void>(isa);
  return psinn_baseline::engine_float();
}
template <>
const Engine<double>& engine<double>(Isa isa) {
#if defined(PSINN_X86)
  if (isa == Isa::avx512) return psinn_avx512::engine_double();
  if (isa == Isa::avx2) return psinn_avx2::engine_double();
#endif
  static_cast<void>(isa);
  return psinn_baseline::engine_double();
}

template <class T>
T* at(Address address) {
  return reinterpret_cast<T*>(address);
}

std::vector<Index> vector_of(const IndexArray& array) { return {array.data(), array.data() + array.size()}; }
std::vector<double> vector_of(const DoubleArray& array) { return {array.data(), array.data() + array.size()}; }

Sparse sparse_of(const py::tuple& map) {
  return Sparse(map[0].cast<Index>(), map[1].cast<Index>(), vector_of(map[2].cast<IndexArray>()),
                vector_of(map[3].cast<IndexArray>()), vector_of(map[4].cast<DoubleArray>()));
}

std::vector<Orbit> orbits_of(const py::handle& list) {
  std::vector<Orbit> orbits;
  for (const py::handle item : list) {
    const auto own = item.cast<py::dict>();
    const auto neurons = own["neurons"].cast<std::vector<int>>(), slots = own["slots"].cast<std::vector<int>>(),
               operands = own["operands"].cast<std::vector<int>>();
    const auto sums = own["sums"].cast<std::vector<std::vector<float>>>();
    Orbit orbit{};
    orbit.size = static_cast<int>(neurons.size());
    orbit.repeat = own["repeat"].cast<int>();
    orbit.mixing = own["mixing"].cast<int>();
    orbit.mixing_after = own["mixing_after"].cast<int>();
    orbit.n_operands = static_cast<int>(operands.size());
    orbit.n_sums = static_cast<int>(sums.size());
    std::copy(neurons.begin(), neurons.end(), orbit.neuron);
    std::copy(slots.begin(), slots.end(), orbit.slot);
    std::copy(operands.begin(), operands.end(), orbit.operand);
    for (std::size_t i = 0; i < sums.size(); ++i) std::copy(sums[i].begin(), sums[i].end(), orbit.sum[i]);
    orbits.push_back(orbit);
  }
  return orbits;
}

// See packing.py for the dictionaries.
std::unique_ptr<Model> make_model(const py::dict& given) {
  NetworkSpec spec;
  spec.d_in = given["d_in"].cast<int>();
  spec.d_out = given["d_out"].cast<int>();
  spec.width0 = given["width0"].cast<int>();
  spec.embedded = given["embedded"].cast<bool>();
  spec.wiring = static_cast<Wiring>(given["wiring"].cast<int>());
  spec.weight0 = given["weight0"].cast<Index>();
  spec.bias0 = given["bias0"].cast<Index>();
  spec.activation = static_cast<Activation>(given["activation"].cast<int>());
  spec.orbits0 = orbits_of(given["orbits"]);
  spec.expansion = sparse_of(given["expansion"].cast<py::tuple>());
  for (const py::handle fold : given["folds"].cast<py::list>()) {
    const auto numbers = fold.cast<std::vector<Index>>();
    spec.folds.push_back({numbers.at(0), numbers.at(1), numbers.at(2)});
  }
  for (const py::handle item : given["layers"].cast<py::list>()) {
    const auto own = item.cast<py::dict>();
    LayerSpec layer{};
    layer.fan_in = own["fan_in"].cast<int>();
    layer.fan_out = own["fan_out"].cast<int>();
    layer.n_slots = own["n_slots"].cast<int>();
    layer.n_operands = own["n_operands"].cast<int>();
    layer.bias = own["bias"].cast<Index>();
    for (const py::handle product : own["products"].cast<py::list>()) {
      const auto numbers = product.cast<std::vector<Index>>();
      layer.products.push_back({static_cast<int>(numbers.at(0)), static_cast<int>(numbers.at(1)), static_cast<int>(numbers.at(2)),
                                static_cast<int>(numbers.at(3)), numbers.at(4), 0, 0, 0});
    }
    if (!own["pre"].is_none()) layer.pre = std::make_unique<Sparse>(sparse_of(own["pre"].cast<py::tuple>()));
    if (!own["post"].is_none()) layer.post = std::make_unique<Sparse>(sparse_of(own["post"].cast<py::tuple>()));
    layer.orbits = orbits_of(own["orbits"]);
    spec.layers.push_back(std::move(layer));
  }
  return std::make_unique<Model>(std::move(spec));
}

std::vector<Monomial> monomials_of(const py::handle& list) {
  std::vector<Monomial> result;
  for (const py::handle item : list) {
    const auto pair = item.cast<std::pair<double, std::vector<int>>>();
    Monomial monomial{pair.first, static_cast<int>(pair.second.size()), {0, 0, 0, 0}};
    for (std::size_t i = 0; i < pair.second.size(); ++i) monomial.factors[i] = pair.second[i];
    result.push_back(monomial);
  }
  return result;
}

std::shared_ptr<RulesOf> make_rules(const py::dict& given) {
  auto rules = std::make_shared<RulesOf>();
  rules->orders = given["orders"].cast<std::vector<int>>();
  rules->order = given["order"].cast<int>();
  rules->leading = given["leading"].cast<std::vector<int>>();
  for (const py::handle unit : given["units"].cast<py::list>()) {
    const auto pair = unit.cast<std::pair<int, int>>();
    rules->unit_axes.push_back(pair.first);
    rules->unit_channels.push_back(pair.second);
  }
  const auto append = [&](const py::handle& list) {
    const int first = static_cast<int>(rules->monomials.size());
    for (const Monomial& monomial : monomials_of(list)) rules->monomials.push_back(monomial);
    return std::make_pair(first, static_cast<int>(rules->monomials.size()));
  };
  for (const py::handle item : given["parts"].cast<py::list>()) {
    const auto own = item.cast<py::tuple>();  // channel, order, monomials, [(b, monomials)]
    Part part{};
    part.channel = own[0].cast<int>();
    part.order = own[1].cast<int>();
    std::tie(part.first, part.last) = append(own[2]);
    part.partial_first = static_cast<int>(rules->partials.size());
    for (const py::handle entry : own[3].cast<py::list>()) {
      const auto pair = entry.cast<py::tuple>();
      Partial partial{pair[0].cast<int>(), 0, 0};
      std::tie(partial.first, partial.last) = append(pair[1]);
      rules->partials.push_back(partial);
    }
    part.partial_last = static_cast<int>(rules->partials.size());
    rules->parts.push_back(part);
  }
  rules->n_slopes = given["n_slopes"].cast<int>();
  rules->n_forward_rows = given["n_forward_rows"].cast<int>();
  rules->n_rows = given["n_rows"].cast<int>();
  rules->n_product_rows = given["n_product_rows"].cast<int>();
  for (const py::handle item : given["rows"].cast<py::list>()) {
    const auto own = item.cast<py::tuple>();  // result, adds, [(a, b, factor)]
    RecurrenceRow row{own[0].cast<int>(), own[1].cast<bool>(), static_cast<int>(rules->products.size()), 0};
    for (const py::handle entry : own[2].cast<py::list>()) {
      const auto [a, b, factor] = entry.cast<std::tuple<int, int, double>>();
      rules->products.push_back({a, b, factor});
    }
    row.last = static_cast<int>(rules->products.size());
    rules->rows.push_back(row);
  }
  rules->finish();
  return rules;
}

std::unique_ptr<ProgramOf> make_program(const py::dict& given) {
  auto program = std::make_unique<ProgramOf>();
  program->rules = given["rules"].cast<std::shared_ptr<RulesOf>>();
  program->n_sites = given["n_sites"].cast<int>();
  program->n_columns = given["n_columns"].cast<int>();
  program->n_forward = given["n_forward"].cast<int>();
  program->n_registers = given["n_registers"].cast<int>();
  program->first_channel = given["first_channel"].cast<int>();
  for (const py::handle item : given["inputs"].cast<py::list>()) {
    const auto n = item.cast<std::vector<int>>();
    program->inputs.push_back({static_cast<Source>(n.at(0)), n.at(1), n.at(2), n.at(3), n.at(4)});
  }
  for (const py::handle item : given["instructions"].cast<py::list>()) {
    const auto own = item.cast<py::tuple>();
    program->instructions.push_back({static_cast<Op>(own[0].cast<int>()), own[1].cast<int>(), own[2].cast<int>(),
                                     own[3].cast<int>(), own[4].cast<double>()});
  }
  program->residuals = given["residuals"].cast<std::vector<int>>();
  for (const py::handle item : given["gradients"].cast<py::list>()) {
    const auto pair = item.cast<std::pair<int, int>>();
    program->gradients.push_back({pair.first, pair.second});
  }
  program->finish();
  return program;
}

// (x, features or 0, N)
using PointsTuple = std::tuple<Address, Address, Index>;

template <class T>
Points<T> points_of(const PointsTuple& given) {
  return {at<const T>(std::get<0>(given)), at<const T>(std::get<1>(given)), std::get<2>(given)};
}

// (program, points, columns, weight)
using TermTuple = std::tuple<const ProgramOf*, PointsTuple, Address, double>;

template <class T>
std::vector<TermData<T>> terms_of(const std::vector<TermTuple>& terms) {
  std::vector<TermData<T>> result;
  for (const auto& [program, points, columns, weight] : terms)
    result.push_back({program, points_of<T>(points), at<const T>(columns), weight});
  return result;
}

template <class T>
void loss_and_gradient(const Model& model, Isa isa, int threads, const std::vector<TermTuple>& terms, Address theta,
                       Address coefficients, int n_coefficients, const Penalty* penalty, Address losses, Address value,
                       Address theta_bar, Address coefficients_bar) {
  auto data = terms_of<T>(terms);
  py::gil_scoped_release release;
  Session<T> session(model, engine<T>(isa), threads, std::move(data), n_coefficients, penalty);
  session.loss_and_gradient(at<const T>(theta), at<const T>(coefficients), at<T>(losses), at<T>(value), at<T>(theta_bar),
                            at<T>(coefficients_bar));
}

template <class T>
void residuals_backward(const Model& model, Isa isa, int threads, const TermTuple& term, Address theta, Address coefficients,
                        int n_coefficients, Address s, Address theta_bar, Address coefficients_bar, Address x_bar,
                        Address residuals) {
  auto data = terms_of<T>({term});
  py::gil_scoped_release release;
  Session<T> session(model, engine<T>(isa), threads, std::move(data), n_coefficients, nullptr);
  session.residuals_backward(at<const T>(theta), at<const T>(coefficients), at<const T>(s), at<T>(theta_bar),
                             at<T>(coefficients_bar), at<T>(x_bar), at<T>(residuals));
}

// Adds the steps done to *count as well: an exception raised on the way back into Python must not lose them.
// state: theta, coefficients, two moments, then the four of the last good step; settings: lr, gamma, betas, eps.
template <class T>
int train(const Model& model, Isa isa, int threads, const std::vector<TermTuple>& terms,
                const std::array<Address, 8>& state, int n_coefficients, const std::array<double, 5>& settings,
                const std::vector<Index>& milestones, Index step, const Penalty* penalty, Index steps, double seconds,
                Address losses, Address count) {
  auto data = terms_of<T>(terms);
  AdamData<T> adam{at<T>(state[0]), at<T>(state[1]), at<T>(state[2]), at<T>(state[3]),
                   {at<T>(state[4]), at<T>(state[5]), at<T>(state[6]), at<T>(state[7])},
                   settings[0], settings[1], settings[2], settings[3], settings[4], milestones, step};
  int failure;
  {
    py::gil_scoped_release release;
    Session<T> session(model, engine<T>(isa), threads, std::move(data), n_coefficients, penalty);
    const Index done = session.train(adam, steps, seconds, at<T>(losses), &failure);
    *at<Index>(count) += done;
  }
  return failure;
}

template <class T>
void jets(const Model& model, Isa isa, int threads, const std::shared_ptr<RulesOf>& rules, Address theta,
          const PointsTuple& points, Address out) {
  py::gil_scoped_release release;
  const Rules view = rules->view();
  Session<T>::jets(model, engine<T>(isa), threads, view, at<const T>(theta), points_of<T>(points), at<T>(out));
}

template <class T>
void jets_backward(const Model& model, Isa isa, int threads, const std::shared_ptr<RulesOf>& rules, Address theta,
                   const PointsTuple& points, Address grad, Address theta_bar, Address x_bar) {
  py::gil_scoped_release release;
  const Rules view = rules->view();
  Session<T>::jets_backward(model, engine<T>(isa), threads, view, at<const T>(theta), points_of<T>(points), at<const T>(grad),
                            at<T>(theta_bar), at<T>(x_bar));
}

template <class T>
void jacobian(const Model& model, Isa isa, int threads, const ProgramOf& program, Address theta, Address coefficients,
              int n_coefficients, const PointsTuple& points, Address columns, Address residuals, Address out) {
  py::gil_scoped_release release;
  Session<T>::jacobian(model, engine<T>(isa), threads, program, at<const T>(theta), at<const T>(coefficients), n_coefficients,
                       points_of<T>(points), at<const T>(columns), at<T>(residuals), at<T>(out));
}

// Below this many multiply-adds another thread costs more than it saves.
constexpr Index GRAM_WORK_PER_THREAD = 500000;
// A kind of work beside those of `Mode`.
constexpr int GRAM = 100;

template <class T, class Sum>
void gram(Isa isa, int threads, Address jacobian, Address r, Index rows, Index n, Address out) {
  py::gil_scoped_release release;
  const Engine<T>& use = engine<T>(isa);
  const Index blocks = use.gram_blocks(n), useful = rows * n * n / 2 / GRAM_WORK_PER_THREAD;
  const Index size = std::max<Index>(1, std::min<Index>({threads, blocks, useful}));
  const double work = static_cast<double>(rows * n * n) * sizeof(T);
  const auto crew = crew_for(GRAM, static_cast<int>(size), work);
  const Index taken = crew->size();
  std::vector<Buffer> memory;
  for (Index k = 0; k < taken; ++k) memory.emplace_back(use.gram_workspace(n));
  const auto started = std::chrono::steady_clock::now();
  share(static_cast<int>(taken), [&](int thread) {
    const Index first = blocks * thread / taken, last = blocks * (thread + 1) / taken;
    void* own = memory[static_cast<std::size_t>(thread)].template as<void>();
    const T *j = at<const T>(jacobian), *residuals = at<const T>(r);
    if constexpr (std::is_same_v<Sum, T>)
      use.gram(j, residuals, rows, n, at<Sum>(out), first, last, own);
    else
      use.double_gram(j, residuals, rows, n, at<Sum>(out), first, last, own);
  });
  crew->took(static_cast<int>(taken), std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(), work);
}

// Fused multiply-adds per second of `threads` cores at once, registers only.
template <class T>
double peak(Isa isa, int threads, double seconds) {
  py::gil_scoped_release release;
  std::vector<double> rates(static_cast<std::size_t>(threads));
  TeamLease team(threads);
  (*team).run([&](int thread) { rates[static_cast<std::size_t>(thread)] = engine<T>(isa).peak(seconds); });
  double sum = 0;
  for (double rate : rates) sum += rate;
  return sum;
}

template <class T>
void tanh_of(Isa isa, Address x, Address y, Index n) {
  py::gil_scoped_release release;
  engine<T>(isa).tanh(at<const T>(x), at<T>(y), n);
}

// What steps of `train` book their time in.
class Watch {
 public:
  void start() { profile() = &own_; }
  void stop() { profile() = nullptr; }
  ~Watch() { stop(); }

  // Seconds by part, of all steps; and how many these were.
  py::tuple seconds() const {
    py::dict found;
    for (const auto& [name, seconds] : seconds_by_part(own_)) found[name] = seconds;
    return py::make_tuple(found, own_.steps);
  }

 private:
  Profile own_;
};

template <class T>
void define(py::module_& module, const std::string& suffix) {
  module.def(("loss_and_gradient" + suffix).c_str(), &loss_and_gradient<T>);
  module.def(("residuals_backward" + suffix).c_str(), &residuals_backward<T>);
  module.def(("train" + suffix).c_str(), &train<T>);
  module.def(("jets" + suffix).c_str(), &jets<T>);
  module.def(("jets_backward" + suffix).c_str(), &jets_backward<T>);
  module.def(("jacobian" + suffix).c_str(), &jacobian<T>);
  module.def(("gram" + suffix).c_str(), &gram<T, T>);
  module.def(("peak" + suffix).c_str(), &peak<T>);
  module.def(("tanh" + suffix).c_str(), &tanh_of<T>);
}

}  // namespace

PYBIND11_MODULE(_native, module) {
  py::class_<Watch>(module, "Watch")
      .def(py::init<>())
      .def("start", &Watch::start)
      .def("stop", &Watch::stop)
      .def("seconds", &Watch::seconds);
  module.doc() = "Fused CPU kernels; use psinn_fast.kernels.cpu.backend.";
  py::enum_<Isa>(module, "Isa");
  py::class_<Model>(module, "Model").def(py::init(&make_model));
  py::class_<RulesOf, std::shared_ptr<RulesOf>>(module, "Rules").def(py::init(&make_rules));
  module.def("gram_float32_in_float64", &gram<float, double>);
  py::class_<ProgramOf>(module, "Program").def(py::init(&make_program));
  py::class_<Penalty>(module, "Penalty").def(py::init([](int kind, double strength, const std::vector<std::array<Index, 4>>& parts) {
    Penalty penalty;
    penalty.kind = static_cast<Penalty::Kind>(kind);
    penalty.strength = strength;
    for (const auto& part : parts) penalty.parts.push_back({part[0], part[1], part[2], part[3]});
    return penalty;
  }));
  py::class_<Crew>(module, "Crew").def(py::init<int>()).def("size", &Crew::size).def("took", &Crew::took);
  module.def("take_all_threads", &take_all_threads);
  module.def("borrow_openmp", [](const std::string& library) { return borrow_openmp(library.c_str()); });
  module.def("instruction_sets", &instruction_sets);
  module.def("isa", &isa_of);
  define<float>(module, "_float32");
  define<double>(module, "_float64");
}
