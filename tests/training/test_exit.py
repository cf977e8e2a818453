"""Training in daemon threads as the interpreter exits, and in processes that were forked or spawned."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from programs import run_program

TESTS = str(Path(__file__).parents[1])
DAEMON = """
import sys, threading, time
sys.path.insert(0, {tests!r})
import torch
from small import small_laplace
from psinn_fast import GaussNewton, MLP, TrainingInterrupted, fit
from psinn_fast.training import interrupt
from psinn_fast import LBFGS, Adam

tries = []
problem, net = small_laplace(21), MLP([2, 24, 24, 1], seed=0, dtype=torch.float64)

def train():
    try:
        {train}
        print("ended by itself")
    except TrainingInterrupted as stop:
        print("interrupted", stop.signal, stop.result.steps > 0, flush=True)

threading.Thread(target=train, daemon=True).start()
while not interrupt.ELSEWHERE:
    time.sleep(0.01)
time.sleep(1)
print("leaving", flush=True)
"""
TRAININGS = {
    "adam": ("fit(problem, net, Adam(10**7))", ["leaving", "interrupted 15 True"]),
    "gauss-newton": ("fit(problem, net, GaussNewton(10**6, resample=None))", ["leaving", "interrupted 15 True"]),
    "again and again": (
        "\n        ".join(
            [
                "while True:",
                "    try: fit(problem, net, Adam(10**7))",
                "    except TrainingInterrupted: tries.append(1)",
                "    if len(tries) > 1: break",
            ]
        ),
        ["leaving", "ended by itself"],
    ),
    "l-bfgs": ("fit(problem, net, LBFGS(10**6, tolerance=0.0))", ["leaving", "interrupted 15 True"]),
}


@pytest.mark.parametrize("kind", TRAININGS)
def test_a_daemon_thread_that_trains_does_not_abort_the_process(kind: str) -> None:
    """Python ends such threads by unwinding them, which C++ answers with "terminate called" and exit status 134."""
    train, expected = TRAININGS[kind]
    code = DAEMON.format(tests=TESTS, train=train)
    result = run_program(code)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "terminate called" not in result.stderr
    if expected is not None:
        assert result.stdout.splitlines() == expected
    assert "leaving" in result.stdout


PROCESSES = """
import sys, warnings
sys.path[:0] = {tests!r}
sys.warnoptions.append("ignore")
warnings.simplefilter("ignore")
import torch
from other_process import in_another_process, trained

torch.set_num_threads(2)
torch.rand(1000, 1000).tanh().sum()  # torch's own threads have been at work
expected = trained()
torch.set_num_threads(1)
alone = trained()
assert in_another_process({method!r}) == alone
assert abs(alone / expected - 1) < 1e-9
"""


@pytest.mark.parametrize(
    "method", [name for name in ("fork", "spawn") if name in multiprocessing.get_all_start_methods()]
)
def test_training_in_another_process(method: str) -> None:
    result = run_program(PROCESSES.format(tests=[TESTS, str(Path(__file__).parent)], method=method))
    assert (result.returncode, result.stderr) == (0, "")
