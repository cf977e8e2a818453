"""The hand-written step in JAX: value_and_grad and Adam in one jitted function. JAX is optional."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.suite.contestant import BETAS, EPSILON

from .case import Case
from .eager import EagerStep
from .formulations import Formulation, loss


class JaxStep:
    """Parameters and moments are donated, so that XLA updates them in place.

    ``inner``: that many steps are one call, a `lax.fori_loop`; on a GPU the host's time then counts for nothing.
    """

    def __init__(self, case: Case, form: Formulation, inner: int = 1) -> None:
        import jax
        import jax.numpy as jnp

        # XLA would multiply float32 in TF32 on a GPU.
        jax.config.update("jax_default_matmul_precision", "highest")
        data = EagerStep(case)
        linears = [module for module in data.net.modules() if isinstance(module, nn.Linear)]

        def array(tensor: Tensor) -> Any:
            return jnp.array(tensor.detach().cpu().numpy())

        layers = [(array(linear.weight), array(linear.bias)) for linear in linears]
        # Arguments, not constants: XLA would fold what depends on constants only, at every compilation.
        self._data = tuple(array(tensor) for tensor in (data.x, data.edge_x, data.edge_u))

        def loss_of(layers: Any, x: Any, edge_x: Any, edge_u: Any) -> Any:
            return loss(jnp, form, layers, x, edge_x, edge_u, data.n_edges)

        def step(state: Any, data: Any) -> Any:
            layers, first, second, done = state
            gradient = jax.grad(loss_of)(layers, *data)
            done = done + 1
            first = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, first, gradient)
            second = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, second, gradient)
            unbias_1, unbias_2 = 1 - BETAS[0] ** done, 1 - BETAS[1] ** done
            layers = jax.tree.map(
                lambda p, m, v: p - case.lr * (m / unbias_1) / (jnp.sqrt(v / unbias_2) + EPSILON), layers, first, second
            )
            return layers, first, second, done

        def loop(state: Any, data: Any) -> Any:
            return jax.lax.fori_loop(0, inner, lambda _, state: step(state, data), state)

        self._value_and_gradient = jax.jit(jax.value_and_grad(loss_of))
        self._inner = inner
        self._step, self._loop = jax.jit(step, donate_argnums=0), jax.jit(loop, donate_argnums=0)
        self._wait = jax.block_until_ready
        zeros = partial(jax.tree.map, jnp.zeros_like)
        self._state = layers, zeros(layers), zeros(layers), jnp.zeros(())

    def steps(self, count: int) -> None:
        loops, rest = divmod(count, self._inner) if self._inner > 1 else (0, count)
        for _ in range(loops):
            self._state = self._loop(self._state, self._data)
        for _ in range(rest):
            self._state = self._step(self._state, self._data)
        self._wait(self._state)

    def loss_and_gradient(self) -> tuple[float, Tensor]:
        value, gradient = self._value_and_gradient(self._state[0], *self._data)
        return float(value), _flat(gradient)

    def parameters(self) -> Tensor:
        return _flat(self._state[0])


def _flat(layers: Any) -> Tensor:
    return torch.cat([torch.tensor(array.tolist()).flatten() for pair in layers for array in pair])


def why_no_jax(platform: str = "cpu") -> str | None:
    """``platform``: "cpu" or "gpu"."""
    try:
        import jax
    except ImportError as error:
        return f"JAX cannot be imported ({error}); pip install 'jax[cpu]'"
    if jax.default_backend() != platform:
        return f"JAX would use {jax.default_backend()!r}, not {platform!r}; JAX_PLATFORMS chooses"
    return None
