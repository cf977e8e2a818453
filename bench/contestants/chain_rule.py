"""Taylor mode by hand, for torch and JAX alike: u and the derivatives that a residual needs, layer by layer.

``layers`` is [(W, b), ...]; arrays are (N, width) or, features first, (width, N). Channels are u, the first
derivatives, and what is asked for: "lap" as one channel (the forward Laplacian), pure derivatives of one axis up to
the third, each with those below it. Written plainly where a compiler follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

from ..suite.contestant import NotServed
from ..suite.equations import Equation

Channels = dict[str, Any]


def serves(equation: Equation) -> bool:
    """Mixed and fourth derivatives have no formulas here."""
    return all(need == "lap" or (len(set(need)) == 1 and len(need) <= 3) for need in equation.needs)


def channels_of(equation: Equation) -> list[str]:
    """In an order in which each follows from those before."""
    wanted = {need[:k] for need in equation.needs if need != "lap" for k in range(1, len(need) + 1)}
    if "lap" in equation.needs:
        wanted |= {"lap", *(equation.coordinates[axis] for axis in equation.space)}
    return sorted(wanted, key=lambda name: (name == "lap", len(name), name))


def derivatives(
    xp: Any,
    equation: Equation,
    layers: Sequence[tuple[Any, Any]],
    x: Any,
    features_first: bool,
    *,
    with_value: bool = True,
) -> Channels:
    """u, unless it is not asked for, and the channels, (N, 1) or (1, N).

    Raises:
        NotServed: there are no formulas for one of them.
    """
    if not serves(equation):
        raise NotServed(f"Taylor mode by hand has no formulas for {' '.join(equation.needs)}")
    (weight, bias), *others = layers
    names, space = channels_of(equation), [equation.coordinates[i] for i in equation.space]

    def product(weight: Any, h: Any) -> Any:
        return weight @ h if features_first else h @ weight.T

    def column(weight: Any, axis: int) -> Any:
        return weight[:, axis : axis + 1] if features_first else weight[:, axis]

    def affine(weight: Any, bias: Any, h: Any) -> Any:
        return product(weight, h) + (bias[:, None] if features_first else bias)

    z: Channels = {"u": affine(weight, bias, x.T if features_first else x)}
    z |= {name: column(weight, axis) for axis, name in enumerate(equation.coordinates) if name in names}
    h = activated(xp, z, names, space)
    for weight, bias in others[:-1]:
        z = {name: product(weight, value) for name, value in h.items() if name != "u"}
        h = activated(xp, {"u": affine(weight, bias, h["u"]), **z}, names, space)
    last, bias = others[-1]
    read = {name for name in names if name in equation.needs}
    found = {"u": affine(last, bias, h["u"])} if with_value else {}
    return found | {name: product(last, h[name]) for name in read}


def values(xp: Any, layers: Sequence[tuple[Any, Any]], x: Any, features_first: bool) -> Any:
    *hidden, (last, last_bias) = layers
    if features_first:
        h = x.T
        for weight, bias in hidden:
            h = xp.tanh(weight @ h + bias[:, None])
        return last @ h + last_bias[:, None]
    for weight, bias in hidden:
        x = xp.tanh(x @ weight.T + bias)
    return x @ last.T + last_bias


def activated(xp: Any, z: Channels, names: Sequence[str], space: Sequence[str]) -> Channels:
    """Faa di Bruno for tanh. Derivatives of z that are missing are 0: those of the first layer beyond the first
    order."""
    t = xp.tanh(z["u"])
    t1 = 1 - t * t
    out = {"u": t}
    t2 = -2 * t * t1
    for name in names:
        if name == "lap":
            squares = reduce(add, (z[axis] * z[axis] for axis in space))
            out[name] = t2 * squares + (t1 * z[name] if name in z else 0)
        elif len(name) == 1:
            out[name] = t1 * z[name]
        elif len(name) == 2:
            first = z[name[0]]
            out[name] = t2 * (first * first) + (t1 * z[name] if name in z else 0)
        else:
            first, second = z[name[0]], z.get(name[:2])
            out[name] = (4 * t * t - 2 * t1) * t1 * (first * first * first)
            if second is not None:
                out[name] = out[name] + 3 * t2 * first * second + t1 * z[name]
    return out
