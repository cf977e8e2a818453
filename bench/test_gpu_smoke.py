"""The GPU suite itself works: its code on Triton's interpreter at tiny sizes, and what it does when a part fails."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch

from psinn_fast.kernels.reference.backend import ReferenceBackend

from .gpu import counters, first, sanitizer, steps, suite, worker
from .gpu.bars import bars
from .gpu.cases import case_of, structures
from .gpu.check import WrongPeer
from .gpu.checkout import ROOT, link_tree
from .gpu.expected import NAMES, emulated, estimated
from .gpu.jobs import NO_TIME, Job, run_jobs
from .gpu.laplace.case import Case
from .gpu.laplace.check import check
from .gpu.laplace.compiled import FormStep, WholeStep
from .gpu.laplace.eager import NestedAutogradStep, OursStep
from .gpu.laplace.formulations import FORMULATIONS
from .gpu.lines import Lines
from .gpu.peers import INNER_STEPS, CapturedStep
from .gpu.pytest_rows import FIRST
from .gpu.settings import CHECKS, MINUTES, OPTIONAL, SECTIONS, TIMINGS, Settings, Task, weights
from .gpu.table import table
from .static.cases import CASES as STATIC_CASES

TRITON = importlib.util.find_spec("triton")
QUICK = Settings(quick=True, interpret=True)
WHOLE = Settings(interpret=True)
# A program of three tasks, the second of which is given; it goes on behind what its lines have.
PROGRAM = """
import os, sys, time
from pathlib import Path
from bench.gpu.lines import Lines
lines = Lines(Path(sys.argv[1]))
lines.plan(["a/1", "a/2", "a/3"])
for key in ("a/1", "a/2", "a/3"):
    if key not in lines.read().rows:
        lines.begin(key, 1.5)
        if key == "a/2":
            {middle}
        lines.end(key, {{"process": os.getpid()}})
