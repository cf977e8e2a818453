"""One affine layer with tied weights, as a module for any model: `PsiLinear`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..devices import named_device
from ..kernels import checks
from ..kernels.errors import InputError
from ..kernels.network.linear_map import LinearMap
from ..kernels.network.symbols import IntArray, SymbolLayer
from .changes import changed
from .digests import EXTRA, digest, is_digest_of
from .factored import FactoredLayer
from .initialisation import drawn
from .jets import alias, are_transformed, is_asked_for
from .sequential import independent_weights, ordinary_layer
from .structure import Structure

if sys.version_info >= (3, 11):
    from typing import Self
else:  # a dependency of torch on every Python
    from typing_extensions import Self


class PsiLinear(nn.Module):
    """y = W x + b with tied weights: blocks of W and b are signed copies of independent ones, or zero.

    Takes the place of ``nn.Linear`` in any model: x (..., fan_in) to y (..., fan_out). Its parameters are the
    independent numbers, ``weight`` (n_weights,) and ``bias`` (n_biases,) or None, so that the relations hold exactly
    whatever optimiser moves them.

    On a CPU, where enough points make it pay (`FactoredLayer.pays`), y and all gradients go by the fewer products that
    the relations allow: zero blocks left out, equal ones shared, sums and differences of exchanged pairs. Elsewhere W
    is put together, and torch's own operations do the rest: on GPUs, in compiled code, under autocast and the
    transforms of torch.func.

    Args:
        layer: the relations: a `SymbolLayer` (``structure.layers[k]``, `layer_from_group`), or a `Structure` of one
            layer, about the origin and unscaled.
        seed, dtype, device: as for `PsiMLP`; drawn like ``nn.Linear``, fan_in being the non-zero weights of a row.

    Raises:
        InputError: no such layer or device, or a dtype other than float32 and float64.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        layer: SymbolLayer | Structure,
        *,
        seed: int | None = None,
        dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        dtype = checks.floating_dtype("dtype", torch.get_default_dtype() if dtype is None else dtype)
        place = None if device is None else named_device(device)
        self.structure = _of_one_layer(layer)
        theta = drawn(self.structure, "default", (), seed).to(device=place, dtype=dtype)
        weight, bias = self._parts(theta)
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(bias.clone()) if bias.numel() else None
        # What compiled code cannot make.
        _ = self._relations

    @property
    def in_features(self) -> int:
        return self.structure.n_inputs

    @property
    def out_features(self) -> int:
        return self.structure.n_outputs

    @cached_property
    def _relations(self) -> tuple[LinearMap, LinearMap]:
        """R of W and of b, as maps of ``weight`` and ``bias``."""
        layer = self.structure.layers[0]
        (index, sign), (bias, bias_sign) = layer.weight_map(), layer.bias_map()
        return _gather(index.ravel(), sign.ravel(), layer.n_weights), _gather(
            bias - layer.n_weights, bias_sign, layer.n_biases
        )

    @cached_property
    def _factored(self) -> FactoredLayer:
        return FactoredLayer(self.structure.plan.layers[0])

    def _parts(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        n_weights = self.structure.layers[0].n_weights
        return theta[:n_weights], theta[n_weights:]

    def reset_parameters(self, seed: int | None = None) -> None:
        """Draw ``weight`` and ``bias`` anew, in place; without a seed by torch's global generator."""
        weight, bias = self._parts(drawn(self.structure, "default", (), seed))
        with torch.no_grad():
            self.weight.copy_(weight)
            if self.bias is not None:
                self.bias.copy_(bias)

    def expanded(self) -> tuple[Tensor, Tensor | None]:
        """(W, b), differentiable: (fan_out, fan_in), and (fan_out,) or None."""
        weights, biases = self._relations
        weight = weights.apply(self.weight).view(self.out_features, self.in_features)
        return weight, None if self.bias is None else biases.apply(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """
        Raises:
            InputError: x is no tensor, or of another width, dtype or device than the layer.
        """
        if not isinstance(x, Tensor):
            raise InputError(f"x: expected a torch.Tensor, got {type(x).__name__}")
        if x.shape[-1:] != (self.in_features,):
            raise InputError(f"x: expected shape (..., {self.in_features}), got {tuple(x.shape)}")
        if not torch.compiler.is_compiling() and not torch.is_autocast_enabled(self.weight.device.type):
            for what, own, expected in (
                ("", x.dtype, self.weight.dtype),
                ("device ", x.device, self.weight.device),
            ):
                if own != expected:
                    raise InputError(
                        f"x: expected {what}{expected} like the weights, got {own}; write x.to(layer.weight)"
                    )
            parameters = [self.weight] if self.bias is None else [self.weight, self.bias]
            if self._factored.pays(x.shape[:-1].numel(), x.device.type) and not are_transformed(x, *parameters):
                points = x.reshape(-1, self.in_features)
                return _by_products(self, points).view(*x.shape[:-1], self.out_features)
        return F.linear(x, *self.expanded())

    def to_linear(self) -> nn.Linear:
        """The layer with W and b as ordinary parameters (a copy: training it does not keep the relations).

        Raises:
            InputError: the layer has hooks, parametrizations or a forward of its own.
        """
        if change := changed(self, PsiLinear):
            raise InputError(f"layer: {change}, which would be lost")
        return ordinary_layer(*self.expanded()).requires_grad_(self.weight.requires_grad)

    @classmethod
    def from_linear(cls, linear: nn.Linear, layer: SymbolLayer | Structure) -> Self:
        """The independent weights of an ordinary layer that satisfies the relations (on average, to rounding).

        A layer without a bias gets one, at 0, if the relations have one. Where ``linear`` does not train, neither does
        what it becomes.

        Raises:
            InputError: no ``nn.Linear``, or one with hooks, parametrizations or a forward of its own, or of which only
                a part trains; another size; weights that break the relations by more than 1e-5 of the largest (the
                message says by how much), or a bias where the relations have none.
        """
        if not isinstance(linear, nn.Linear):
            raise InputError(f"linear: expected nn.Linear, got {type(linear).__name__}")
        if change := changed(linear, nn.Linear):
            raise InputError(f"linear: {change}, which would be lost; give the layer alone")
        structure = _of_one_layer(layer)
        if structure.layer_sizes != (linear.in_features, linear.out_features):
            raise InputError(
                f"linear: it has {linear.in_features} inputs and {linear.out_features} outputs, the relations have "
                f"{structure.n_inputs} and {structure.n_outputs}"
            )
        if linear.bias is not None and linear.bias.requires_grad != linear.weight.requires_grad:
            raise InputError("linear: its weight and bias must both train (requires_grad), or none of them")
        own = cls(structure, seed=0, dtype=linear.weight.dtype, device=linear.weight.device)
        weight, bias = own._parts(independent_weights([linear], structure, "linear"))
        with torch.no_grad():
            own.weight.copy_(weight)
            if own.bias is not None:
                own.bias.copy_(bias)
        return own.requires_grad_(linear.weight.requires_grad)

    def get_extra_state(self) -> Tensor:
        return digest(self.structure)

    def set_extra_state(self, state: object) -> None:
        """Checked before weights are loaded, by `_load_from_state_dict`."""

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        if prefix + EXTRA in state_dict and not is_digest_of(state_dict[prefix + EXTRA], self.structure):
            raise InputError(
                f"state_dict: its {prefix}weight is of other relations than those of {self.structure.name}"
            )
        super()._load_from_state_dict(state_dict, prefix, *others)

    def extra_repr(self) -> str:
        layer = self.structure.layers[0]
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"{layer.n_parameters} independent of {layer.fan_out * (layer.fan_in + 1)}"
        )


def _of_one_layer(layer: object) -> Structure:
    structure = Structure((layer,), "layer") if isinstance(layer, SymbolLayer) else layer
    if not isinstance(structure, Structure):
        raise InputError(f"layer: expected a SymbolLayer or a Structure of one layer, got {type(layer).__name__}")
    if len(structure.layers) != 1:
        raise InputError(f"layer: the structure has {len(structure.layers)} layers; give one, structure.layers[k]")
    if structure.has_ends:
        raise InputError("layer: it has an embedding or an ansatz, which are a network's; give structure.layers[0]")
    if not structure.is_plain:
        raise InputError("layer: it is about a centre, or scaled; give structure.plain, and shift and scale x and y")
    return structure


def _gather(index: IntArray, sign: IntArray, n_in: int) -> LinearMap:
    row = np.flatnonzero(sign)
    return LinearMap((sign.size, n_in), row, index[row], sign[row])


def _by_products(layer: PsiLinear, x: Tensor) -> Tensor:
    weight, bias = layer.weight, layer.bias
    if not (torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (weight, bias, x))):
        return layer._factored.forward(_expanded_vector(layer, weight, bias), x)
    # Aliases have nodes of their own, of which the engine says whether a gradient asks for them.
    inputs = [None if tensor is None else alias(tensor) for tensor in (weight, bias, x)]
    nodes = [None if tensor is None else tensor.grad_fn for tensor in inputs]
    # torch leaves Function.apply without types.
    y: Tensor = _ByProducts.apply(*inputs, layer, nodes)  # type: ignore[no-untyped-call]
    return y


