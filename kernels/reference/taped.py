"""A network in torch whose way back reads what its way forth has computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..language.activations import activation_of
from ..language.channels import ChannelSet
from ..network.plan import Plan
from .activation_jet import IN_TORCH, ChainRule
from .affine import layer_weights
from .jets import backward, forward


class Taped:
    """A network that keeps what its forward pass computes for the way back (`contract.sums.Network`).

    ``plan`` is composed; ``rule``: how hidden layers from the second on are computed.
    """

    def __init__(self, plan: Plan, theta: Tensor, rule: ChainRule = IN_TORCH) -> None:
        self._plan, self._w, self._rule = plan, plan.expand(theta), rule
        self._activation = activation_of(plan.activation)
        self._w_bar = torch.zeros_like(self._w)
        self._weights, self._weights_bar = layer_weights(plan, self._w), layer_weights(plan, self._w_bar)

    def forward(self, x: Tensor, channels: ChannelSet, first: int) -> tuple[Tensor, Any]:
        embedded = self._plan.embedded(x, channels)
        return forward(self._weights, x, self._activation, channels, first, self._rule, embedded)

    def backward(self, tape: Any, channels: ChannelSet, jets_bar: Tensor) -> None:
        backward(self._weights, tape, channels, jets_bar, self._weights_bar)

    def gradient(self) -> Tensor:
        return self._plan.pull_back(self._w, self._w_bar)
