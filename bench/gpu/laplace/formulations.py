"""The Laplace step's loss with the forward Laplacian (value, u_x, u_y, lap) written by hand, in several layouts.

For torch and JAX alike: ``xp`` is ``torch`` or ``jax.numpy``. Written plainly, without fused operations, because a
compiler follows. ``layers`` is [(W, b), ...]; a formulation gives the Laplacian and, at other points, the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Layers = Sequence[tuple[Any, Any]]
Formulation = Callable[[Any, Layers, Any, Any], tuple[Any, Any]]


def features_first(xp: Any, layers: Layers, x: Any, edge_x: Any) -> tuple[Any, Any]:
    """Arrays (width, N), one product per channel."""
    (weight, bias), *hidden, (last, last_bias) = layers
    t, h_x, h_y, h_lap = _first(xp.tanh(weight @ x.T + bias[:, None]), weight[:, :1], weight[:, 1:])
    for weight, bias in hidden:
        z_x, z_y, z_lap = weight @ h_x, weight @ h_y, weight @ h_lap
        t, h_x, h_y, h_lap = _tanh(xp.tanh(weight @ t + bias[:, None]), z_x, z_y, z_lap)
    h = edge_x.T
    for weight, bias in layers[:-1]:
        h = xp.tanh(weight @ h + bias[:, None])
    return last @ h_lap, (last @ h + last_bias[:, None]).T


def points_first(xp: Any, layers: Layers, x: Any, edge_x: Any) -> tuple[Any, Any]:
    """Arrays (N, width), one product per channel."""
    (weight, bias), *hidden, (last, _) = layers
    t, h_x, h_y, h_lap = _first(xp.tanh(x @ weight.T + bias), weight[:, 0], weight[:, 1])
    for weight, bias in hidden:
        z_x, z_y, z_lap = h_x @ weight.T, h_y @ weight.T, h_lap @ weight.T
        t, h_x, h_y, h_lap = _tanh(xp.tanh(t @ weight.T + bias), z_x, z_y, z_lap)
    return h_lap @ last.T, _points_first_values(xp, layers, edge_x)


def stacked(xp: Any, layers: Layers, x: Any, edge_x: Any) -> tuple[Any, Any]:
    """Arrays (4, N, width), one product for all channels."""
    (weight, bias), *hidden, (last, _) = layers
    channels = _first(xp.tanh(x @ weight.T + bias), weight[:, 0], weight[:, 1])
    for weight, bias in hidden:
        z = xp.stack(channels) @ weight.T
        channels = _tanh(xp.tanh(z[0] + bias), z[1], z[2], z[3])
    return channels[3] @ last.T, _points_first_values(xp, layers, edge_x)


def _points_first_values(xp: Any, layers: Layers, x: Any) -> Any:
    *hidden, (last, last_bias) = layers
    for weight, bias in hidden:
        x = xp.tanh(x @ weight.T + bias)
    return x @ last.T + last_bias


def _first(t: Any, w_x: Any, w_y: Any) -> tuple[Any, Any, Any, Any]:
    """Channels after the first layer, whose own derivatives are its weights."""
    t1 = 1 - t * t
    return t, t1 * w_x, t1 * w_y, (t * t1) * (-2 * (w_x * w_x + w_y * w_y))


def _tanh(t: Any, z_x: Any, z_y: Any, z_lap: Any) -> tuple[Any, Any, Any, Any]:
    t1 = 1 - t * t
    return t, t1 * z_x, t1 * z_y, t1 * (z_lap - 2 * t * (z_x * z_x + z_y * z_y))


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
