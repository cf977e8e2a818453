"""jinns as its notebooks write a PINN: a dynamic loss, observations at the boundary, `jinns.solve` with optax's Adam.

Settings tried: the Laplacian by `laplacian_rev` as the trace of the Hessian or by its loop, other derivatives by nested
`jax.grad` as in the notebooks, or all by nested forward mode; the fastest in a short trial is taken. `jinns.solve` is
compiled whole, which its option ``ahead_of_time=False`` is for, once for each number of steps: in `prepare`, since it
would compile in every call. Nothing is printed, and points are never drawn again.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import numpy as np
import optax
from jinns.data import CubicMeshPDENonStatio, CubicMeshPDEStatio, DataGeneratorObservations, append_obs_batch
from jinns.loss import (
    LossPDENonStatio,
    LossPDEStatio,
    LossWeightsPDENonStatio,
    LossWeightsPDEStatio,
    PDENonStatio,
    PDEStatio,
    laplacian_rev,
)

from ..suite.case import Array, Case, Data
from ..suite.contestant import BETAS, EPSILON, LEARNING_RATE
from ..suite.equations import Equation

WAYS = ("trace_hessian_x", "loop", "forward")


def derivatives(equation: Equation, way: str, x: Any, u: Any, params: Any) -> Mapping[str, Any]:
    """At one point; ``way``: of `WAYS`, the first two being those of `laplacian_rev`."""

    def value(point: Any) -> Any:
        return jnp.squeeze(u(point, params))

    def along(function: Callable[[Any], Any], axis: int) -> Callable[[Any], Any]:
        if way != "forward":
            return lambda point: jax.grad(function)(point)[axis]
        direction = jnp.zeros_like(x).at[axis].set(1)
        return lambda point: jax.jvp(function, (point,), (direction,))[1]

    def of(name: str) -> Any:
        function: Callable[[Any], Any] = value
        for letter in name:
            function = along(function, equation.coordinates.index(letter))
        return function(x)

    found = {"u": value(x)}
    for need in equation.needs:
        if need != "lap":
            found[need] = of(need)
        elif way == "forward":
            found[need] = sum(of(2 * equation.coordinates[axis]) for axis in equation.space)
        else:
            found[need] = laplacian_rev(x, u, params, method=way)
    return found


def dynamic_loss(equation: Equation, way: str) -> Any:
    def residual(_self: Any, x: Any, u: Any, params: Any) -> Any:
        found = derivatives(equation, way, x, u, params)
        return jnp.atleast_1d(equation.residual(jnp, [x[axis] for axis in range(len(x))], found))

    base = PDENonStatio if "t" in equation.coordinates else PDEStatio
    return type("Dynamic", (base,), {"equation": residual})()


class Jinns:
    TRIAL = 10

    def __init__(self, case: Case, data: Data) -> None:
        jax.config.update("jax_enable_x64", case.dtype == "float64")
        jax.config.update("jax_default_matmul_precision", "highest")  # no TF32 on a GPU
        equation = data.equation
        self._u, self._params = self._network(case, data)
        self._points = self._mesh(data, jnp.asarray(data.points, dtype=case.dtype))
        self._edge = DataGeneratorObservations(
            key=jax.random.PRNGKey(0),
            observed_pinn_in=jnp.asarray(data.edge, dtype=case.dtype),
            observed_values=jnp.asarray(data.values[:, None], dtype=case.dtype),
        )
        self._adam = optax.adam(LEARNING_RATE, b1=BETAS[0], b2=BETAS[1], eps=EPSILON)
        self._compiled: dict[int, Any] = {}
        ways = WAYS if "lap" in equation.needs else WAYS[1:]
        seconds = {way: self._trial(equation, way) for way in ways}
        self._start(equation, min(seconds, key=lambda way: seconds[way]))

    @staticmethod
    def _network(case: Case, data: Data) -> tuple[Any, Any]:
        layers: list[tuple[Any, ...]] = []
        for weight, _ in data.weights:
            layers += [(eqx.nn.Linear, *weight.shape[::-1]), (jax.nn.tanh,)]
        kind = "PDENonStatio" if "t" in data.equation.coordinates else "PDEStatio"
        u, initial = jinns.nn.PINN_MLP.create(key=jax.random.PRNGKey(0), eqx_list=tuple(layers[:-1]), eq_type=kind)
        own = [jnp.asarray(array, dtype=case.dtype) for pair in data.weights for array in pair]
        initial = jax.tree.unflatten(jax.tree.structure(initial), own)
        return u, jinns.parameters.Params(nn_params=initial, eq_params={})

    @staticmethod
    def _mesh(data: Data, points: Any) -> Any:
        """One of jinns' generators, with the given points in place of those that it drew."""
        equation = data.equation
        low, high = zip(*(equation.box[axis] for axis in equation.space), strict=True)
        common = {"key": jax.random.PRNGKey(0), "n": len(points), "dim": len(low), "min_pts": low, "max_pts": high}
        if "t" in equation.coordinates:
            tmin, tmax = equation.box[equation.coordinates.index("t")]
            mesh: Any = CubicMeshPDENonStatio(tmin=tmin, tmax=tmax, ni=1, **common)
            return eqx.tree_at(lambda mesh: mesh.domain, mesh, points)
        return eqx.tree_at(lambda mesh: mesh.omega, CubicMeshPDEStatio(**common), points)

    def _start(self, equation: Equation, way: str) -> None:
        in_time = "t" in equation.coordinates
        kind, weights = (
            (LossPDENonStatio, LossWeightsPDENonStatio) if in_time else (LossPDEStatio, LossWeightsPDEStatio)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no condition at the boundary, nor at first: there is
            self._loss = kind(
                u=self._u, dynamic_loss=dynamic_loss(equation, way), params=self._params,
                loss_weights=weights(dyn_loss=1.0, observations=1.0),
            )  # fmt: skip
        self._compiled.clear()
        self._state = self._params, self._adam.init(self._params)

    def _trial(self, equation: Equation, way: str) -> float:
        self._start(equation, way)
        self.prepare(self.TRIAL)
        started = time.perf_counter()
        self.steps(self.TRIAL)
        return time.perf_counter() - started

    def loss_and_gradient(self) -> tuple[float, Array]:
        batch = append_obs_batch(self._points.get_batch()[1], self._edge.get_batch()[1])
        loss = jax.jit(jax.value_and_grad(lambda params: self._loss.evaluate(params, batch)[0]))
        value, gradient = loss(self._state[0])
        return float(value), np.concatenate([np.ravel(leaf).astype(float) for leaf in jax.tree.leaves(gradient)])

    def prepare(self, count: int) -> bool:
        if count in self._compiled:
            return False
        data = self._points, self._edge
        self._compiled[count] = jax.jit(partial(self._solve, count)).lower(self._state, data).compile()
        return True

    def _solve(self, count: int, state: Any, data: Any) -> Any:
        params, moments = state
        found = jinns.solve(
            n_iter=count, init_params=params, data=data[0], obs_data=data[1], loss=self._loss, optimizer=self._adam,
            opt_state=moments, verbose=False, ahead_of_time=False,
        )  # fmt: skip
        return found[0], found[5]

    def steps(self, count: int) -> None:
        self.prepare(count)
        self._state = self._compiled[count](self._state, (self._points, self._edge))
        jax.block_until_ready(self._state)
