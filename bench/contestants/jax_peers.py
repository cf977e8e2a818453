"""The step in JAX, jitted whole with Adam: Taylor mode by hand, nested derivatives, folx's forward Laplacian."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..suite.case import Array, Case, Data, flat
from ..suite.contestant import BETAS, EPSILON, LEARNING_RATE, NotServed
from . import chain_rule

Derivatives = Callable[[Any, Any], Mapping[str, Any]]


class JaxStep:
    """Parameters and moments are donated, so that XLA updates them in place. Data are arguments, not constants, which
    XLA would fold at every compilation. Of several ways to write the derivatives the fastest in a short trial is
    taken."""

    TRIAL = 10

    def __init__(self, case: Case, data: Data) -> None:
        jax.config.update("jax_enable_x64", case.dtype == "float64")
        jax.config.update("jax_default_matmul_precision", "highest")  # no TF32 on a GPU
        self.equation = data.equation
        array = partial(jnp.asarray, dtype=case.dtype)
        self._data = array(data.points), array(data.edge), array(data.values)
        self._initial = [(array(weight), array(bias)) for weight, bias in data.weights]
        best = np.inf
        for derivatives in self.ways():
            whole, step = self._compiled(derivatives)
            state = self._start()
            seconds = np.inf
            for count in (2, self.TRIAL):
                started = time.perf_counter()
                for _ in range(count):
                    state = step(state, self._data)
                jax.block_until_ready(state)
                seconds = time.perf_counter() - started
            if seconds < best:
                best, self._whole, self._step = seconds, whole, step
        self._state = self._start()

    def ways(self) -> list[Derivatives]:
        raise NotImplementedError

    def _start(self) -> Any:
        layers = jax.tree.map(jnp.array, self._initial)  # copies: what is donated is gone
        zeros = partial(jax.tree.map, jnp.zeros_like)
        return layers, zeros(layers), zeros(layers), jnp.zeros(())

    def _compiled(self, derivatives: Derivatives) -> tuple[Any, Any]:
        equation = self.equation

        def loss(layers: Any, data: Any) -> Any:
            x, edge, values = data
            d = {name: value.ravel() for name, value in derivatives(layers, x).items()}
            residual = equation.residual(jnp, [x[:, axis] for axis in range(x.shape[1])], d)
            misfit = chain_rule.values(jnp, layers, edge, False).ravel() - values
            return (residual**2).mean() + (misfit**2).mean()

        def step(state: Any, data: Any) -> Any:
            layers, first, second, done = state
            gradient = jax.grad(loss)(layers, data)
            done = done + 1
            first = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, first, gradient)
            second = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, second, gradient)
            bias_1, bias_2 = 1 - BETAS[0] ** done, 1 - BETAS[1] ** done
            layers = jax.tree.map(
                lambda p, m, v: p - LEARNING_RATE * (m / bias_1) / (jnp.sqrt(v / bias_2) + EPSILON),
                layers,
                first,
                second,
            )
            return layers, first, second, done

        return jax.jit(jax.value_and_grad(loss)), jax.jit(step, donate_argnums=0)

    def loss_and_gradient(self) -> tuple[float, Array]:
        value, gradient = self._whole(self._state[0], self._data)
        return float(value), flat(gradient)

    def steps(self, count: int) -> None:
        for _ in range(count):
            self._state = self._step(self._state, self._data)
        jax.block_until_ready(self._state)


class Taylor(JaxStep):
    """Points first and features first; one product for all channels stacked took 1.7 to 3.6 times the better of these
    on each of three machines (results/cpu_zen3.json, cpu_zen4.json, cpu_xeon.json)."""

    def ways(self) -> list[Derivatives]:
        return [
            lambda layers, x, first=first: chain_rule.derivatives(jnp, self.equation, layers, x, first)
            for first in (True, False)
        ]


class Nested(JaxStep):
    """vmap of forward over reverse, and of forward over forward."""

    def ways(self) -> list[Derivatives]:
        return [partial(self._derivatives, reverse) for reverse in (True, False)]

    def _derivatives(self, reverse: bool, layers: Any, x: Any) -> Mapping[str, Any]:
        equation = self.equation

        def u(point: Any) -> Any:
            return chain_rule.values(jnp, layers, point[None], False)[0, 0]

        def along(function: Any, axis: int) -> Any:
            direction = jnp.zeros(len(equation.coordinates), x.dtype).at[axis].set(1)
            return lambda point: jax.jvp(function, (point,), (direction,))[1]

        def of(name: str) -> Any:
            axes = [equation.coordinates.index(letter) for letter in name]
            function = (lambda point: jax.grad(u)(point)[axes[0]]) if reverse else along(u, axes[0])
            for axis in axes[1:]:
                function = along(function, axis)
            return function

        def everything(point: Any) -> dict[str, Any]:
            out = {"u": u(point)}
            for need in equation.needs:
                names = [2 * equation.coordinates[axis] for axis in equation.space] if need == "lap" else [need]
                out[need] = sum(of(name)(point) for name in names)
            return out

        return jax.vmap(everything)(x)


class Folx(JaxStep):
    """folx.forward_laplacian, for equations of u and its Laplacian in all coordinates."""

    def ways(self) -> list[Derivatives]:
        if set(self.equation.needs) != {"lap"} or len(self.equation.space) != len(self.equation.coordinates):
            raise NotServed("folx has the Laplacian in all inputs only")
        return [self._derivatives]

    @staticmethod
    def _derivatives(layers: Any, x: Any) -> Mapping[str, Any]:
        import folx

        def u(point: Any) -> Any:
            return chain_rule.values(jnp, layers, point[None], False)[0, 0]

        def at(point: Any) -> dict[str, Any]:
            found = folx.forward_laplacian(u)(point)
            return {"u": found.x, "lap": found.laplacian}

        return jax.vmap(at)(x)
