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
    hold exactly here, too, and the kernels compute values, derivatives and gradients. Slopes and unknown numbers of an
    embedding come first, the parameter ``ahead`` (None without). A layer is frozen by
    ``layers[k].requires_grad_(False)``. `fit`, which trains theta as one, refuses it: train it by optimisers of torch,
    then take `joined`.
    """

    ahead: nn.Parameter | None
    layers: nn.ModuleList

    @property
    def theta(self) -> Tensor:  # type: ignore[override]  # read alone: what is trained are its parts
        return torch.cat(self._parts())

    def _hold(self, theta: Tensor) -> None:
        n = len(self.structure.ahead)
        ahead, *pieces = torch.split(theta, [n, *(layer.n_parameters for layer in self.structure.layers)])
        self.register_parameter("ahead", nn.Parameter(ahead.clone()) if n else None)
        self.layers = nn.ModuleList(map(_Layer, self.structure.layers, pieces))

    def _parts(self) -> list[Tensor]:
        return [*([] if self.ahead is None else [self.ahead]), *self.layers.parameters()]

    @torch.no_grad()
    def _set_theta(self, theta: Tensor) -> None:
        own = self._parts()
        for parameter, values in zip(own, torch.split(theta, [parameter.numel() for parameter in own]), strict=True):
            parameter.copy_(values)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group of parameters a layer, inputs first, for optimisers of torch: ``groups[0]["lr"] = 1e-4``; where
        there is one, ``ahead`` at the end."""
        by_layer = [{"params": list(layer.parameters())} for layer in self.layers]
        return by_layer if self.ahead is None else [*by_layer, {"params": [self.ahead]}]

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
