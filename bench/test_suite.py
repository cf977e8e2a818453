"""The benchmark suite works, at tiny sizes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bench.suite.case import Case, Data
from bench.suite.contestant import ENTRIES
from bench.suite.equations import EQUATIONS
from bench.suite.worker import serve

# Others need packages that the tests' environment lacks, or compile for long.
CHEAP = ("ours", "taylor", "func", "deepxde", "pina")


@pytest.fixture(autouse=True)
def _deepxde_is_as_before() -> Iterator[None]:
    """Its settings are of the process, and those of torch with them."""
    yield
    if (dde := sys.modules.get("deepxde")) is not None:
        dde.config.set_default_float("float32")
        dde.config.set_default_autodiff("reverse")
        torch.set_default_device(None)


def tiny(equation: str, **changes: object) -> Case:
    layers = (len(EQUATIONS[equation].coordinates), 5, 4, 1)
    return Case("test", equation, layers, 30, edge=12, **{"dtype": "float64", **changes})  # type: ignore[arg-type]


# torch.func still uses what torch itself has deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("equation", EQUATIONS)
def test_contestants_agree_in_float64(equation: str) -> None:
    case = tiny(equation)
    loss, gradient = ENTRIES["nested"].build(case, Data.of(case)).loss_and_gradient()
    answered = []
    for name in CHEAP:
        *_, last = serve(ENTRIES[name], case, ['{"do": "check"}'])
        if "absent" in last:
            assert (name, equation) == ("taylor", "biharmonic") or "is not installed" in last["absent"]
            continue
        answered.append(name)
        assert last["loss"] == pytest.approx(loss, rel=1e-12)
        assert np.linalg.norm(last["gradient"] - gradient) <= 1e-12 * np.linalg.norm(gradient)
    assert {"ours", "func"} <= set(answered)


def test_a_contestant_that_raises_says_so_and_stops() -> None:
    commands = [json.dumps({"do": "steps", "count": count}) for count in ("many", 1)]
    ready, last = serve(ENTRIES["taylor"], tiny("laplace"), commands)
    assert ready == {"ready": True}
    assert last["failure"].startswith("TypeError")


def test_a_missing_library_is_named() -> None:
    (only,) = serve(ENTRIES["jet"], tiny("laplace"), [])
    assert only["absent"].startswith("jet-for-pytorch is not installed")
