"""The backend under test, once for every instruction set of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.cpu.extension import instruction_sets, why_not

ISAS = instruction_sets() or [pytest.param(None, marks=pytest.mark.skip(reason=str(why_not())))]


@pytest.fixture(params=ISAS)
def backend(request: pytest.FixtureRequest) -> CpuBackend:
    return CpuBackend(request.param)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """Tests may set torch's thread count."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