"""


def run_program(folder: Path, middle: str, seconds: float = 60.0) -> dict[str, dict[str, Any]]:
    lines = Lines(folder / "job.lines")
    command = [sys.executable, "-c", PROGRAM.format(middle=middle), str(lines.path)]
    job = Job("a/process", command, lines, folder / "job.log")
    run_jobs([job], time.time() + seconds, ROOT, os.environ, lambda: None)
    return job.rows()


@pytest.mark.parametrize(
    ("middle", "failure"),
    [
        ("print('out of registers', flush=True); os._exit(9)", "the process died (exit status 9): out of registers"),
        ("os.abort()", "the process died (exit status -6)"),
        ("time.sleep(100)", "stopped after 2 s"),
    ],
)
def test_smoke_gpu_a_process_that_dies_or_hangs_is_a_row(tmp_path: Path, middle: str, failure: str) -> None:
    rows = run_program(tmp_path, middle)
    assert list(rows) == ["a/1", "a/2", "a/3"]
    assert failure in rows["a/2"]["failure"]
    assert rows["a/1"]["process"] != rows["a/3"]["process"]


def test_smoke_gpu_a_broken_context_starts_the_process_again(tmp_path: Path) -> None:
    rows = run_program(tmp_path, "lines.end(key, {'failure': 'illegal address'}); os._exit(3)")
    assert rows["a/2"] == {"failure": "illegal address"}
    assert "process" in rows["a/3"]


def test_smoke_gpu_a_program_that_cannot_start_is_a_row(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "job.lines")
    job = Job("a/process", [sys.executable, "-c", "import nothing_of_this_name"], lines, tmp_path / "job.log")
    run_jobs([job], time.time() + 60, ROOT, os.environ, lambda: None)
    assert "nothing_of_this_name" in job.rows()["a/process"]["failure"]


def test_smoke_gpu_what_is_not_reached_is_left_out(tmp_path: Path) -> None:
    rows = run_program(tmp_path, "time.sleep(100)", seconds=1.0)
    assert "process" in rows["a/1"]
    assert NO_TIME in rows["a/2"]["failure"]
    assert rows["a/3"] == {"left_out": NO_TIME}


def test_smoke_gpu_a_section_that_raises_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(settings: Settings) -> list[Task]:
        raise RuntimeError("no such chip")

    def wrong(done: Mapping[str, Any]) -> dict[str, Any]:
        raise ArithmeticError("off by one")

    modules = {
        "machine": broken,
        "steps": lambda settings: [Task("one", wrong), Task("two", lambda done: {"seen": sorted(done)})],
    }
    monkeypatch.setattr(worker, "import_module", lambda name: SimpleNamespace(tasks=modules[name.rpartition(".")[2]]))
    lines = Lines(tmp_path / "lines")
    assert worker.work(["machine", "steps"], QUICK, lines, time.time() + 60, (0, 1)) == 0
    rows = lines.read().rows
    assert "no such chip" in rows["machine/section"]["failure"]
    assert "off by one" in rows["steps/one"]["failure"]
    assert rows["steps/two"]["seen"] == ["machine/section", "steps/one"]


def test_smoke_gpu_a_section_whose_time_is_over_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(tasks=lambda settings: [Task("one", lambda done: {})])
    monkeypatch.setattr(worker, "import_module", lambda name: module)
    lines = Lines(tmp_path / "lines")
    worker.work(["steps"], QUICK, lines, time.time() - 1, (0, 1))
    assert lines.read().rows == {"steps/one": {"left_out": NO_TIME}}


def test_smoke_gpu_runs_without_an_installation(tmp_path: Path) -> None:
    """And without the packages that only comforts need: a bare machine has none of them."""
    link_tree(tmp_path / "tree")
    program = (
        "import sys\n"
        "for name in ('rich', 'safetensors', 'matplotlib', 'hypothesis'): sys.modules[name] = None\n"
        "sys.meta_path[:] = [finder for finder in sys.meta_path if 'editable' not in repr(finder)]\n"
        "import bench.gpu.problems, psinn_fast.kernels, helpers\n"
        "print(psinn_fast.__file__, psinn_fast.kernels.__file__)"
    )
    path = f"{tmp_path / 'tree'}{os.pathsep}{tmp_path / 'tree' / 'tests'}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "tree",
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(name.startswith(str(tmp_path)) for name in done.stdout.split())


def result_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "gpu.json").read_text())


@pytest.mark.skipif(TRITON is None or TRITON.origin is None, reason="triton is not installed")
def test_smoke_gpu_every_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests = "tests/contract/test_residual_operations.py"
    arguments = ["--quick", "--interpret", "--minutes", "10", "--tests", tests, "--commit", "abc"]
    assert suite.main([*arguments, "--out", str(tmp_path)]) == 0, (tmp_path / "gpu.log").read_text()
    result = result_of(tmp_path)
    sections = result["sections"]
    assert tuple(sections) == SECTIONS
    assert all(sections.values())
    assert result["environment"]["commit"] == "abc"
    assert result["environment"]["torch"]
    assert not any(str(folder) in json.dumps(result) for folder in (tmp_path, ROOT, sys.prefix))
    assert not any(
        kind in row for rows in sections.values() for row in rows.values() for kind in ("failure", "left_out")
    )
    assert len(sections["tests"]) == 2
    assert all(row["met"] for name in ("first", "accuracy") for row in sections[name].values())
    measured = sections["steps"]
    assert {row["peer"] for row in measured.values()} == {
        "ours", "nested", "taylor", "taylor, graph", "compiled, reduce-overhead", "compiled, graph", "jax"
    }  # fmt: skip
    for row in measured.values():
        if "absent" not in row:
            assert row["gradient_error"] < 1e-5
            assert 0 < row["microseconds_per_step"]["median"] < math.inf
    assert json.loads((tmp_path / "gpu_tuning.json").read_text())
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("steps", "bars", "not measured", "dense-32, us per step"))


def test_smoke_gpu_stopped_in_the_middle_keeps_what_it_has(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu", "--quick", "--interpret", "--sections", "machine", "steps"]
    process = subprocess.Popen([*command, "--out", str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL)
    started = time.time()
    while time.time() - started < 60:
        time.sleep(0.2)
        if (tmp_path / "gpu.json").exists() and "multiply-adds" in result_of(tmp_path)["sections"]["machine"]:
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert "failure" not in result_of(tmp_path)["sections"]["machine"]["multiply-adds"]
    assert (tmp_path / "gpu.log").exists()


class Recorded:
    """A CUDA graph without CUDA: what is captured is not done, but kept."""

    capturing: Recorded | None = None

    def __init__(self) -> None:
        self.replay: Callable[[], None] = lambda: None


class Recordable:
    def __init__(self, step: Any) -> None:
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def steps(self, count: int) -> None:
        if Recorded.capturing is None:
            self._step.steps(count)
        else:
            Recorded.capturing.replay = lambda: self._step.steps(count)


@contextmanager
def recording(graph: Recorded, stream: object, capture_error_mode: str) -> Iterator[None]:
    Recorded.capturing = graph
    yield
    Recorded.capturing = None


@pytest.mark.parametrize("peer", [FormStep, WholeStep])
def test_smoke_gpu_a_captured_peer_starts_where_it_started(
    peer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warm-up and capture leave no trace: the checks are those of any other peer."""
    for name, fake in (
        ("CUDAGraph", Recorded),
        ("graph", recording),
        ("Stream", MagicMock),
        ("current_stream", MagicMock()),
        ("stream", nullcontext),
    ):
        monkeypatch.setattr(torch.cuda, name, fake)
    case = case_of("dense-4", 15, QUICK)
    step = CapturedStep(Recordable(peer(case, FORMULATIONS["points first"], None)))
    check(step, case)
    twin = peer(case, FORMULATIONS["points first"], None)
    count = INNER_STEPS + 3
    step.steps(count)
    twin.steps(10 + count)
    torch.testing.assert_close(step.parameters(), twin.parameters())


