"""Kernels as Triton compiles them, on emulated chips. In a process of its own: here Triton may be interpreted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from interpreted import IS_INSTALLED, VARIABLE

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="triton is not installed")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cache = {name: str(tmp_path_factory.getbasetemp() / "cache") for name in ("PSINN_FAST_CACHE", "TRITON_CACHE_DIR")}
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE} | cache
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    script = Path(__file__).with_name("compiled.py")
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_gradients(found: dict[str, Any]) -> None:
    """Within twice the error of float32 in torch, in float64 to 1e-14, without a race."""
    assert [*found["gradients"]] == ["dense sm_120", "small sm_90", "tied sm_80"]
    for row in found["gradients"].values():
        assert row["is_right"], row
    assert found["gradients"]["small sm_90"]["gradient_error"] < 1e-14
    point = found["gradients"]["small sm_90"]["per_point"]
    assert point["instructions"]["mma"] > 0
    assert point["wavefronts"] > 0


def test_other_numbers_of_points_are_no_other_kernel(found: dict[str, Any]) -> None:
    assert found["compilations"] == 1


def test_training(found: dict[str, Any]) -> None:
    errors = found["training"]["errors"]
    assert len(errors) == 8
    assert max(errors) < 1e-5


def test_what_is_compiled_for_a_chip_that_is_not_here(found: dict[str, Any]) -> None:
    """A launch there finds it: it has the same key in Triton's cache."""
    assert found["training"]["is_found_ahead"]


def test_the_second_kernel_waits_for_memory_a_few_times(found: dict[str, Any]) -> None:
    """Tables, sums, what depends on the step: whatever the number of programs."""
    assert found["training"]["rounds"]["adam"] <= 4


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        ("no barrier", "races"),
        ("off by one", "Fault: global memory out of bounds"),
        ("no mask", "Fault: global memory out of bounds"),
        ("unknown", "clusterlaunchcontrol"),
    ],
)
def test_planted_faults_are_found(found: dict[str, Any], plant: str, said: str) -> None:
    assert said in found["faults"][plant]
