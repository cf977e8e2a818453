"""The Laplace step's loss by the suite's chain rule (value, u_x, u_y, lap), in several layouts.

For torch and JAX alike: ``xp`` is ``torch`` or ``jax.numpy``. Written plainly, without fused operations, because a
compiler follows. ``layers`` is [(W, b), ...]; a formulation gives the Laplacian and, at other points, the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.contestants.chain_rule import activated, channels_of, derivatives, values
from bench.suite.equations import EQUATIONS

Layers = Sequence[tuple[Any, Any]]
Formulation = Callable[[Any, Layers, Any, Any], tuple[Any, Any]]

LAPLACE = EQUATIONS["laplace"]


def features_first(xp: Any, layers: Layers, x: Any, edge_x: Any) -> tuple[Any, Any]:
    """Arrays (width, N), one product per channel."""
    return _laplacian(xp, layers, x, True), values(xp, layers, edge_x, True).T


def points_first(xp: Any, layers: Layers, x: Any, edge_x: Any) -> tuple[Any, Any]:
    """Arrays (N, width), one product per channel."""
    return _laplacian(xp, layers, x, False), values(xp, layers, edge_x, False)


def _laplacian(xp: Any, layers: Layers, x: Any, features_first: bool) -> Any:
    return derivatives(xp, LAPLACE, layers, x, features_first, with_value=False)["lap"]


def stacked(xp: Any, layers: Layers, x: Any, edge_x: Any) -> tuple[Any, Any]:
    """Arrays (4, N, width), one product for all channels."""
    (weight, bias), *hidden, (last, _) = layers
    names, space = channels_of(LAPLACE), list(LAPLACE.coordinates)
    h = activated(xp, {"u": x @ weight.T + bias, "x": weight[:, 0], "y": weight[:, 1]}, names, space)
    for weight, bias in hidden:
        u, *others = xp.stack([h["u"], *(h[name] for name in names)]) @ weight.T
        h = activated(xp, {"u": u + bias, **dict(zip(names, others, strict=True))}, names, space)
    return h["lap"] @ last.T, values(xp, layers, edge_x, False)


FORMULATIONS: dict[str, Formulation] = {
    "features first": features_first,
    "points first": points_first,
    "channels stacked": stacked,
}


def loss(xp: Any, form: Formulation, layers: Layers, x: Any, edge_x: Any, edge_u: Any, n_edges: int) -> Any:
    """The mean over an edge's points, summed over edges, is n_edges times the mean over all: they are equally many."""
    laplacian, edge = form(xp, layers, x, edge_x)
    misfit = edge - edge_u
    return (laplacian * laplacian).mean() + n_edges * (misfit * misfit).mean()
