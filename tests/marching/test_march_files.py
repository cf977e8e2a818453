"""Folders of marches: read again in another process, gone on with, and refused where they are another's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waves import START, WAVES, advection, first, travelling

import psinn_fast as pf
from psinn_fast.marching.march import trained

EDGES = (0, 0.2, 0.5, 1)
OPTIMIZER = pf.GaussNewton(12)
POINTS = np.array([[0.1, 0.3], [0.3, -0.4], [0.9, 1.0]])
CODE = """
import sys; sys.path[:0] = {path!r}
import psinn_fast as pf
from waves import advection
print(pf.load_march({folder!r}, advection())({points}).tolist())
pf.load_network({net!r})
"""


@pytest.fixture(scope="module")
def marched(tmp_path_factory: pytest.TempPathFactory) -> tuple[pf.Marched, Path]:
    folder = tmp_path_factory.mktemp("march") / "run"
    return pf.march(advection(), WAVES, OPTIMIZER, windows=EDGES, tolerance=0.1, out=folder), folder


def test_what_is_read_is_what_was_written(marched: tuple[pf.Marched, Path]) -> None:
    result, folder = marched
    assert sorted(path.name for path in folder.iterdir()) == [
        "march.json", "march.png", "result.json", *(f"window-000{k}.safetensors" for k in (1, 2, 3))
    ]  # fmt: skip
    assert json.loads((folder / "result.json").read_text())["windows"][2]["end"] == 1.0
    found = pf.load_march(folder, advection())
    np.testing.assert_array_equal(found(POINTS), result(POINTS))
    assert found.edges == result.edges
    assert found.windows[1].history.rows[0] == pytest.approx(result.windows[1].history.rows[0], nan_ok=True)
    assert found.ended == "done"
    assert (found.status, found.tolerance) == (result.status, result.tolerance)
    for window in ("window-0002.safetensors", "window-0003.safetensors"):
        assert (folder / window).stat().st_size < 60_000  # none holds those before it


def test_another_process_reads_it_but_no_window_alone(marched: tuple[pf.Marched, Path], tmp_path: Path) -> None:
    result, folder = marched
    net = tmp_path / "net.safetensors"
    pf.save_network(net, result.windows[1].net)
    there = pf.load_network(net)  # what it continues is in this process
    np.testing.assert_array_equal(there.predict(POINTS[1:2]), result(POINTS[1:2]))
    here = Path(__file__).parent
    code = CODE.format(path=[str(here), str(here.parent)], folder=str(folder), points=POINTS.tolist(), net=str(net))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "it continues the networks of earlier windows of time" in run.stderr
    np.testing.assert_allclose(json.loads(run.stdout), result(POINTS), rtol=0, atol=1e-14)


def test_windows_that_are_done_are_not_done_again(
    marched: tuple[pf.Marched, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = marched
    calls = []

    def stops_at_the_second(*given: Any, **named: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise pf.TrainingInterrupted(trained(*given, **named), None, 2)  # type: ignore[arg-type]
        return trained(*given, **named)

    monkeypatch.setattr("psinn_fast.marching.march.trained", stops_at_the_second)
    folder = tmp_path / "run"
    with pytest.raises(pf.MarchInterrupted) as caught:
        pf.march(advection(), WAVES, OPTIMIZER, windows=EDGES, tolerance=0.1, out=folder)
    assert caught.value.result.until == 0.2
    assert pf.load_march(folder, advection()).edges == (0, 0.2)
    again = pf.Options(resume=True)
    found = pf.march(advection(), WAVES, OPTIMIZER, windows=EDGES, tolerance=0.1, out=folder, options=again)
    assert len(calls) == 4
    np.testing.assert_allclose(found(POINTS), result(POINTS), rtol=0, atol=1e-12)
    found = pf.march(advection(), WAVES, OPTIMIZER, windows=EDGES, tolerance=0.1, out=folder, options=again)
    assert len(calls) == 4
    with pytest.raises(pf.InputError, match=r"windows: the march that goes on has one from 0 to 0\.2"):
        pf.march(advection(), WAVES, OPTIMIZER, windows=4, out=folder, options=again)
    with pytest.raises(pf.CheckpointError, match="it is a march of other networks"):
        pf.march(advection(), pf.Network("pinn", layers=[2, 7, 1]), OPTIMIZER, out=folder, options=again)
    with pytest.raises(pf.InputError, match="has the windows of a march"):
        pf.march(advection(), WAVES, OPTIMIZER, out=folder)


def test_a_march_is_saved_by_hand(marched: tuple[pf.Marched, Path], tmp_path: Path) -> None:
    result, _ = marched
    result.save(tmp_path / "copy")
    np.testing.assert_array_equal(pf.load_march(tmp_path / "copy", advection())(POINTS), result(POINTS))
    with pytest.raises(pf.InputError, match="has the windows of a march"):
        result.save(tmp_path / "copy")


def test_what_speaks_against_a_march_is_kept(tmp_path: Path) -> None:
    """Tolerance, what is missing, what is learned, and how it ended."""
    table = pf.Dirichlet(START, u=np.sin(np.pi * START[:, 1]), name="initial")
    network = pf.Network("pinn", layers=[2, 6, 1])
    problem = advection(table)
    given = {"windows": 2, "tolerance": 1e-9, "out": tmp_path / "run"}
    result = pf.march(problem, network, pf.GaussNewton(20), **given)
    for part in ("windows is above 1e-09", "with no condition at its ends", "learns the initial condition"):
        assert part in result.status
    assert pf.load_march(tmp_path / "run", problem).status == result.status
    result.save(tmp_path / "copy")
    found = pf.load_march(tmp_path / "copy", problem)
    assert (found.status, found.warnings, found.notes) == (result.status, result.warnings, result.notes)
    with pytest.raises(pf.TrainingError) as caught:
        pf.march(problem, network, pf.GaussNewton(0), windows=1, out=tmp_path / "failed")
    found = pf.load_march(tmp_path / "failed", problem)
    assert (found.ended, found.status) == ("failed", caught.value.result.status)
    result = pf.march(problem, network, seconds=1e-9, out=tmp_path / "late")
    assert pf.load_march(tmp_path / "late", problem).status == result.status


def test_files_that_do_not_belong_together_are_refused(marched: tuple[pf.Marched, Path], tmp_path: Path) -> None:
    _, folder = marched
    other = pf.Problem(
        "advection", pf.PDE("t x", "u", lambda u: u.t + 2 * u.x), advection().domain, advection().conditions, travelling
    )
    with pytest.raises(pf.CheckpointError, match="belongs to another problem"):
        pf.load_march(folder, other)
    shifted = advection(pf.Dirichlet(START, u=lambda t, x: first(t, x) + 0.1, name="initial"))
    with pytest.raises(pf.CheckpointError, match="belongs to another problem"):
        pf.load_march(folder, shifted)
    with pytest.raises(pf.CheckpointError, match=r"no march\.json"):
        pf.load_march(tmp_path, advection())
    with pytest.raises(pf.InputError, match="no checkpoint"):
        pf.march(advection(), WAVES, out=tmp_path / "none", options=pf.Options(resume=True))
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "window-0001.safetensors").unlink()
    with pytest.raises(pf.CheckpointError, match=r"window-0001.safetensors: cannot be read"):
        pf.load_march(copy, advection())
    shutil.copy(copy / "window-0003.safetensors", copy / "window-0001.safetensors")
    with pytest.raises(pf.CheckpointError, match=r"each from where|no continuation"):
        pf.load_march(copy, advection())
    shutil.copy(folder / "window-0001.safetensors", copy / "window-0001.safetensors")
    shutil.copy(folder / "window-0003.safetensors", copy / "window-0002.safetensors")
    with pytest.raises(pf.CheckpointError, match=r"does not begin where the one before it ends|no continuation"):
        pf.load_march(copy, advection())
    other_weights = pf.march(advection(), WAVES, OPTIMIZER, windows=EDGES, tolerance=0.1, seed=1)
    other_weights.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "window-0002.safetensors", copy / "window-0002.safetensors")
    with pytest.raises(pf.CheckpointError, match="no continuation of the windows before it, but of others"):
        pf.load_march(copy, advection())
    (copy / "march.json").write_text("{")
    with pytest.raises(pf.CheckpointError, match=r"march.json: cannot be read"):
        pf.load_march(copy, advection())
