"""Triton's interpreter and the emulator stand for a GPU: who asks is told, and nothing is compiled or timed by them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from interpreted import IS_INTERPRETED, VARIABLE
from on_device import ON_GPU
from small import small_laplace

import psinn_fast as pf
from psinn_fast.ahead import compile_for_chip, compile_kernels
from psinn_fast.cli import self_test
from psinn_fast.cli.commands import main
from psinn_fast.cli.doctor import doctor_report
from psinn_fast.cli.profiling import profiled
from psinn_fast.kernels import check_compiler
from psinn_fast.kernels.triton import machine
from psinn_fast.kernels.triton.configuration import choose
from psinn_fast.kernels.triton.layout import make_layout

pytestmark = pytest.mark.skipif(ON_GPU, reason="nothing stands for a GPU here")
interpreted = pytest.mark.skipif(not IS_INTERPRETED, reason="Triton compiles here")
SMALL = pf.Network(layers=[2, 4, 1])
REFUSED = "cannot compile here: Triton's interpreter is on, which compiles nothing; unset TRITON_INTERPRET before Py"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("TRUE", True), ("on", True), ("y", True), ("Yes", True), ("0", False), ("", False), ("t", False)],
)
def test_the_variable_is_read_as_triton_reads_it(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    from triton import knobs

    monkeypatch.setenv(VARIABLE, value)
    assert machine.is_interpreted() is bool(knobs.runtime.interpret) is expected
    monkeypatch.delenv(VARIABLE)
    assert machine.is_interpreted() is False


@interpreted
@pytest.mark.parametrize(
    "use",
    [
        check_compiler,
        lambda: compile_for_chip(small_laplace(5), SMALL, [pf.Adam(1)], "sm_90"),
        lambda: profiled(small_laplace(5), pf.MLP([2, 4, 1]), "triton", "ieee", steps=1),
        lambda: profiled(small_laplace(5), pf.MLP([2, 4, 1]), "gemm", "ieee", steps=1),
    ],
)
def test_nothing_is_compiled_or_timed_by_the_interpreter(
    use: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(pf.BackendUnavailable, match=REFUSED):
        use()
    monkeypatch.delenv(VARIABLE)  # too late: Triton has been imported
    with pytest.raises(pf.BackendUnavailable, match=f"{REFUSED}|no NVIDIA GPU"):
        use()


@interpreted
@pytest.mark.parametrize("command", [["compile", "laplace", "--chip", "sm_90"], ["profile", "laplace"]])
def test_in_one_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--backend", "triton"] if command[0] == "profile" else []
    assert main([*command, *options, "--layers", "2,4,1"]) == 2
    error = capsys.readouterr().err
    assert REFUSED in error
    assert len(error.splitlines()) == 1


def test_ahead_of_time_is_for_a_gpu() -> None:
    with pytest.raises(pf.InputError, match=r"device: kernels are compiled for a GPU, got 'cpu'.*--chip sm_89"):
        compile_kernels(small_laplace(5), SMALL, [pf.Adam(1)])


@interpreted
def test_a_variable_that_is_set_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's own functions are compiled ones then, which the interpreter cannot call."""
    monkeypatch.setattr(machine, "was_interpreted", lambda: False)
    with pytest.raises(pf.BackendUnavailable, match=r"TRITON_INTERPRET was set after Triton had been imported; set it"):
        pf.get_backend("triton")


def test_tiles_are_large_where_each_takes_as_long(device: torch.device) -> None:
    """What an interpreted `fit` measures at its end, at 16,384 points, took minutes by tiles of 16."""
    net = pf.MLP([2, 4, 1])
    found = choose(make_layout(net.plan, net.theta.dtype), net.theta.dtype, device, "tf32x3")
    assert (found.block, found.precision) == (256 if IS_INTERPRETED else 16, "tf32x3")


def test_the_doctor_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = machine.stand_in()
    assert found is not None
    assert ("TRITON_INTERPRET=1" in found) is IS_INTERPRETED
    for name in machine.BY_TRITON:
        assert (
            doctor_report()[f"{name} backend"] == f"available, on the CPU: {found} stands for a GPU, slowly, for tests"
        )
    wrong_device = SimpleNamespace(name="device", error_and_bar=lambda engine, dtype: (engine.device.type != "cpu", 0))
    monkeypatch.setattr(self_test, "cases", lambda: [wrong_device])
    for name in machine.BY_TRITON:
        monkeypatch.setattr(self_test, "available_backends", lambda name=name: {name: None})
        first = next(self_test.self_test())
        assert (first.engine, first.passed) == (name, True)
    monkeypatch.setenv("PSINN_FAST_EMULATE", "90")
    assert "emulator" not in doctor_report()
    monkeypatch.setattr(machine, "stand_in", lambda: None)
    assert "PSINN_FAST_EMULATE is for the project's own tests alone" in doctor_report()["emulator"]
