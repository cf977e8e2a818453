// Written by make_activations.py. The names; with PSINN_FORMULAS, for numbers V of type T and by functions of the
// namespace in which this is included, each activation's
//   forward(z, order, kept, f): what its derivatives follow from without a call, then f[k] = a^(k)(z) for k = 0..order;
//   backward(kept, order, f): f[k] for k = 1..order from what was kept.

#if !defined(PSINN_FORMULAS)
enum class Activation : int { tanh, sin, silu, gelu, softplus };
// How many numbers each keeps of a pre-activation.
constexpr int N_KEPT[] = {1, 2, 2, 3, 1}, MOST_KEPT = 3;
#else
struct Tanh {
  static constexpr int n_kept = 1;
  template <class T, class V>
  static PSINN_INLINE void forward(V z, int order, V* kept, V* f) {
    const V t = tanh<T>(z);
    kept[0] = t;
    if (order < 0) return;
    const V f0 = t;
    f[0] = f0;
    if (order < 1) return;
    const V f1 = T(1) - t * t;
    f[1] = f1;
    if (order < 2) return;
    const V f2 = -T(2) * t * f1;
    f[2] = f2;
    if (order < 3) return;
    const V f3 = f1 * (T(4) - T(6) * f1);
    f[3] = f3;
    if (order < 4) return;
    const V f4 = t * (f1 * (T(24) * f1 - T(8)));
    f[4] = f4;
  }
  template <class T, class V>
  static PSINN_INLINE void backward(const V* kept, int order, V* f) {
    const V t = kept[0];
    if (order < 1) return;
    const V f1 = T(1) - t * t;
    f[1] = f1;
    if (order < 2) return;
    const V f2 = -T(2) * t * f1;
    f[2] = f2;
    if (order < 3) return;
    const V f3 = f1 * (T(4) - T(6) * f1);
    f[3] = f3;
    if (order < 4) return;
    const V f4 = t * (f1 * (T(24) * f1 - T(8)));
    f[4] = f4;
    if (order < 5) return;
    const V f5 = f1 * (T(16) + (t * t) * (T(120) * (t * t) - T(120)));
    f[5] = f5;
  }
};
struct Sin {
  static constexpr int n_kept = 2;
  template <class T, class V>
  static PSINN_INLINE void forward(V z, int order, V* kept, V* f) {
    const V s = sin<T>(z);
    const V c = cos<T>(z);
    kept[0] = s;
    kept[1] = c;
    if (order < 0) return;
    const V f0 = s;
    f[0] = f0;
    if (order < 1) return;
    const V f1 = c;
    f[1] = f1;
    if (order < 2) return;
    const V f2 = -s;
    f[2] = f2;
    if (order < 3) return;
    const V f3 = -c;
    f[3] = f3;
    if (order < 4) return;
    const V f4 = s;
    f[4] = f4;
  }
  template <class T, class V>
  static PSINN_INLINE void backward(const V* kept, int order, V* f) {
    const V s = kept[0];
    const V c = kept[1];
    if (order < 1) return;
    const V f1 = c;
    f[1] = f1;
    if (order < 2) return;
    const V f2 = -s;
    f[2] = f2;
    if (order < 3) return;
    const V f3 = -c;
    f[3] = f3;
    if (order < 4) return;
    const V f4 = s;
    f[4] = f4;
    if (order < 5) return;
    const V f5 = c;
    f[5] = f5;
  }
};
struct Silu {
  static constexpr int n_kept = 2;
  template <class T, class V>
  static PSINN_INLINE void forward(V z, int order, V* kept, V* f) {
    const V g = sigmoid<T>(z);
    kept[0] = z;
    kept[1] = g;
    if (order < 0) return;
    const V f0 = z * g;
    f[0] = f0;
    if (order < 1) return;
    const V g1 = g * (T(1) - g);
    const V f1 = g + z * g1;
    f[1] = f1;
    if (order < 2) return;
    const V g2 = g1 * (T(1) - T(2) * g);
    const V f2 = T(2) * g1 + z * g2;
    f[2] = f2;
    if (order < 3) return;
    const V g3 = g1 * (T(1) - T(6) * g1);
    const V f3 = T(3) * g2 + z * g3;
    f[3] = f3;
    if (order < 4) return;
    const V g4 = g2 * (T(1) - T(12) * g1);
    const V f4 = T(4) * g3 + z * g4;
    f[4] = f4;
  }
  template <class T, class V>
  static PSINN_INLINE void backward(const V* kept, int order, V* f) {
    const V z = kept[0];
    const V g = kept[1];
    if (order < 1) return;
    const V g1 = g * (T(1) - g);
    const V f1 = g + z * g1;
    f[1] = f1;
    if (order < 2) return;
    const V g2 = g1 * (T(1) - T(2) * g);
    const V f2 = T(2) * g1 + z * g2;
    f[2] = f2;
    if (order < 3) return;
    const V g3 = g1 * (T(1) - T(6) * g1);
    const V f3 = T(3) * g2 + z * g3;
    f[3] = f3;
    if (order < 4) return;
    const V g4 = g2 * (T(1) - T(12) * g1);
    const V f4 = T(4) * g3 + z * g4;
    f[4] = f4;
    if (order < 5) return;
    const V g5 = g1 * (T(1) - g1 * (T(30) - T(120) * g1));
    const V f5 = T(5) * g4 + z * g5;
    f[5] = f5;
  }
};
struct Gelu {
  static constexpr int n_kept = 3;
  template <class T, class V>
  static PSINN_INLINE void forward(V z, int order, V* kept, V* f) {
    const V y = z * z;
    const V p = T(0.3989422804014327) * exp<T>(-T(0.5) * y);
    const V q = T(0.5) + T(0.5) * erf<T>(T(0.7071067811865476) * z);
    kept[0] = z;
    kept[1] = p;
    kept[2] = q;
    if (order < 0) return;
    const V f0 = z * q;
    f[0] = f0;
    if (order < 1) return;
    const V p1 = p * z;
    const V f1 = q + p1;
    f[1] = f1;
    if (order < 2) return;
    const V p2 = p1 * z;
    const V f2 = T(2) * p - p2;
    f[2] = f2;
    if (order < 3) return;
    const V p3 = p2 * z;
    const V f3 = p3 - T(4) * p1;
    f[3] = f3;
    if (order < 4) return;
    const V f4 = T(7) * p2 - p3 * z - T(4) * p;
    f[4] = f4;
  }
  template <class T, class V>
  static PSINN_INLINE void backward(const V* kept, int order, V* f) {
    const V z = kept[0];
    const V p = kept[1];
    const V q = kept[2];
    if (order < 1) return;
    const V p1 = p * z;
    const V f1 = q + p1;
    f[1] = f1;
    if (order < 2) return;
    const V p2 = p1 * z;
    const V f2 = T(2) * p - p2;
    f[2] = f2;
    if (order < 3) return;
    const V p3 = p2 * z;
    const V f3 = p3 - T(4) * p1;
    f[3] = f3;
    if (order < 4) return;
    const V f4 = T(7) * p2 - p3 * z - T(4) * p;
    f[4] = f4;
    if (order < 5) return;
    const V f5 = p3 * z * z - T(11) * p3 + T(18) * p1;
    f[5] = f5;
  }
};
struct Softplus {
  static constexpr int n_kept = 1;
  template <class T, class V>
  static PSINN_INLINE void forward(V z, int order, V* kept, V* f) {
    const V g = sigmoid<T>(z);
    kept[0] = g;
    if (order < 0) return;
    const V f0 = softplus<T>(z);
    f[0] = f0;
    if (order < 1) return;
    const V f1 = g;
    f[1] = f1;
    if (order < 2) return;
    const V g1 = g * (T(1) - g);
    const V f2 = g1;
    f[2] = f2;
    if (order < 3) return;
    const V g2 = g1 * (T(1) - T(2) * g);
    const V f3 = g2;
    f[3] = f3;
    if (order < 4) return;
    const V g3 = g1 * (T(1) - T(6) * g1);
    const V f4 = g3;
    f[4] = f4;
  }
  template <class T, class V>
  static PSINN_INLINE void backward(const V* kept, int order, V* f) {
    const V g = kept[0];
    if (order < 1) return;
    const V f1 = g;
    f[1] = f1;
    if (order < 2) return;
    const V g1 = g * (T(1) - g);
    const V f2 = g1;
    f[2] = f2;
    if (order < 3) return;
    const V g2 = g1 * (T(1) - T(2) * g);
    const V f3 = g2;
    f[3] = f3;
    if (order < 4) return;
    const V g3 = g1 * (T(1) - T(6) * g1);
    const V f4 = g3;
    f[4] = f4;
    if (order < 5) return;
    const V g4 = g2 * (T(1) - T(12) * g1);
    const V f5 = g4;
    f[5] = f5;
  }
};
// action(an activation's formulas).
template <class Action>
PSINN_INLINE void with_activation(psinn::Activation kind, const Action& action) {
  switch (kind) {
    case psinn::Activation::tanh: return action(Tanh{});
    case psinn::Activation::sin: return action(Sin{});
    case psinn::Activation::silu: return action(Silu{});
    case psinn::Activation::gelu: return action(Gelu{});
    case psinn::Activation::softplus: return action(Softplus{});
  }
}
#endif
