"""`psinn-fast doctor --self-test`: right on this machine, and it sees what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from torch import Tensor

from psinn_fast.cli import self_test as module
from psinn_fast.cli.commands import main
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.structure import Structure


@pytest.mark.trajectory
def test_it_passes_here_with_every_instruction_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--self-test", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["self_test"]
    assert found["passed"] is True
    engines = {check["engine"] for check in found["checks"]}
    assert engines >= {"reference", *(f"cpu {isa}" for isa in instruction_sets())}
    names = [check["name"] for check in found["checks"] if check["engine"] == "reference"]
    assert len(names) == 2 * 9 + 1
    assert all(check["error"] <= check["bar"] <= 1e-2 for check in found["checks"])


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference backend on one network."""
    monkeypatch.setattr(module, "instruction_sets", lambda: ())
    structure = Structure.dense([2, 3, 1])
    parts = {"jets": module.Jets, "loss": module.Loss, "Adam": module.AdamSteps, "Jacobian": module.Jacobian}
    monkeypatch.setattr(module, "cases", lambda: [module.Case(name, of(structure)) for name, of in parts.items()])


def scaled(result: object, factor: float) -> object:
    if isinstance(result, Tensor):
        return result * factor
    return type(result)(*(scaled(part, factor) for part in result)) if hasattr(result, "_fields") else result


@pytest.mark.trajectory
@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(("operation", "name"), [("jets", "jets"), ("loss_and_gradient", "loss"), ("train", "Adam")])
@pytest.mark.parametrize("factor", [1 + 2e-6, float("nan")])
def test_a_wrong_operation_is_seen(
    operation: str, name: str, factor: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right: Callable[..., object] = getattr(ReferenceBackend, operation)
    monkeypatch.setattr(ReferenceBackend, operation, lambda *arguments: scaled(right(*arguments), factor))
    assert main(["doctor", "--self-test"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("reference  ")]
    wrong = {line.split()[2].rstrip(",") for line in lines if line.endswith("WRONG")}
    assert name in wrong
    assert "Jacobian" not in wrong


@pytest.mark.usefixtures("_quick")
def test_an_exception_is_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(ReferenceBackend, "residual_jacobian", broken)
    assert main(["doctor", "--self-test", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["self_test"]
    wrong = [check for check in found["checks"] if not check["passed"]]
    assert {check["name"] for check in wrong} == {"Jacobian", "Gauss-Newton, u'' = f"}
    assert all((check["error"], check["failure"]) == (None, "RuntimeError: no such instruction") for check in wrong)


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for before in ("baseline", None):
        monkeypatch.setenv("PSINN_FAST_ISA", "baseline") if before else monkeypatch.delenv("PSINN_FAST_ISA")
        with module.instruction_set("avx2"):
            assert module.os.environ["PSINN_FAST_ISA"] == "avx2"
        assert module.os.environ.get("PSINN_FAST_ISA") == before
