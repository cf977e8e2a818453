"""jinns, by Adam and by its natural gradient, in float64, without which that does not converge. `jinns.solve` tells
nothing on its way, so it is called for a few steps at a time, and compiled once."""

from __future__ import annotations

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import optax
from jinns.data import CubicMeshPDEStatio, DataGeneratorObservations
from jinns.loss import LossPDEStatio, LossWeightsPDEStatio, PDEStatio, laplacian_rev

from .posed import Given

LIBRARY = "jinns"


class Laplace(PDEStatio):
    def equation(self, x: Any, u: Any, params: Any) -> Any:
        return laplacian_rev(x, u, params)[None]


class Poisson(PDEStatio):
    def equation(self, x: Any, u: Any, params: Any) -> Any:
        source = [(-1) ** (k + 1) * k**2 / 2 * jnp.sin(k * jnp.pi * x).prod() for k in range(1, 5)]
        return laplacian_rev(x, u, params)[None] - sum(source)


class Burgers(PDEStatio):
    def equation(self, x: Any, u: Any, params: Any) -> Any:
        value = lambda point: jnp.squeeze(u(point, params))  # noqa: E731 (lines of user code are counted: this is how its notebooks have it)
        slope = jax.grad(value)
        u_t, u_x = slope(x)
        u_xx = jax.grad(lambda point: slope(point)[1])(x)[1]
        return (u_t + value(x) * u_x - 0.01 / jnp.pi * u_xx)[None]


class Helmholtz(PDEStatio):
    def equation(self, x: Any, u: Any, params: Any) -> Any:
        k = 2 * jnp.pi
        return laplacian_rev(x, u, params)[None] + k**2 * (u(x, params) + jnp.sin(k * x).prod())


EQUATIONS = {"laplace": Laplace, "poisson": Poisson, "burgers": Burgers, "helmholtz": Helmholtz}


def solve(given: Given, equation: Any) -> Any:
    jax.config.update("jax_enable_x64", given.optimiser == "natural gradient")
    key = jax.random.PRNGKey(0)
    layers: list[Any] = []
    for fan_in, fan_out in zip(given.layers, given.layers[1:], strict=False):
        layers += [(eqx.nn.Linear, fan_in, fan_out), (jax.nn.tanh,)]
    u, initial = jinns.nn.PINN_MLP.create(key=key, eqx_list=tuple(layers[:-1]), eq_type="PDEStatio")
    params = jinns.parameters.Params(nn_params=initial, eq_params={})
    low, high = zip(*given.posed.box, strict=True)
    mesh = CubicMeshPDEStatio(key=key, n=len(given.points), dim=2, min_pts=low, max_pts=high)
    data = eqx.tree_at(lambda mesh: mesh.omega, mesh, jnp.asarray(given.points, dtype=float))
    edge = DataGeneratorObservations(
        key=key,
        observed_pinn_in=jnp.asarray(given.edge, dtype=float),
        observed_values=jnp.asarray(given.values, dtype=float),
    )
    weights = LossWeightsPDEStatio(dyn_loss=1.0, observations=1.0)
    loss = LossPDEStatio(u=u, dynamic_loss=equation(), params=params, loss_weights=weights)
    if given.optimiser == "adam":
        optimizer = optax.adam(1e-3)
    else:
        search = optax.scale_by_backtracking_linesearch(max_backtracking_steps=15)
        optimizer = jinns.optimizers.vanilla_ngd(linesearch=search)

    def train(params: Any, state: Any) -> Any:
        found = jinns.solve(
            n_iter=given.record.every, init_params=params, opt_state=state, data=data, obs_data=edge, loss=loss,
            optimizer=optimizer, verbose=False, ahead_of_time=False,
        )  # fmt: skip
        return found[0], found[5]

    return record(given, jax.jit(train), params, optimizer.init(params), u)


def record(given: Given, train: Any, params: Any, state: Any, u: Any) -> Any:
    predict = jax.jit(lambda params, points: jax.vmap(lambda point: u(point, params))(points))
    step, is_done = 0, False
    while not is_done:
        params, state = train(params, state)
        jax.block_until_ready(params)
        step += given.record.every
        is_done = given.record(step, lambda points, params=params: predict(params, points))
    return params


# That there is no condition at the boundary: the observations are.
warnings.filterwarnings("ignore", message="Missing boundary condition")