TINY = Case("tiny", (2, 8, 8, 16, 1), points=50, edge_points=5)


@pytest.mark.parametrize(
    "make", [OursStep, NestedAutogradStep, lambda case: FormStep(case, FORMULATIONS["features first"])]
)
def test_smoke_gpu_peers_are_right(make: Callable[[Case], Any]) -> None:
    assert check(make(TINY), TINY) < 1e-5


@pytest.mark.parametrize(("factor", "says"), [(1.001, "gradient off"), (math.nan, "gradient off by nan")])
def test_smoke_gpu_the_check_sees_a_wrong_gradient(factor: float, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = OursStep.loss_and_gradient

    def wrong(self: OursStep) -> tuple[float, torch.Tensor]:
        loss, gradient = right(self)
        return loss, factor * gradient

    monkeypatch.setattr(OursStep, "loss_and_gradient", wrong)
    with pytest.raises(WrongPeer, match=says):
        check(OursStep(TINY), TINY)


def test_smoke_gpu_the_check_sees_missing_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OursStep, "steps", lambda self, count: None)
    with pytest.raises(WrongPeer, match="steps"):
        check(OursStep(TINY), TINY)


def test_smoke_gpu_bars_and_table() -> None:
    spread = {"median": 20.0, "p10": 19.0, "p90": 21.0}
    fast = {"median": 5.0, "p10": 4.0, "p90": 6.0}
    sections: dict[str, dict[str, Any]] = {name: {} for name in (*CHECKS, *TIMINGS)}
    sections["tests"] = {"a": {"seconds": 1.0}, "b": {"failure": "AssertionError: 3 != 4"}}
    sections["steps"] = {
        "dense-32@10201/ours/ieee": {"microseconds_per_step": spread},
        "dense-32@10201/compiled, graph/stacked": {"microseconds_per_step": spread, "speedup": spread},
        "dense-32@10201/jax/stacked": {"microseconds_per_step": spread, "speedup": fast},
        "dense-32@10201/nested/usual": {"microseconds_per_step": spread, "speedup": spread},
    }
    found = {bar["name"]: bar for bar in bars(sections)}
    assert found["GPU tests that failed or were not reached"]["measured"] == 1
    assert found["dense-32, us per step"]["met"]
    best = found["dense-32, speed-up over the best graphed peer"]
    assert (best["measured"], best["peer"], best["met"]) == (5.0, "jax/stacked", True)
    assert not found["dense-32, speed-up over eager nested autograd"]["met"]
    assert not found["psi-32, us per step"]["met"]
    text = table({"sections": sections, "bars": list(found.values())})
    assert "1 passed, 1 failed" in text
    assert "MISSED" in text


