"""Problems of other libraries are in the suite, and their network and ours agree on them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
import torch

from .suite.case import Case
from .suite.contestant import ENTRIES, Clocked
from .suite.here import found
from .suite.measure import judge, least_steps, reference_of
from .suite.posed import IN_DEEPXDE, IN_PINA
from .suite.registry import cases

LIBRARIES = {"deepxde": IN_DEEPXDE, "pina": IN_PINA}
PACKAGES = {"deepxde": "deepxde", "pina": "pina.model"}


@pytest.fixture(autouse=True)
def _settings_as_before(deepxde_as_before: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DDE_BACKEND", "pytorch")
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)


def examples(library: str) -> dict[str, Case]:
    pytest.importorskip(PACKAGES[library], reason=f"{library} is not installed: pip install psinn_fast[{library}]")
    found = [case for case in cases("cpu") if case.group == "integrations" and case.equation in LIBRARIES[library]]
    assert [case.equation for case in found] == [*LIBRARIES[library]]
    return {case.equation: case for case in found}


@pytest.mark.filterwarnings("ignore")  # what libraries warn of is theirs
@pytest.mark.parametrize("library", LIBRARIES)
def test_smoke_integrations_agree(library: str) -> None:
    for case in examples(library).values():
        small = Case("check", case.equation, case.layers, max(4, case.points // 100), dtype="float64")
        who, reference = reference_of(small)
        assert who == library
        assert judge(found("ours", small), found(who, reference))["error_float64"] < 1e-9


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", LIBRARIES)
def test_smoke_integrations_are_timed_between_steps(library: str) -> None:
    case = next(iter(examples(library).values()))
    small = Case("test", case.equation, case.layers, 20)
    assert least_steps(library, small) < ENTRIES[library].least_steps
    for name in case.contestants:
        contestant = ENTRIES[name].build(small)
        assert isinstance(contestant, Clocked)
        for count in (1, 3):
            contestant.steps(count)
            assert contestant.seconds > 0


@pytest.mark.parametrize("library", LIBRARIES)
def test_smoke_integrations_have_the_points_of_their_library(library: str) -> None:
    known = examples(library)
    for example in importlib.import_module(f"bench.{library}_problems").EXAMPLES:
        name = f"{'DeepXDE' if library == 'deepxde' else 'PINA'}: {example.name}"
        assert (known[name].layers, known[name].points) == (example.layers, example.points)
        if library == "deepxde" and "on a line" not in name:
            assert example.make(0.1).data.num_domain == round(0.1 * example.points)
