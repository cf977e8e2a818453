"""The backends that every test of the contract is for."""

from __future__ import annotations

import pytest
from helpers import CPU_BACKENDS
from toy_backend import Toy

from psinn_fast.kernels import get_backend
from psinn_fast.kernels.contract import Backend


@pytest.fixture(params=[*CPU_BACKENDS, "toy"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return Toy() if request.param == "toy" else get_backend(request.param)
