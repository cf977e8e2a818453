"""Networks for PINA: `FeedForward` takes the place of ``pina.model.FeedForward``, `PsiFeedForward` is one with ties.

    from psinn_fast.integrations.pina import FeedForward   # instead of: from pina.model import FeedForward

Everything else of a script stays: ``pina.operator``, conditions, solvers, ``Trainer``, its callbacks and checkpoints.
The same seed draws the same weights. PINA's labelled points are numbers to the kernels (`networks/jets.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..kernels import checks
from ..kernels.contract.precision import IEEE
from ..kernels.errors import InputError, short
from ..networks.activations import FUNCTIONS, kind_of, module_of
from ..networks.changes import changed
from ..networks.mlp import PsiMLP, check_network, refuse_more_than_layers
from ..networks.structure import Structure

try:
    import pina.model
except ImportError as error:
    raise ImportError(
        "psinn_fast.integrations.pina: it needs the package pina-mathlab; pip install pina-mathlab, or "
        f"psinn_fast[pina] ({error})"
    ) from error

if TYPE_CHECKING:
    from typing_extensions import Self

# Of a state_dict of pina.model.FeedForward: model.0.weight, model.0.bias, model.2.weight, ...
_LAYERS = "model."


class PsiFeedForward(PsiMLP):
    """A tanh network with tied weights that exchanges them with ``pina.model.FeedForward``; arguments as for `PsiMLP`.

    Its inputs are those of the problem's ``input_variables``, in their order. (Any `PsiMLP` or `MLP` may be the
    model of a PINA solver; they do not know PINA's weights.)
    """

    @classmethod
    def from_feed_forward(
        cls, model: nn.Module, structure: Structure | None = None, *, precision: str = IEEE
    ) -> PsiFeedForward:
        """The same function as that of a ``pina.model.FeedForward``, its weights bit for bit.

        Args:
            model: trained or not; its weights are copied.
            structure: relations that its weights satisfy, see `PsiMLP.from_sequential`; None for none.
            precision: as for `PsiMLP`.

        Raises:
            InputError: it is no ``pina.model.FeedForward``, or a changed one; an activation that `FeedForward` does
                not take; weights that do not satisfy the relations.
        """
        if not isinstance(model, pina.model.FeedForward):
            raise InputError(f"model: expected a pina.model.FeedForward, got {type(model).__name__}")
        if change := changed(model, pina.model.FeedForward):
            raise InputError(f"model: {change}, which would be lost; give a pina.model.FeedForward as it is")
        net = PsiFeedForward.from_sequential(model.model, structure, precision=precision)
        assert isinstance(net, PsiFeedForward)
        return net.train(model.training)

    def to_feed_forward(self) -> nn.Module:
        """A ``pina.model.FeedForward`` of the same function, the expanded weights bit for bit.

        Training it does not keep the relations. It has no biases if no layer of this one has.
        """
        refuse_more_than_layers(check_network(self), "to_feed_forward")
        inputs, *hidden, outputs = self.structure.layer_sizes
        has_bias = any(any(layer.bias) for layer in self.structure.layers) or any(self.structure.centre)
        with torch.random.fork_rng(devices=[]):
            func = kind_of(self.structure.activation)
            model: nn.Module = pina.model.FeedForward(inputs, outputs, func=func, layers=hidden, bias=has_bias)
        model.to(self.theta)
        linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
        with torch.no_grad():
            for linear, (weight, bias) in zip(linears, self.structure.expand(self.theta), strict=True):
                linear.weight.copy_(weight)
                if has_bias:
                    linear.bias.copy_(bias)
        return model.requires_grad_(self.theta.requires_grad).train(self.training)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        """Also the weights of a ``pina.model.FeedForward``, of a solver's checkpoint too."""
        if f"{prefix}{_LAYERS}0.weight" in state_dict:
            own = self._from_layers(state_dict, prefix + _LAYERS).state_dict()
            state_dict = {prefix + name: value for name, value in own.items()}
        super()._load_from_state_dict(state_dict, prefix, *others)

    def _from_layers(self, state: Mapping[str, Any], prefix: str) -> PsiMLP:
        modules: list[nn.Module] = []
        while (weight := state.get(f"{prefix}{len(modules)}.weight")) is not None:
            bias = state.get(f"{prefix}{len(modules)}.bias")
            linear = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
            linear.weight = nn.Parameter(weight)
            if bias is not None:
                linear.bias = nn.Parameter(bias)
            modules += [linear, module_of(self.structure.activation)]
        return PsiFeedForward.from_sequential(nn.Sequential(*modules[:-1]), self.structure)

    @classmethod
    def _of(cls, structure: Structure, dtype: torch.dtype, device: torch.device) -> Self:
        # Nothing is drawn: what a script draws next is what it would draw after PINA's own network.
        return cls.with_theta(structure, torch.zeros(structure.n_parameters, dtype=dtype, device=device))


class FeedForward(PsiFeedForward):
    """``pina.model.FeedForward`` by the kernels: a network with the weights that PINA would draw.

    Args:
        input_dimensions, output_dimensions: how many inputs and outputs.
        inner_size, n_layers: width and number of the hidden layers.
        func: ``torch.nn.Tanh``, ``SiLU``, ``GELU``, ``Softplus`` or `Sine`, or a list of it, one per hidden layer.
        layers: widths of the hidden layers, instead of ``inner_size`` and ``n_layers``.
        bias: whether neurons and outputs have biases.
        precision: as for `PsiMLP`.

    Raises:
        InputError: sizes that are no integers >= 1, another activation, or ``"tf32x3"`` in float64.
    """

    def __init__(
        self,
        input_dimensions: int,
        output_dimensions: int,
        inner_size: int = 20,
        n_layers: int = 2,
        func: type[nn.Module] | Sequence[type[nn.Module]] = nn.Tanh,
        layers: Sequence[int] | None = None,
        bias: bool = True,
        *,
        precision: str = IEEE,
    ) -> None:
        for name, size in (("input_dimensions", input_dimensions), ("output_dimensions", output_dimensions)):
            checks.integer(name, size, 1)
        hidden = [*(_hidden(inner_size, n_layers) if layers is None else checks.integers("layers", layers, 1))]
        activation = _activation(func, len(hidden))
        drawn = pina.model.FeedForward(input_dimensions, output_dimensions, func=activation, layers=hidden, bias=bias)
        net = PsiFeedForward.from_feed_forward(drawn, precision=precision)
        self._build(net.structure, net.theta.detach())
        self.precision = precision


def _hidden(inner_size: int, n_layers: int) -> list[int]:
    return [checks.integer("inner_size", inner_size, 1)] * checks.integer("n_layers", n_layers, 1)


def _activation(func: object, n_hidden: int) -> type[nn.Module]:
    """That of all layers."""
    kinds = list(func) if isinstance(func, (list, tuple)) else [func] * n_hidden
    if len(kinds) != n_hidden:
        raise InputError(f"func: expected one activation for each of {n_hidden} hidden layers, got {len(kinds)}")
    found = next((kind for kind in map(kind_of, FUNCTIONS) if all(own is kind for own in kinds)), None)
    if found is None:
        raise InputError(
            "func: expected torch.nn.Tanh, SiLU, GELU, Softplus or pf.Sine for all layers, which is what the kernels "
            f"compute, got {short(func)}; pina.model.FeedForward has others"
        )
    return found