def install(folder: Path, name: str, text: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that prints ``text`` instead of watching anything."""
    tool = folder / name
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {status}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.parametrize(
    ("summary", "status", "met"),
    [
        ("ERROR SUMMARY: 0 errors", 0, True),
        ("ERROR SUMMARY: 2 errors", 99, False),
        ("RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", 0, True),
        ("RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)", 99, False),
    ],
)
def test_smoke_gpu_sanitizer(
    summary: str, status: int, met: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "compute-sanitizer", f"========= tool\n========= {summary}", status, monkeypatch)
    one, second, *_ = sanitizer.tasks(Settings())
    row = one.run({})
    assert row["met"] is met
    assert row["summary"] in summary
    found = {bar["name"]: bar for bar in bars({"sanitizer": {one.key: row, second.key: {"failure": "stopped"}}})}
    assert found["compute-sanitizer memcheck: runs with findings"]["met"] is met
    assert found["compute-sanitizer racecheck: runs with findings"]["measured"] is None


def test_smoke_gpu_a_tool_that_does_not_work_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "compute-sanitizer", "Device not supported", 1, monkeypatch)
    install(tmp_path, "ncu", "==ERROR== No permission", 1, monkeypatch)
    for module in (sanitizer, counters):
        with pytest.raises(RuntimeError, match="exit status 1"):
            module.tasks(Settings())[0].run({})


def test_smoke_gpu_counters_are_read() -> None:
    output = (
        "==PROF== Connected\n"
        '"ID","Kernel Name","dram__bytes.sum","launch__registers_per_thread","smsp__inst_executed.sum"\n'
        '"","","byte","register/thread","inst"\n'
        '"0","psinn_loss_2_8_1_lap","1,234.5","255","n/a"\n'
        '"1","psinn_loss_2_8_1_lap","2,000","255","7"\n'
        "==WARNING== something\n"
    )
    assert counters.counters(output) == [
        {"dram__bytes.sum": 1234.5, "launch__registers_per_thread": 255},
        {"dram__bytes.sum": 2000, "launch__registers_per_thread": 255, "smsp__inst_executed.sum": 7},
    ]
    assert counters.counters("==ERROR== No permission") == []


def test_smoke_gpu_the_emulator_is_compared_with_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a point costs is the difference of two launches; tiles have to be the same."""
    monkeypatch.setattr(counters, "chip", lambda settings: "sm_90")
    known = emulated("dense-32", "ieee", "sm_90")
    assert known is not None
    entry = SimpleNamespace(block=known["block"], warps=known["warps"])
    monkeypatch.setattr(counters, "entry_for", lambda *_: entry)
    few, many = counters.POINTS
    passes = 1.1 * known["per_point"]["wavefronts"]
    launches = [
        {counters.WAVEFRONTS: 5000 + n * passes, counters.CONFLICTS: 70.0 + 2 * n, "dram__bytes.sum": 1.0}
        for n in (few, many)
    ]
    row = counters.compared(launches, "dense-32", "ieee", WHOLE)
    assert row["ratio"] == pytest.approx(1.1)
    assert row["conflicts_per_point"] == pytest.approx(2)
    assert row["emulated"]["commit"]
    bar = {bar["name"]: bar for bar in bars({"counters": {"dense-32/ieee": row}})}[
        "passes through shared memory, largest error of the emulator"
    ]
    assert (bar["measured"], bar["met"]) == (pytest.approx(0.1), True)
    assert "ratio 1.100" in table(
        {"sections": {"counters": {"dense-32/ieee": row | {"launches": launches}}}, "bars": []}
    )
    entry.warps *= 2
    assert "warps, not" in counters.compared(launches, "dense-32", "ieee", WHOLE)["emulated"]
    monkeypatch.setattr(counters, "chip", lambda settings: "sm_75")
    assert counters.compared(launches, "dense-32", "ieee", WHOLE)["emulated"] == "nothing for sm_75"


def test_smoke_gpu_what_is_known_without_a_chip_is_of_the_same_networks() -> None:
    static = {case.name: case for case in STATIC_CASES if case.problem == "laplace"}
    for name, own in NAMES.items():
        assert structures(quick=False)[name].layers == static[own].structure().layers
        assert emulated(name, "ieee", "sm_90")
    card, microseconds = estimated("dense-32", "ieee", "sm_90", 10_201) or ("", 0.0)
    assert card == "H100 SXM"
    assert microseconds > 0
    assert estimated("dense-32", "ieee", "sm_90", 1_000) is None


def test_smoke_gpu_a_recorded_run_that_leaves_out_a_step_is_noticed() -> None:
    case = case_of("dense-4", 15, QUICK)
    whole, short = (first.moved(ReferenceBackend(), case, n, torch.float64)[0] for n in (first.STEPS, first.STEPS - 1))
    assert first.error(short, whole) > 10 * first.BAR
    (single,) = first.moved(ReferenceBackend(), case, first.STEPS, torch.float32)
    assert first.error(single, whole) < first.BAR


def test_smoke_gpu_in_less_time_comes_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The essential sections have all of it, and each of them begins with what bars are about."""
    few, whole = weights(4), weights(MINUTES)
    assert {name for name, share in few.items() if not share} == set(OPTIONAL)
    assert all(whole.values())
    assert list(TIMINGS)[:3] == ["machine", "counters", "steps"]
    ways = {"features first": MagicMock(), "points first": MagicMock()}
    monkeypatch.setattr(steps, "families", lambda case, settings: {"nested": {"usual": MagicMock()}, "jax": ways})
    keys = [task.key for task in steps.tasks(WHOLE)]
    assert len(set(keys)) == len(keys)
    kernels = [(name, "ieee") for name in steps.BARRED] + [("dense-32", "tf32x3"), ("psi-32", "tf32x3")]
    for start, points in ((0, 10_201), (5, 1_000_000)):
        assert sorted(keys[start : start + 5]) == sorted(f"{name}@{points}/ours/{kind}" for name, kind in kernels)
    main = "dense-32@10201"
    assert keys[10:13] == [f"{main}/nested/usual", f"{main}/jax/features first", f"{main}/jax/points first"]
    assert (ROOT / "tests" / "kernels" / "triton" / f"{FIRST}.py").exists()


def test_smoke_gpu_results_name_no_folders() -> None:
    text = f'"E File \\"{ROOT}/kernels/a.py\\", {sys.prefix}/lib/b.py, {tempfile.gettempdir()}/psinn_x1/tree/c.py: 1/2"'
    assert suite.without_folders(text) == '"E File \\"kernels/a.py\\", lib/b.py, tree/c.py: 1/2"'
