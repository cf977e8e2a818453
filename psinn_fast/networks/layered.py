"""The same networks with parameters of their own for each layer, which torch's optimisers tell apart."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..kernels.network.symbols import SymbolLayer
from .mlp import MLP, PsiMLP, check_network

Kind = TypeVar("Kind", bound=PsiMLP)


class LayeredMLP(PsiMLP):
    """A `PsiMLP` whose independent weights and biases are parameters layer by layer, made by `by_layers`.

    ``layers[k].weight`` and ``layers[k].bias`` are vectors, of which ``theta`` is the concatenation. So the relations
    hold exactly here, too, and the kernels compute values, derivatives and gradients. A layer is frozen by
    ``layers[k].requires_grad_(False)``. `fit`, which trains theta as one, refuses it: train it by optimisers of torch,
    then take `joined`.
    """

    layers: nn.ModuleList

    @property
    def theta(self) -> Tensor:  # type: ignore[override]  # read alone: what is trained are its parts
        return torch.cat([parameter for layer in self.layers for parameter in layer.parameters()])

    def _hold(self, theta: Tensor) -> None:
        pieces = torch.split(theta, [layer.n_parameters for layer in self.structure.layers])
        self.layers = nn.ModuleList(map(_Layer, self.structure.layers, pieces))

    @torch.no_grad()
    def _set_theta(self, theta: Tensor) -> None:
        own = list(self.layers.parameters())
        for parameter, values in zip(own, torch.split(theta, [parameter.numel() for parameter in own]), strict=True):
            parameter.copy_(values)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group of parameters a layer, inputs first, for optimisers of torch: ``groups[0]["lr"] = 1e-4``."""
        return [{"params": list(layer.parameters())} for layer in self.layers]

    def joined(self) -> PsiMLP:
        """The network with the one parameter theta, a copy: an `MLP` where there are no relations."""
        return _like(self, MLP) if self.structure.is_dense else _like(self, PsiMLP)


class _Layer(nn.Module):
    """Independent weights and biases of a layer, None where it has none."""

    def __init__(self, layer: SymbolLayer, theta: Tensor) -> None:
        super().__init__()
        n_weights = sum(map(math.prod, layer.weight_shapes))
        for name, part in (("weight", theta[:n_weights]), ("bias", theta[n_weights:])):
            self.register_parameter(name, nn.Parameter(part.clone()) if part.numel() else None)

    def extra_repr(self) -> str:
        return ", ".join(f"{parameter.numel()} independent of {name}" for name, parameter in self.named_parameters())


def by_layers(net: PsiMLP) -> LayeredMLP:
    """A network with parameters of its own for each layer, a copy: for learning rates by layer, and frozen layers.

    Raises:
        InputError: it is none of the library's networks, or computes another function than its theta says.
    """
    return _like(check_network(net), LayeredMLP)


def _like(net: PsiMLP, kind: type[Kind]) -> Kind:
    theta = net.theta
    other = kind.with_theta(net.structure, theta.detach().clone()).requires_grad_(theta.requires_grad)
    other.init, other.start, other._precision = net.init, net.start, net._precision
    return other.train(net.training)
