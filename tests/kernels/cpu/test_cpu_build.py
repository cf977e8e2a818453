"""Which backend and which instruction set is used, and what happens without the extension."""

from __future__ import annotations

import pytest
import torch
from helpers import random_points, random_theta
from programs import run_program

from psinn_fast.kernels.contract import registry
from psinn_fast.kernels.cpu import extension
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.errors import BackendUnavailable, InputError, say_once
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.networks.structure import Structure

needs_extension = pytest.mark.skipif(bool(extension.why_not()), reason=str(extension.why_not()))
STRUCTURE = Structure.dense([2, 7, 1])
CHANNELS = ChannelSet.closure(2, [(2, 0)])


def jets(backend: CpuBackend) -> torch.Tensor:
    return backend.jets(lower(STRUCTURE.layers), random_theta(STRUCTURE, 0), random_points(37, 2), CHANNELS)


@needs_extension
@pytest.mark.automatic
def test_it_comes_first() -> None:
    """Of those that take tensors on a CPU."""
    assert list(registry.available_backends()) == ["triton", "gemm", "cpu", "reference"]
    assert registry.available_backends()["cpu"] is None
    assert registry.get_backend("cpu").name == "cpu"
    assert registry.get_backend("auto").name == "cpu"
    assert extension.instruction_sets()[-1] == "baseline"


@pytest.fixture
def _not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    # Undone, the cache of the real function is as before.
    monkeypatch.setattr(extension, "native", lambda: None)


@pytest.mark.automatic
@pytest.mark.usefixtures("_not_built")
def test_not_built() -> None:
    reason = "the C\\+\\+ kernels were not built; install a C\\+\\+17 compiler"
    with pytest.raises(BackendUnavailable, match=f"backend 'cpu' cannot run here: {reason}"):
        registry.get_backend("cpu")
    say_once.cache_clear()
    with pytest.warns(RuntimeWarning, match=f"backend 'cpu' is not used: {reason}"):
        assert registry.get_backend("auto").name == "reference"
    assert "not built" in str(registry.available_backends()["cpu"])
    assert extension.instruction_sets() == ()
    # Also where somebody makes the backend directly.
    with pytest.raises(BackendUnavailable, match=reason):
        jets(CpuBackend())


@needs_extension
@pytest.mark.parametrize("isa", extension.instruction_sets())
def test_the_environment_chooses(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(extension.ISA_VARIABLE, isa)
    assert extension.chosen_instruction_set() == isa
    assert torch.equal(jets(CpuBackend()), jets(CpuBackend(isa)))
    monkeypatch.setenv(extension.ISA_VARIABLE, "")
    assert extension.chosen_instruction_set() == extension.instruction_sets()[0]


PRINT_JETS = """
import torch
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.network.lowering.lowering import lower
from psinn_fast.kernels import get_backend
from psinn_fast.networks.structure import Structure

structure = Structure.dense([2, 7, 1])
theta = torch.linspace(-1, 1, structure.n_parameters, dtype=torch.float64)
x = torch.linspace(-1, 1, 34, dtype=torch.float64).view(17, 2)
jets = get_backend("cpu").jets(lower(structure.layers), theta, x, ChannelSet.closure(2, [(2, 0)]))
print([value.hex() for value in jets.flatten().tolist()])
"""


@needs_extension
def test_baseline_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(extension.ISA_VARIABLE, "baseline")
    result = run_program(PRINT_JETS)
    assert result.returncode == 0, result.stderr
    structure = Structure.dense([2, 7, 1])
    theta = torch.linspace(-1, 1, structure.n_parameters, dtype=torch.float64)
    x = torch.linspace(-1, 1, 34, dtype=torch.float64).view(17, 2)
    expected = CpuBackend("baseline").jets(lower(structure.layers), theta, x, CHANNELS)
    assert result.stdout.strip() == str([value.hex() for value in expected.flatten().tolist()])


@needs_extension
def test_an_instruction_set_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(extension.ISA_VARIABLE, "avx1024")
    result = run_program(PRINT_JETS)
    assert result.returncode == 1
    assert "InputError: PSINN_FAST_ISA: expected one of" in result.stderr
    assert "baseline on this machine, got 'avx1024'" in result.stderr
    monkeypatch.setenv(extension.ISA_VARIABLE, "AVX2")
    with pytest.raises(InputError, match=r"PSINN_FAST_ISA: expected one of .*baseline on this machine, got 'AVX2'"):
        jets(CpuBackend())
