"""A network in torch whose way back reads what its way forth has computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..language.channels import ChannelSet
from ..network.plan import Plan
from .activation_jet import IN_TORCH, ChainRule
from .affine import cut
from .network import backward, forward


class Taped:
    """A network that keeps what its forward pass computes for the way back (`contract.sums.Network`).

    ``plan`` is composed; ``rule``: how hidden layers from the second on are computed.
    """

    def __init__(self, plan: Plan, theta: Tensor, rule: ChainRule = IN_TORCH) -> None:
        self._plan, self._w, self._rule = plan, plan.expand(theta), rule
        self._w_bar = torch.zeros_like(self._w)
        self._weights, self._weights_bar = cut(plan, self._w), cut(plan, self._w_bar)

    def forward(self, x: Tensor, channels: ChannelSet, first: int) -> tuple[Tensor, Any]:
        return forward(self._plan, self._weights, x, channels, first, self._rule)

    def backward(self, tape: Any, channels: ChannelSet, jets_bar: Tensor) -> None:
        backward(self._weights, tape, channels, jets_bar, self._weights_bar)

    def gradient(self) -> Tensor:
        return self._plan.pull_back(self._w, self._w_bar)
