"""Gated and residual networks say what they are."""

from __future__ import annotations

import pytest

from psinn_fast import MLP, Structure


@pytest.mark.parametrize("wiring", ["gated", "residual"])
def test_text_says_how_layers_are_wired(wiring: str) -> None:
    structure = Structure.dense([2, 8, 8, 1], wiring=wiring)
    assert f"\n  {wiring}: " in str(structure)
    assert f"{wiring}: " in repr(MLP(structure))
    assert ": hidden" not in str(Structure.dense([2, 8, 8, 1]))
