"""`psinn-fast profile`: what it says, on the CPU; what it would make of a GPU's events."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch._C._autograd import DeviceType

from psinn_fast.cli.advice import advice
from psinn_fast.cli.commands import main
from psinn_fast.cli.profiling import GROUPS, Profile, Timed, further, on_gpu
from psinn_fast.cli.step_parts import UNKNOWN, Parts, Spared
from psinn_fast.kernels import get_backend

FAST = ["--steps", "2", "--layers", "2,3,1"]


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_on_the_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Time by operation, the timeline as a file, and which lines show more."""
    trace = tmp_path / "trace.json"
    arguments = ["profile", "burgers", "--set", "nu=0.1", *FAST, "--threads", "1", "--precision", "tf32x3"]
    assert main([*arguments, "--json", "--trace", str(trace)]) == 0
    found = json.loads(capsys.readouterr().out)
    name = get_backend().name
    assert (found["device"], found["backend"], found["parameters"]) == ("cpu", name, 13)
    assert [row["name"].split(",")[0] for row in found["operations"]] == [
        "train", "loss_and_gradient", "residual_jacobian", "jets"
    ]  # fmt: skip
    assert all(row["microseconds"] > 0 for row in found["operations"])
    assert {f"psinn::train ({name})", f"psinn::jets ({name})"} <= {row["name"] for row in found["kernels"]}
    assert sum(row["share"] for row in found["kernels"]) == pytest.approx(1)
    assert f"psinn::train ({name})" in {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    line = next(line for line in found["further"] if "ncu" in line)
    assert "psinn-fast solve burgers --set nu=0.1 --method pinn --layers 2,3,1 --precision tf32x3 --device cuda" in line


def test_the_report_is_for_people() -> None:
    kernels = [Timed(f"kernel {number}", 1, 9.0 - number, 0.05) for number in range(20)]
    spared = Spared((560, 304), (10605, 5455))
    timed = (Timed("train, a step", 1000, 12.34),)
    found = Profile("cuda:0", "triton", 321, 5455, timed, tuple(kernels), spared, iteration=Parts({"J^T J": 3e-3}))
    report = found.report()
    assert "Multiplications per point and channel: 560 written out, 304 computed" in report
    assert re.search(r"iteration of Gauss-Newton.*\nJ\^T J +3000\.0 +100\.0%\n", report)
    assert "321 parameters, 5,455 points, backend triton, cuda:0" in report
    assert re.search(r"train, a step +1000 +12\.3\n", report)
    assert re.search(r"kernels on the GPU.*\nkernel 0 +1 +9\.0 +5\.0%\n", report)
    assert report.endswith("and 5 more")


needs_kernels = pytest.mark.skipif(get_backend().name != "cpu", reason="the C++ kernels were not built, or not chosen")


@needs_kernels
def test_parts_of_a_step_and_of_an_iteration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are all of a step; a tied network says what its relations spare; there is a picture."""
    picture = tmp_path / "flame.png"
    arguments = ["profile", "laplace", "--method", "psi", "--width", "4", "--steps", "5", "--threads", "1", "--json"]
    assert main([*arguments, "--picture", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    step = found["step"]["seconds"]
    assert set(step) == {name for names in GROUPS.values() for name in names}
    assert all(seconds >= 0 for seconds in step.values())
    for name in ("first layer", "products", "relations", "activations", "residuals", "weight gradients", "optimiser"):
        assert step[name] > 0
    assert 0 < found["step"]["share_of_peak"] < 1
    written, computed = found["spared"]["multiplications"]
    every, folded = found["spared"]["points"]
    assert written > computed
    assert every == 10_605
    assert folded < every
    assert {"J^T J", "Jacobian", "solution"} <= set(found["iteration"]["seconds"])
    assert picture.read_bytes()[:4] == b"\x89PNG"


@needs_kernels
def test_what_is_counted_is_what_a_clock_around_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Of more steps, more of the time is that of the kernels: parts grow, and Python's share falls."""
    shares = []
    for steps in ("1", "200"):
        assert main(["profile", "laplace", "--steps", steps, "--threads", "1", "--json"]) == 0
        seconds = json.loads(capsys.readouterr().out)["step"]["seconds"]
        shares.append(seconds["Python"] / sum(seconds.values()))
    assert shares[1] < 0.05
    assert shares[1] < shares[0]


def test_advice_follows_the_parts() -> None:
    nothing = Spared((10, 10), (10, 10))
    assert advice(Parts({"products": 1.0}, share_of_peak=0.2), nothing, 0, True, False, 1) == []
    (symmetric,) = advice(Parts({"products": 1.0}), nothing, 3, True, False, 1)
    assert symmetric.startswith("The problem has 3 symmetries")
    (waiting,) = advice(Parts({"products": 1.0, "waiting": 0.3}), nothing, 0, True, False, 2)
    assert "--threads 1" in waiting
    (spared,) = advice(Parts({"products": 1.0}), Spared((20, 10), (8, 4)), 0, False, False, 1)
    assert "4 times fewer" in spared
    assert Parts({"products": 0.9, UNKNOWN: 0.1}).accounted == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "steps: expected an integer >= 1, got 0"),
        (["--trace", "/proc/nowhere/trace.json"], "trace: cannot write to /proc/nowhere/trace.json"),
        (["--trace", "/proc"], "trace: cannot write to /proc (Is a directory)"),
        (["--picture", "nowhere/a.png"], "picture: cannot write to nowhere/a.png (there is no folder nowhere)"),
        (["--device", "gpu"], "device: expected 'cpu', 'cuda' or e.g. 'cuda:1', got 'gpu'"),
        (["--backend", "gpu"], "backend: expected one of"),
        (["--method", "psi", "--layers", "2,3,1"], "layers: has no meaning for method 'psi'"),
    ],
)
def test_bad_input(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "laplace", *arguments]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "laplace", "--device", "cuda"]) == 2
    error = capsys.readouterr().err
    assert "device: got 'cuda', but torch can use no GPU here" in error
    assert "--device cpu times the operations there" in error


@pytest.mark.parametrize("command", [["profile", "laplace"], ["compile", "laplace", "--chip", "sm_89"]])
def test_products_in_float64_are_of_one_precision(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As `solve` says, whose run this is about."""
    assert main([*command, "--dtype", "float64", "--precision", "tf32x3"]) == 2
    assert "precision: 'tf32x3' is of products in float32" in capsys.readouterr().err


def test_events_of_a_gpu() -> None:
    """Kernels by name, those of graphs as often as they ran; labels and what the host did are none."""

    def event(name: str, microseconds: float, device: DeviceType = DeviceType.CUDA) -> SimpleNamespace:
        return SimpleNamespace(
            name=name, device_type=device, time_range=SimpleNamespace(elapsed_us=lambda: microseconds)
        )

    kernel = "psinn_loss_2_8_8_1_lap"
    events = [event(kernel, 30.0), event("adam", 5.0), event(kernel, 10.0), event("psinn::train (triton)", 99.0)]
    rows = on_gpu([*events, event("cudaGraphLaunch", 7.0, DeviceType.CPU)])
    assert [(row.name, row.calls, row.microseconds) for row in rows] == [(kernel, 2, 20.0), ("adam", 1, 5.0)]
    assert [row.share for row in rows] == pytest.approx([40 / 45, 5 / 45])
    assert on_gpu([]) == ()


def test_the_model_is_asked_about_the_chip_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (12, 0))
    assert further("laplace", torch.device("cuda"))[-1].endswith("bench.static.own laplace --chips 120")
