"""Loss curves of runs are drawn as they are; what a run has drawn is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from psinn_fast.reproduction import pictures
from psinn_fast.reproduction.cases import CASES
from psinn_fast.reproduction.records import Record, Records

ROWS = "step,seconds,loss,relative_l2,nu\n0,0.001,1.0,0.9,0.0\n10,0.5,0.1,nan,0.1\n20,1.0,0.01,0.1,0.01\n"


def records(folder: Path, case: str) -> Records:
    found = []
    for setting, method, seed in (("paper", "PINN", 0), ("paper", "PINN", 1), ("ours", "Psi-NN, discovered R", 0)):
        place = f"{case}/{setting}/{method}/seed-{seed}"
        (folder / place).mkdir(parents=True)
        (folder / place / "history.csv").write_text(ROWS, encoding="utf-8")
        (folder / place / "solution.png").write_bytes(place.encode())
        run = {"case": case, "setting": setting, "method": method, "seed": seed, "steps": 20}
        found.append(Record(place, run, {"coefficients": {"nu": 0.01}, "relative_l2": 0.1}, (), 0.01, None))
    return Records(folder, tuple(found), {}, ())


@pytest.mark.parametrize("number", [0, 1])
def test_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    drawn = []
    monkeypatch.setattr(pictures, "save_figure", lambda figure, path: drawn.append((figure, path)))
    case = CASES[number]
    made = pictures.draw_losses(records(tmp_path, case.key), case, case.made())
    ((figure, path),) = drawn
    assert path == tmp_path / made.path
    paper, ours, both = figure.axes
    assert [line.get_ydata().tolist() for line in paper.lines] == [[1.0, 0.1, 0.01]] * 2
    assert [line.get_label() for line in ours.lines] == ["Psi-NN, discovered R"]
    # The error begins with the first step, and is nowhere where it is not known; of a coefficient it is relative.
    expected = [0.1] if number == 0 else pytest.approx([abs(nu * 100 * 3.14159265 - 1) for nu in (0.1, 0.01)], rel=1e-6)
    assert [line.get_ydata().tolist() for line in both.lines] == [*[expected] * 3, [], []]
    assert both.get_ylabel() == ("relative L2 error" if number == 0 else "relative error of nu")
    assert [axis.get_xlabel() for axis in figure.axes] == ["step", "step", "time of training, seconds"]
    (legend,) = figure.legends
    assert [axis.get_legend() for axis in figure.axes] == [None] * 3
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["PINN", "Psi-NN, discovered R", "Adam, as in the paper", "Gauss-Newton"]


def test_fields_are_those_of_the_discovered_structure(tmp_path: Path) -> None:
    case = CASES[0]
    found = records(tmp_path, case.key)
    (fields,) = pictures.collect_pictures(found, case, case.made())
    assert (tmp_path / fields.path).read_bytes() == b"laplace/ours/Psi-NN, discovered R/seed-0"
    assert fields.text == "Laplace: Psi-NN, discovered R, Gauss-Newton, seed 0"
