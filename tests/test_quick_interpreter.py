"""Triton's interpreter is made quicker for the tests, and computes the same bits."""

from __future__ import annotations

import pytest
import torch
from cases import make, some_weights
from interpreted import IS_INSTALLED, IS_INTERPRETED, interpreting, of_tiles, quicker

from psinn_fast.kernels.network.lowering.lowering import lower

pytestmark = pytest.mark.skipif(
    not IS_INSTALLED or not IS_INTERPRETED, reason="there is no interpreter to make quicker"
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bits_are_those_of_the_interpreter(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    from triton.runtime.interpreter import InterpretedFunction

    structure, theta, coefficients, terms, _ = make("burgers with unknown nu", (3,), 5, dtype)
    arguments = lower(structure.layers), theta, coefficients, terms, some_weights(terms)
    usual = None
    for context in (pytest.MonkeyPatch.context, quicker):
        monkeypatch.setattr(InterpretedFunction, "rewritten_fn", {})
        with interpreting(), context():
            found = of_tiles(8).loss_and_gradient(*arguments)
        numbers = torch.cat([found.losses, found.theta, found.coefficients])
        usual = numbers if usual is None else usual
        assert torch.equal(numbers, usual)
