"""Ctrl-C at any moment of a march keeps the windows that are done."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waves import WAVES, advection

import psinn_fast as pf
from psinn_fast.training.interrupt import InterruptFlag

MARCH = "psinn_fast.marching.march."
EDGES = (0, 0.1, 0.4, 1)


def marched(out: Path | None = None, **named: Any) -> pf.Marched:
    return pf.march(advection(), WAVES, pf.GaussNewton(5), windows=EDGES, tolerance=0.3, out=out, **named)


def interrupting(function: Callable[..., Any], at: int, times: int = 1) -> Callable[..., Any]:
    """A function whose call of this number comes with Ctrl-C, before its work."""
    calls = []

    def own(*given: Any, **named: Any) -> Any:
        calls.append(given)
        for _ in range(times if len(calls) == at else 0):
            signal.raise_signal(signal.SIGINT)
        return function(*given, **named)

    return own


@pytest.mark.parametrize(
    ("where", "at", "done", "times"),
    [
        ("as_problem", 1, 0, 1),
        ("network_of", 1, 0, 1),
        ("terms_that_hold", 1, 0, 2),
        ("drawn", 1, 1, 1),
        ("_framed", 3, 2, 1),
        ("_framed", 3, 2, 2),
        ("trained", 2, 1, 1),
        ("Window.of", 2, 2, 1),
        ("MarchFolder.add", 2, 2, 1),
        ("MarchFolder.add", 2, 2, 2),
        ("MarchFolder.conclude", 1, 3, 1),
        ("MarchFolder.conclude", 1, 3, 2),
    ],
)
def test_whatever_is_under_way(
    where: str, at: int, done: int, times: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import psinn_fast.marching.march as module

    owner, _, name = where.rpartition(".")
    function = getattr(getattr(module, owner) if owner else module, name)
    monkeypatch.setattr("psinn_fast.marching.files.save_figure", lambda *given: None)  # it takes long
    monkeypatch.setattr(MARCH + where, interrupting(function, at, times))
    with pytest.raises(pf.MarchInterrupted) as caught:
        marched(tmp_path / "run", warm=where != "drawn")
    assert len(caught.value.result.windows) == done
    assert caught.value.result.ended == ("done" if done == 3 else "interrupted")
    assert caught.value.signal == signal.SIGINT
    if done:
        found = pf.load_march(tmp_path / "run", advection())
        assert found.edges == caught.value.result.edges
        assert found.status == caught.value.result.status
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_window_whose_training_has_ended_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import psinn_fast.training.fitting as module

    monkeypatch.setattr("psinn_fast.training.fitting.judged", interrupting(module.judged, 2))
    with pytest.raises(pf.MarchInterrupted) as caught:
        marched()
    assert caught.value.result.until == EDGES[2]
    monkeypatch.setattr("psinn_fast.training.fitting.judged", interrupting(module.judged, 3))
    with pytest.raises(pf.MarchInterrupted, match="interrupted after the march, which ended"):
        pf.march(advection(), WAVES, pf.GaussNewton(5), windows=[0, 0.1, 0.2, 1], tolerance=0.3)


def test_flags_within_one_that_is_raised_are_raised() -> None:
    with InterruptFlag() as outer:
        with InterruptFlag() as inner:
            assert not inner.raised
        signal.raise_signal(signal.SIGTERM)
        with InterruptFlag() as inner:
            assert inner.signal == outer.signal == signal.SIGTERM
