"""The benchmarks themselves work, at tiny sizes: python -m pytest bench -k smoke."""

from __future__ import annotations

import importlib.util
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
import torch

from . import (
    accuracy,
    cylinder,
    gauss_newton,
    geometry,
    section,
    statuses,
)
from .section import run_python


def _has_triton() -> bool:
    spec = importlib.util.find_spec("triton")
    return spec is not None and spec.origin is not None


class _Here(ThreadPoolExecutor):
    """Runs in this process, which has imported everything."""

    def __init__(self, jobs: int, mp_context: object) -> None:
        super().__init__(jobs)


@pytest.fixture(autouse=True)
def _same_threads_afterwards() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("unjudged")
def test_smoke_accuracy_runs_every_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "ProcessPoolExecutor", _Here)
    out = tmp_path / "accuracy.json"
    assert accuracy.main(["--scale", "1e-4", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(row["problem"], row["method"]) for row in rows][:2] == [("laplace", "psi"), ("laplace", "pinn")]
    assert all(math.isfinite(row["median_relative_l2"]) for row in rows)


@pytest.mark.skipif(not _has_triton(), reason="Triton is not installed")
def test_smoke_static_a_shipped_configuration_spills_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In a process of its own: in this one, other tests may have imported Triton to interpret.
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    chosen = ["--quick", "--cases", "dense 2-8-8-16-1"]
    run_python(["-m", "bench.static", *chosen, "--jobs", "1", "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "static.json").read_text())["rows"]
    shipped = {row["case"]: row for row in rows}["dense 2-8-8-16-1"]
    assert (shipped["chip"], shipped["spill_bytes"]) == ("sm_89", 0)
    counts = shipped["instructions_per_tile"]
    # A tanh per lane and point takes two MUFUs, exp2 and 1/x; Triton may compute that of one layer in two layouts
    # rather than move it (at most 16 of 32 neurons). Products are 12 (64 + 128) / 32 = 72 FMAs.
    assert 2 * shipped["block"] <= counts["mufu"] <= 3 * shipped["block"]
    assert 72 * shipped["block"] < counts["fma"] < counts["all"] < 250 * shipped["block"]
    assert shipped["programs_per_processor"] > 0
    assert shipped["cycles_per_point"]["shared"] == shipped["emulated_wavefronts_per_point"][0] > 0
    assert shipped["cycles_per_point"][shipped["binding"]] == max(shipped["cycles_per_point"].values())
    times = shipped["estimates"]["RTX 4080, 10,201 points"]
    assert times["microseconds"] > max(times["arithmetic_floor"], times["memory_floor"], times["launch_floor"]) > 0
    assert "dense 2-8-8-16-1" in (tmp_path / "static.md").read_text()


SEARCH = """
import sys
from pathlib import Path
from bench.static import search

search.BLOCKS, search.WARPS, search.SHIPPED = (16,), (1,), Path(sys.argv[1])
rows = [{"estimates": {"a": {"microseconds": t}}, "spill_bytes": s} for t, s in ((10.0, 64), (10.1, 0), (11.0, 0))]
assert search.best([*rows, {"failure": "no"}]) is rows[1]
assert search.best([{"failure": "no"}]) is None
sys.exit(search.main(["dense 2-8-1", "--chips", "89", "--jobs", "1", "--save"]))
"""


@pytest.mark.skipif(not _has_triton(), reason="Triton is not installed")
def test_smoke_the_best_of_the_compiled_tiles_goes_into_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    table = tmp_path / "configurations.json"
    table.write_text('{"any": {}}')
    run_python(["-c", SEARCH, str(table)])
    ((signature, entry),) = json.loads(table.read_text())["sm_89"].items()
    assert signature == "2;1x8;1/ieee"
    assert (entry["block"], entry["warps"], entry["per_processor"] >= 1) == (16, 1, True)


@pytest.mark.parametrize(
    ("study", "arguments"),
    [
        (cylinder, ["--methods", "psi", "--seconds", "0.01", "--steps", "2"]),
        (geometry, ["--problems", "corner", "--scale", "0.001", "--threads", "1"]),
        (statuses, ["--problems", "heat pinn", "--optimizers", "adam"]),
    ],
    ids=lambda value: value.__name__ if hasattr(value, "__name__") else "",
)
def test_smoke_studies_over_seeds(
    study: ModuleType,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if study is cylinder:  # nearly all of its time is the verdict, which is tested elsewhere
        request.getfixturevalue("unjudged")
    monkeypatch.setattr(section, "ProcessPoolExecutor", _Here)
    monkeypatch.setattr(statuses, "ADAM_STEPS", 20)
    monkeypatch.setattr(statuses, "REFERENCE_STEPS", 20)
    out = tmp_path / "study.json"
    assert study.main([*arguments, "--seeds", "1", "--jobs", "1", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["command"] == f"python -m {study.__name__}"
    assert found["threads"] == 1
    assert all(len(row["runs"]) == 1 and row["median"] > 0 for row in found["rows"])


def test_smoke_rows_are_saved_after_each_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(method: str, *_: object, **__: object) -> section.Row:
        if method == "pinn":
            raise KeyboardInterrupt
        return {"relative_l2": 0.1}

    monkeypatch.setattr(section, "ProcessPoolExecutor", _Here)
    monkeypatch.setattr(cylinder, "run", run)
    out = tmp_path / "cylinder.json"
    with pytest.raises(KeyboardInterrupt):
        cylinder.main(["--seeds", "1", "--out", str(out)])
    assert [row["method"] for row in json.loads(out.read_text())["rows"]] == ["psi", "published"]


# torch.func's hessian still uses what torch itself has deprecated.
@pytest.mark.trajectory
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_smoke_time_to_accuracy(tmp_path: Path) -> None:
    out = tmp_path / "tta.json"
    arguments = ["--problems", "laplace", "--seeds", "1", "--scale", "0.01", "--threads", "1"]
    assert gauss_newton.main([*arguments, "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert {row["optimizer"] for row in result["rows"]} == set(gauss_newton.OPTIMIZERS)
    assert all(math.isfinite(row["median_error"]) for row in result["rows"])
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
