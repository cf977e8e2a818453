"""Options of `discover` and `run_pipeline` out of range or without effect are refused before anything is trained."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import refused
from small import small_laplace

from psinn_fast import LBFGS, MLP, Adam, Network, Options, StudentSettings, discover, fit, run_pipeline

NET = MLP([2, 3, 1], seed=0)
ONLY_PROBLEM = {"tests": ("problem",)}
ONLY_TEACHERS = {"tests": ("problem", "teacher")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # Out of range, though nothing of the kind is trained.
        ({**ONLY_PROBLEM, "seeds": 3}, "seeds: has no meaning for the tests ['problem']"),
        ({**ONLY_PROBLEM, "steps": 3}, "steps: has no meaning for the tests ['problem']"),
        ({**ONLY_PROBLEM, "seconds": 3}, "seconds: has no meaning for the tests ['problem']"),
        ({**ONLY_PROBLEM, "teacher": NET}, "teacher: has no meaning for the tests ['problem']"),
        ({**ONLY_PROBLEM, "settings": StudentSettings()}, "settings: has no meaning for the tests ['problem']"),
        ({**ONLY_TEACHERS, "settings": StudentSettings()}, "settings: has no meaning for the tests ['problem', 't"),
        ({"settings": StudentSettings, **ONLY_TEACHERS}, "only for 'student'"),
        ({**ONLY_TEACHERS, "distillations": 1}, "distillations: has no meaning for the tests ['problem', 'teacher']"),
        ({"seeds": 0}, "seeds: expected an integer >= 1, got 0"),
        ({"seeds": 2.0}, "seeds: expected an integer >= 1, got 2.0"),
        ({"steps": -1}, "steps: expected an integer >= 0, got -1"),
        ({"seconds": math.nan}, "seconds: expected None or a number >= 0, got nan"),
        ({"seed": -1}, "seed: expected an integer from 0 to 2147483647, got -1"),
        ({"settings": "quick"}, "settings: expected StudentSettings, got 'quick'"),
        ({"teacher": 5}, "teacher: expected a network, or a function that takes points (N, d) and gives values (N, F)"),
        ({"teacher": torch.nn.Linear(2, 3)}, "teacher: problem 'small' has 1 outputs, the teacher 3"),
        ({"tests": "teachers"}, "tests: expected one of ['problem', 'teacher', 'student'], got 'teachers'"),
        ({"options": Options(backend="gpu"), **ONLY_PROBLEM}, "backend: expected one of"),
        ({"options": Options(scaling=None)}, "options: discovery takes a backend and progress alone, got Options("),
        ({"options": "no"}, "options: expected pf.Options(...) or None, got 'no'"),
    ],
)  # fmt: skip
def test_discover(arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psinn_fast.discovery.teachers.train", lambda *a, **o: pytest.fail("it was trained"))
    refused(message, lambda: discover(small_laplace(), **arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adam+gauss-newton"}, "optimizer: expected pf.Adam(...), pf.GaussNewton(...) or one of ['adam'"),
        ({"optimizer": LBFGS(3)}, "optimizer: expected pf.Adam(...), pf.GaussNewton(...) or one of ['adam', 'gauss-n"),
        ({"optimizer": "gauss-newton", "teacher_steps": 5}, "teacher_steps: has no meaning for optimizer"),
        ({"teacher_steps": -1}, "teacher_steps: expected an integer >= 0, got -1"),
        ({"discovery": ONLY_PROBLEM, "teacher_steps": 5}, "teacher_steps: has no meaning for tests without 'teacher'"),
        ({"discovery": {**ONLY_PROBLEM, "steps": 5}}, "steps: has no meaning for the tests ['problem']"),
        ({"discovery": {"steps": -1}}, "steps: expected an integer >= 0, got -1"),
        ({"discovery": {"settings": 5}}, "settings: expected StudentSettings, got 5"),
        ({"discovery": {"seeds": 5}}, "discovery: expected a mapping with some of ['tests', 'steps', 'settings'], got"),
        ({"seconds": math.nan}, "seconds: expected None or a number >= 0, got nan"),
        ({"network": Network(layers=[2, 3, 1])}, "network: expected a Network with a dtype, a device, a precision, an"),
        ({"options": Options(backend="gpu")}, "backend: expected one of"),
        ({"network": Network(device="meta")}, "device: expected"),
        ({"options": Options(resume=True)}, "resume: needs the output folder of the run to continue (out)"),
        ({"optimizer": "paper"}, "optimizer: the paper has no problem 'small'"),
        ({"problem": 5}, "problem: expected a Problem or one of"),
        ({"say": "yes"}, "say: expected a function of a text, got 'yes'"),
    ],
)  # fmt: skip
def test_run_pipeline(arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psinn_fast.pipeline.solve", lambda *a, **o: pytest.fail("it was trained"))
    refused(message, lambda: run_pipeline(**{"problem": small_laplace(), **arguments}))


def test_discoveries_without_training_take_no_options_of_it() -> None:
    reference = Options(backend="reference")
    for name, value in (("seed", 0), ("seed", 5), ("backend", reference), ("seconds", 3.0), ("seeds", 3)):
        asked = partial(discover, "laplace", tests="problem", **{"options" if name == "backend" else name: value})
        refused(f"{name}: has no meaning for the tests", asked)
    assert discover("laplace", tests="problem", options=Options(backend="auto")).structure is not None


def test_a_pipeline_is_resumed_from_its_folder_alone(tmp_path: Path) -> None:
    result = fit(small_laplace(3), MLP([2, 3, 1]), Adam(1))
    asked = partial(run_pipeline, small_laplace(), out=tmp_path, options=Options(resume=result))
    refused("resume: run_pipeline trains several networks; expected True (from the folder out) or False", asked)


def test_nothing_to_resume(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "new"):
        refused(
            "resume: there is no checkpoint in",
            partial(run_pipeline, small_laplace(), out=out, options=Options(resume=True)),
        )
    assert list(tmp_path.iterdir()) == []
