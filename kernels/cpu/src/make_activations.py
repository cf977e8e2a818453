"""Prints activations.h: the activations of kernels/language/activations.py, for vectors and for numbers.

Run from the top of the repository: python kernels/cpu/src/make_activations.py > kernels/cpu/src/activations.h
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from psinn_fast.kernels.language.activations import ACTIVATIONS, HIGHEST, Activation

HEAD = """\
// Written by make_activations.py. The names; with PSINN_FORMULAS, for numbers V of type T and by functions of the
// namespace in which this is included, each activation's
//   forward(z, order, kept, f): what its derivatives follow from without a call, then f[k] = a^(k)(z) for k = 0..order;
//   backward(kept, order, f): f[k] for k = 1..order from what was kept.
"""
TEMPLATE = "  template <class T, class V>"


def _cpp(activation: Activation, expression: str) -> str:
    text = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)(?![\w.])", r"T(\1)", expression)
    for function in activation.functions:
        text = re.sub(rf"\b{function}\(", f"{function}<T>(", text)
    return text


class _Lines:
    """The body of a function that computes names once each."""

    def __init__(self, activation: Activation, known: Iterable[str]) -> None:
        self._activation, self._known = activation, set(known)
        self.lines: list[str] = []

    def add(self, steps: Iterable[tuple[str, str]]) -> None:
        for name, expression in steps:
            if name not in self._known:
                self._known.add(name)
                self.lines.append(f"    const V {name} = {_cpp(self._activation, expression)};")

    def form(self, order: int, steps: Iterable[tuple[str, str]]) -> None:
        self.lines.append(f"    if (order < {order}) return;")
        self.add(steps)
        self.lines.append(f"    f[{order}] = f{order};")


def _struct(own: Activation) -> list[str]:
    forward, backward = _Lines(own, ["z"]), _Lines(own, own.results)
    forward.add(own.to_results())
    forward.lines += [f"    kept[{i}] = {name};" for i, name in enumerate(own.results)]
    backward.lines += [f"    const V {name} = kept[{i}];" for i, name in enumerate(own.results)]
    for order in range(HIGHEST):
        forward.form(order, own.from_results(range(order + 1)))
        backward.form(order + 1, own.from_results(range(1, order + 2)))
    return [
        f"struct {own.name.capitalize()} {{",
        f"  static constexpr int n_kept = {len(own.results)};",
        TEMPLATE,
        "  static PSINN_INLINE void forward(V z, int order, V* kept, V* f) {",
        *forward.lines,
        "  }",
        TEMPLATE,
        "  static PSINN_INLINE void backward(const V* kept, int order, V* f) {",
        *backward.lines,
        "  }",
        "};",
    ]


def main() -> None:
    print(HEAD)
    print("#if !defined(PSINN_FORMULAS)")
    print(f"enum class Activation : int {{ {', '.join(ACTIVATIONS)} }};")
    counts = [len(own.results) for own in ACTIVATIONS.values()]
    print("// How many numbers each keeps of a pre-activation.")
    print(f"constexpr int N_KEPT[] = {{{', '.join(map(str, counts))}}}, MOST_KEPT = {max(counts)};")
    print("#else")
    for own in ACTIVATIONS.values():
        print("\n".join(_struct(own)))
    print("// action(an activation's formulas).")
    print("template <class Action>\nPSINN_INLINE void with_activation(psinn::Activation kind, const Action& action) {")
    print("  switch (kind) {")
    for own in ACTIVATIONS.values():
        print(f"    case psinn::Activation::{own.name}: return action({own.name.capitalize()}{{}});")
    print("  }\n}\n#endif")


if __name__ == "__main__":
    main()
