// What a kernel runs on: plain arrays, filled once per plan (bindings.cpp), read by the code of every instruction set.
#pragma once

#include <cstdint>

#include "counters.h"

namespace psinn {

#include "activations.h"

using Index = std::int64_t;

// All derivatives to order 4 in 4 inputs, and the Laplacians over all sets of axes.
constexpr int MOST_CHANNELS = 70 + 15;

// Rows per block of a packed weight matrix; a block is stored [k][row].
constexpr int BLOCK_ROWS = 6;
// Sides of a block of the weight gradient, which is stored block after block, 16 numbers each.
constexpr int GRADIENT_SIDE = 4;
constexpr int GRADIENT_BLOCK = GRADIENT_SIDE * GRADIENT_SIDE;

constexpr int row_blocks(int n) { return (n + BLOCK_ROWS - 1) / BLOCK_ROWS; }
// End of block k of n things cut into `count` blocks of about equal size.
constexpr int block_end(int n, int k, int count) { return n * (k + 1) / count; }

// slots[out : out + n_out] += W operands[in : in + n_in]. The offsets say where the packed W, the packed W^T and the
// blocks of the gradient lie in the buffers of all products.
struct Product {
  int out, n_out, in, n_in;
  Index weight;  // of W, row-major, in w
  Index packed, packed_t, gradient;
};

// out[rows + k] = coefficient (n_out x n_in, row-major) in[columns + k] for k = 0..repeat-1: a block structure has the
// same small matrix for all neurons of its blocks.
template <class T>
struct Group {
  int n_in, n_out, repeat;
  const int* in;
  const int* out;
  const T* coefficient;
};

// A sparse linear map of features, as small dense groups; n_groups = 0 stands for the identity.
template <class T>
struct Transform {
  int n_groups;
  const Group<T>* groups;
};

// Neurons that one layer's slots and the next one's operands mix with each other only (kernels/network/orbits.py).
constexpr int MOST_IN_ORBIT = 4;
struct Orbit {
  int size, repeat;          // size 1, 2 or 4
  // Sizes of the Walsh-Hadamard matrices, side by side, that make pre-activations of slots and operands of outputs.
  int mixing, mixing_after;
  int n_operands, n_sums;    // if there are sums, they are the operands, whatever mixing_after says
  int neuron[MOST_IN_ORBIT], slot[MOST_IN_ORBIT], operand[MOST_IN_ORBIT];
  float sum[MOST_IN_ORBIT][MOST_IN_ORBIT];
};
struct Orbits {
  int count;
  const Orbit* items;
  Activation activation;
};

// An affine layer behind a hidden one (the first layer has its own form). `once`: every row is the output of exactly
// one product, so nothing has to be cleared first. `orbits` lead from its slots, after `post`, to the next operands,
// before `pre`: what they do is left out of the two.
template <class T>
struct Layer {
  int fan_in, fan_out, n_slots, n_operands;
  int n_products;
  const Product* products;
  bool slots_once, operands_once;
  Index bias;  // in w, or -1
  Transform<T> pre, pre_t, post, post_t;
  Orbits orbits;
};

// How hidden layers are connected (kernels/network/wiring.py). Of a gated network the three layers on the inputs come as one,
// whose neurons are those of U, of V and of the first hidden layer.
enum class Wiring : int { plain, gated, residual };

// z = A x + b first, dense: with 1 to 4 inputs a structure saves nothing there. Or, `embedded`, the first "layer" is
// given: width0 functions of the coordinates, whose jets each term brings along, and all affine layers are in `layers`.
template <class T>
struct Network {
  int d_in, d_out, n_layers, width0;
  bool embedded;
  Wiring wiring;
  Index weight0, bias0;  // in w; bias0 may be -1
  Orbits orbits0;
  const Layer<T>* layers;  // n_layers - 1
  Index n_w, n_packed, n_gradient;
  int widest;
};

struct Monomial {
  double coefficient;
  int n_factors;
  int factors[4];
};

// derivative(part) of the sum of a part's monomials by channel b, again monomials.
struct Partial {
  int b, first, last;
};

struct Part {
  int channel, order;
  int first, last;                  // monomials
  int partial_first, partial_last;  // partials
};

// v[result] = (adds ? v[result] : 0) + sum of coefficient v[a] v[b]; see kernels/language/recurrence.py. After v[a] v[b] is
// added, the sum so far is multiplied by `factor`.
struct RecurrenceProduct {
  int a, b;
  double factor;
};
struct RecurrenceRow {
  int result;
  bool adds;
  int first, last;  // products
};

// The chain rule h = a(z) and the product rule for a channel set; see kernels/language/channels.py, which computes them.
struct Rules {
  int n_channels, order, n_parts, n_leading, n_units;
  const int* orders;   // per channel
  const Part* parts;   // sorted by channel
  const int* leading;  // parts that remain where second and higher derivatives of z vanish
  const int* unit_axes;
  const int* unit_channels;
  const Monomial* monomials;
  const Partial* partials;
  // The chain rule as a recurrence: rows of the forward pass, then those of its adjoint. From row n_rows on, the same of a
  // product (kernels/language/jet_product.py): rows of c += a b, from n_product_rows on those of the adjoint.
  int n_slopes, n_forward_rows, n_rows, n_product_rows, n_all_rows;
  const RecurrenceRow* rows;
  const RecurrenceProduct* products;
  int known_set;  // its number in sets.h, or -1
  bool serves_last_alone;
};

enum class Op : int {
  constant, neg, reciprocal, sqrt, exp, log, sin, cos, tan, sinh, cosh, tanh, atan, abs, sign,
  add, mul, div, pow, max, min, gt
};
enum class Source : int { jet, coordinate, column, coefficient, adjoint };

struct Instruction {
  Op op;
  int a, b, result;
  double value;
};

// Input register r is filled from (source, i, j, k), by source: jet (site, field, channel), coordinate (site, axis),
// column (number), coefficient (number), adjoint (residual).
struct InputRegister {
  Source source;
  int i, j, k, result;
};

struct Gradient {
  int input, result;  // index of the input; register of its adjoint
};

// A residual program (kernels/language/program.py) after register allocation.
struct Program {
  int n_sites, n_columns, n_inputs, n_instructions, n_forward, n_residuals, n_gradients, n_registers;
  int first_channel;  // no input reads a channel before it
  const InputRegister* inputs;
  const Instruction* instructions;
  const int* residuals;
  const Gradient* gradients;
};

// What the points of one loss term (or of operations 1 and 2) need.
template <class T>
struct Term {
  const Rules* rules;
  const Program* program;  // null for operations 1 and 2
  const T* points;         // (n_sites, n_points, d_in)
  const T* columns;        // (n_points, n_columns)
  const T* features;       // (n_sites, width0, n_channels, n_points), or null: see Network
  const T* powers;         // (width0, n_channels): see first_layer.h
  const T* coefficients;
  Index n_points;
  int n_sites, first_channel;
  T factor;                // d loss / d r = factor * r
};

enum class Mode : int { jets, jets_backward, loss, jacobian };

// Where results go. `jets`: (N, C, F), the output of operation 1 or the adjoint given to operation 2.
template <class T>
struct Output {
  Mode mode;
  T* jets;
  T* x_bar;      // (n_sites, N, d_in) or null
  const T* s;    // (N, m), adjoints of the residuals; null: those of their mean square
  T* residuals;  // (N, m)
  T* jacobian;   // (N, m, n_columns)
  Index jacobian_columns, jacobian_coefficients;
  // w_bar -> theta_bar point by point: entries of E by row of w.
  const Index* map_start;
  const Index* map_column;
  const T* map_value;
};

// A thread's sums, in double.
struct Sums {
  double* w;             // n_w
  double* coefficients;  // n_coefficients
  double* squares;       // of this term's residuals
  Counters* counters;    // or null
};

// The compiled code of one instruction set for one number type.
template <class T>
struct Engine {
  int lanes;
  // Points of a tile, the unit of work: threads take whole tiles.
  int (*tile_points)(const Network<T>&, const Term<T>&);
  // Bytes a thread needs for tiles of this term.
  Index (*workspace)(const Network<T>&, const Term<T>&, Mode, Index jacobian_columns);
  // Run tiles [first, last); packed: the packed weights; w: the expanded vector. Between begin_step and end_step a
  // thread's ranges share a workspace, which holds what they sum up together.
  void (*run)(const Network<T>&, const Term<T>&, const T* packed, const T* w, Index first, Index last, void* workspace,
              const Output<T>&, const Sums&, bool begin_step, bool end_step);
  void (*tanh)(const T* x, T* y, Index n);
  // See gram.h; blocks of n columns and r, and the bytes that a thread needs for them. The sums are T or double.
  Index (*gram_blocks)(Index n);
  Index (*gram_workspace)(Index n);
  void (*gram)(const T* jacobian, const T* r, Index rows, Index n, T* out, Index first, Index last, void* workspace);
  void (*double_gram)(const T* jacobian, const T* r, Index rows, Index n, double* out, Index first, Index last,
                      void* workspace);
  // Multiply-adds per second of one core, the best of a short loop.
  double (*peak)(double seconds);
};

}  // namespace psinn

#define PSINN_DECLARE_ENGINE(name)                   \
  namespace name {                                   \
  const psinn::Engine<float>& engine_float();        \
  const psinn::Engine<double>& engine_double();      \
  }
PSINN_DECLARE_ENGINE(psinn_baseline)
PSINN_DECLARE_ENGINE(psinn_avx2)
PSINN_DECLARE_ENGINE(psinn_avx512)
#undef PSINN_DECLARE_ENGINE