def _expanded_vector(layer: PsiLinear, weight: Tensor, bias: Tensor | None) -> Tensor:
    return layer.structure.plan.expand(weight if bias is None else torch.cat([weight, bias]))


class _ByProducts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, x: Tensor, layer: PsiLinear, nodes: Sequence[Any]
    ) -> Tensor:
        w = _expanded_vector(layer, weight, bias)
        ctx.save_for_backward(weight, x, w)
        ctx.layer, ctx.nodes = layer, nodes
        return layer._factored.forward(w, x)

    @staticmethod
    def backward(ctx: Any, y_bar: Tensor) -> tuple[Tensor | None, ...]:
        weight, x, w = ctx.saved_tensors
        layer: PsiLinear = ctx.layer
        need_weight, need_bias, need_x = map(is_asked_for, ctx.nodes)
        # Batched cotangents (is_grads_batched) have no memory that could be written to.
        if torch.is_grad_enabled() or not torch._C._has_storage(y_bar):
            weights, biases = layer._relations
            matrix = weights.apply(weight).view(layer.out_features, layer.in_features)
            return (
                weights.transpose((y_bar.T @ x).reshape(-1)) if need_weight else None,
                biases.transpose(y_bar.sum(0)) if need_bias else None,
                y_bar @ matrix if need_x else None,
                None,
                None,
            )
        w_bar, x_bar = layer._factored.adjoint(w, x, y_bar, need_weight or need_bias, need_x)
        if w_bar is None:
            return None, None, x_bar, None, None
        weight_bar, bias_bar = layer._parts(layer.structure.plan.pull_back(w, w_bar))
        return weight_bar if need_weight else None, bias_bar if need_bias else None, x_bar, None, None
