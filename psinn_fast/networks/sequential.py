"""Ordinary layers, ``nn.Sequential(Linear, Tanh, ..., Linear)`` or the like, and independent weights behind them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..kernels.errors import InputError
from ..kernels.language.activations import TANH
from .activations import described, kind_of, name_of
from .changes import changed
from .structure import Structure

# How far from its structure a given network may be before it is refused, relative to its largest weight.
FIT_TOLERANCE = 1e-5


@torch.no_grad()
def independent_weights(linears: Sequence[nn.Linear], structure: Structure, what: str = "network") -> Tensor:
    """theta of a structure, already scaled, that makes it these layers; where one has no bias, that is 0. Slopes are as
    they start.

    Raises:
        InputError: their weights break the relations, by more than 1e-5 of the largest.
    """
    weight = linears[0].weight
    given: list[tuple[Tensor, Tensor]] = [
        (linear.weight, weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias)
        for linear in linears
    ]
    # Least squares in the structure's own frame, where R^T R is diagonal and counts the uses of each theta.
    centre, inputs, outputs = (
        weight.new_tensor(numbers) for numbers in (structure.centre, structure.input_scale, structure.output_scale)
    )
    first, bias = given[0]
    given[0] = first * inputs, bias + first @ centre
    last, bias = given[-1]
    given[-1] = last / outputs[:, None], bias / outputs
    tied = structure.plain.without_slopes
    uses = torch.bincount(torch.from_numpy(tied.expanded_plan.expansion.col), minlength=tied.n_parameters)
    theta = tied.expand_adjoint(given) / uses.to(weight)
    misfit = max(
        max(float((w - v).abs().max()), float((b - c).abs().max()))
        for (w, b), (v, c) in zip(tied.expand(theta), given, strict=True)
    )
    largest = max(max(float(w.abs().max()), float(b.abs().max())) for w, b in given)
    if not misfit <= FIT_TOLERANCE * largest:
        raise InputError(
            f"{what}: its weights do not satisfy the relations of {structure.name!r}: they are off by up to "
            f"{misfit:.3g} (largest weight {largest:.3g})"
        )
    return torch.cat([theta.new_tensor([*structure.ahead.values()]), theta])


def ordinary_layer(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """The layer of copies of W (fan_out, fan_in) and b; nothing is drawn."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta", dtype=weight.dtype)
    linear.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone())
    return linear


def linear_layers(network: nn.Sequential) -> tuple[list[nn.Linear], str | None]:
    """Its linear layers, and the name of their activation, if there is any.

    Raises:
        InputError: it is none of ``Linear, Tanh, ..., Linear``, or one vector theta would not do the same.
    """
    modules = list(network) if isinstance(network, nn.Sequential) else []
    linears = [module for module in modules[::2] if isinstance(module, nn.Linear)]
    found = {name_of(module) for module in modules[1::2]}
    if not linears or len(modules) % 2 == 0 or len(linears) != len(modules[::2]) or None in found or len(found) > 1:
        names = ", ".join(map(described, modules)) or type(network).__name__
        raise InputError(
            "network: expected nn.Sequential(Linear, Tanh, ..., Linear), or pf.Sine, SiLU, GELU, Softplus in place of "
            f"every Tanh, got {names}"
        )
    activation = next(iter(found), None)
    expected = [nn.Linear if i % 2 == 0 else kind_of(activation or TANH.name) for i in range(len(modules))]
    kinds = [("", network, nn.Sequential), *((f"[{i}]", modules[i], kind) for i, kind in enumerate(expected))]
    for where, module, kind in kinds:
        if change := changed(module, kind):
            raise InputError(f"network{where}: {change}, which would be lost; give the layers alone")
    _refuse_unlike(linears)
    return linears, activation


def _refuse_unlike(linears: Sequence[nn.Linear]) -> None:
    """Parameters of which one vector theta would not do the same."""
    named = {
        f"network[{2 * i}].{name}": parameter
        for i, linear in enumerate(linears)
        for name, parameter in linear.named_parameters()
    }
    first_name, first = next(iter(named.items()))
    owners: dict[int, str] = {}
    for name, parameter in named.items():
        other = owners.setdefault(parameter.data_ptr(), name)
        if other != name:
            raise InputError(f"{name}: it is {other} as well, and would be trained apart; there are no such relations")
        if parameter._backward_hooks:
            raise InputError(f"{name}: it has hooks on its gradient, which would be lost; remove them")
        for what, own, expected in (
            ("dtype", parameter.dtype, first.dtype),
            ("device", parameter.device, first.device),
            ("requires_grad", parameter.requires_grad, first.requires_grad),
        ):
            if own != expected:
                raise InputError(
                    f"{name}: its {what} is {own}, that of {first_name} is {expected}: all weights and biases are one "
                    f"vector, theta, with one {what}; make them equal"
                )
