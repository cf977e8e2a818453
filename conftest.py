"""Which tests compute, and the suite under other rounding errors (docs/testing.md).

PSINN_FAST_TEST_PERTURB=k, k > 0, moves the initial weights of all networks by 1e-12 of their size (float32: by one
rounding), with signs from draw k. PSINN_FAST_TEST_BACKEND=reference makes "auto" mean that backend on the CPU.
PSINN_FAST_TEST_SHARE=k/n keeps the k-th of n shares of the tests. PSINN_FAST_ISA, which the library itself reads,
chooses the instruction set.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from helpers import perturbed
from matplotlib.figure import Figure

from psinn_fast import PsiMLP
from psinn_fast.kernels.contract import registry
from psinn_fast.pictures import figures
from psinn_fast.training import stability
from psinn_fast.training.result import FitResult

ROOT = Path(__file__).parent
# What computes by the kernels of the CPU or by torch.
NUMERICAL = ("contract", "kernels", "training", "discovery", "problems", "examples")
# What trains to the end and takes more steps than that has to be marked, and so is run from perturbed weights too.
MOST_UNMARKED_STEPS = 25
NUMERICAL_FILES = ("conditions", "derivatives", "frame", "networks", "operators", "pde", "solving")

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_sessionstart() -> None:
    """Tests are collected without looking for garbage, which is a fifth of the time: nearly all of it stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    own, shares = (int(part) for part in os.environ.get("PSINN_FAST_TEST_SHARE", "0/1").split("/"))
    others = [item for item in items if zlib.crc32(item.nodeid.encode()) % shares != own]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]
    for item in items:
        parts = item.path.relative_to(ROOT).with_suffix("").parts
        is_numerical = parts[1] in (*NUMERICAL, *(f"test_{name}" for name in NUMERICAL_FILES))
        is_triton = "triton" in parts or "[triton" in item.name
        if (is_numerical and not is_triton) or item.get_closest_marker("trajectory"):
            item.add_marker("numerical")


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """Also where the shell told the tests to ignore them: in a background job, under nohup."""
    told: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
            if signal.getsignal(number) == signal.SIG_IGN:
                told[number] = signal.signal(number, handler)
    yield
    for number, handler in told.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module", autouse=True)
def _results_are_judged_quickly(request: pytest.FixtureRequest) -> Iterator[None]:
    """Which errors residuals allow is looked for among fewer functions, but where the mark is ``verdict``."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("verdict") is None:
            for name, count in (("CHANGED_BESIDE", 20), ("CHANGED", 40), ("MOST_UNKNOWNS", 40)):
                patch.setattr(stability, name, count)
        yield


_BACKENDS = dict(registry.BACKENDS)


@pytest.fixture(autouse=True)
def _ordinary_choice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what "auto" means, whatever PSINN_FAST_TEST_BACKEND says."""
    if request.node.get_closest_marker("automatic") is not None:
        monkeypatch.setattr(registry, "BACKENDS", _BACKENDS)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For what is to be the same bit for bit, torch's own sums included."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


_is_drawn = [False]


@pytest.fixture(scope="session", autouse=True)
def _pictures_are_blank() -> Iterator[None]:
    """Figures are made, but rendered, which takes seconds a run, by tests marked ``pictures`` only."""
    draw, make, empty = Figure.savefig, figures.png_of, io.BytesIO()
    draw(Figure(figsize=(0.1, 0.1)), empty)

    def savefig(figure: Figure, file: Any, **options: Any) -> None:
        if _is_drawn[0] or options.get("format") != "png":
            draw(figure, file, **options)
        else:
            file.write(empty.getvalue())

    def png_of(figure: Figure) -> bytes:
        return make(figure) if _is_drawn[0] else empty.getvalue()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        patch.setattr(figures, "png_of", png_of)
        yield


@pytest.fixture(autouse=True)
def _some_pictures_are_drawn(request: pytest.FixtureRequest) -> Iterator[None]:
    _is_drawn[0] = request.node.get_closest_marker("pictures") is not None
    yield
    _is_drawn[0] = False


@pytest.fixture(autouse=True)
def _long_training_is_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    make, steps = FitResult.__init__, [0]

    def make_counted(result: FitResult, *arguments: Any, **options: Any) -> None:
        make(result, *arguments, **options)
        steps.append(result.steps if result.ended == "done" else 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FitResult, "__init__", make_counted)
        yield
    if request.node.get_closest_marker("trajectory") is None and max(steps) > MOST_UNMARKED_STEPS:
        pytest.fail(f"it trains for {max(steps)} steps: mark it by @pytest.mark.trajectory (docs/testing.md)")


@pytest.fixture(scope="session", autouse=True)
def _other_rounding_errors() -> Iterator[None]:
    make, name = PsiMLP.__init__, os.environ.get("PSINN_FAST_TEST_BACKEND")

    def make_perturbed(net: PsiMLP, *arguments: Any, **options: Any) -> None:
        make(net, *arguments, **options)
        with torch.no_grad():
            net.theta.copy_(perturbed(net.theta))

    with pytest.MonkeyPatch.context() as patch:
        if os.environ.get("PSINN_FAST_TEST_PERTURB"):
            patch.setattr(PsiMLP, "__init__", make_perturbed)
        if name:
            patch.setattr(registry, "BACKENDS", {name: registry.get_backend(name), **registry.BACKENDS})
        yield
