"""Live plots are drawn now and then, within a budget, and never cost a training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small import network, small_laplace

from psinn_fast import PDE, Adam, Box, History, LivePlot, Network, Options, OutputWarning, Problem, Residual, fit, solve
from psinn_fast.kernels.errors import InputError
from psinn_fast.pictures import live
from psinn_fast.training.callbacks import Progress

STEPS = 20


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that were made, all as soon as a row is there."""
    made = list[Any]()
    figure_of = live.training_figure

    def training_figure(*arguments: Any) -> Any:
        made.append(figure_of(*arguments))
        return made[-1]

    monkeypatch.setattr(live, "training_figure", training_figure)
    monkeypatch.setattr(live, "FIRST_TAKES", 0.0)
    return made


def greedy(path: Path | None) -> LivePlot:
    return LivePlot(path, every=0, budget=0.999)


@pytest.mark.pictures
def test_a_file_has_the_last_picture(tmp_path: Path, drawn: list[Any]) -> None:
    plot = greedy(tmp_path / "live.png")
    solution = solve("laplace", Network(layers=[2, 4, 1]), Adam(STEPS), options=Options(callbacks=plot))
    assert len(drawn) > 1
    assert drawn[-1].get_suptitle().startswith(f"laplace, steps 0 to {STEPS}")
    labels = [axis.get_ylabel() for axis in drawn[-1].axes[:2]]
    assert labels == ["loss (weighted mean squares)", "relative L2 error"]
    assert drawn[-1].axes[0].lines[0].get_ydata()[-1] == solution.history["loss"][-1]
    titles = [axis.get_title() for axis in drawn[-1].axes]
    assert titles[2:5] == ["u: network", "u: exact", "u: error"]
    image = np.asarray(drawn[-1].axes[2].images[0].get_array())
    assert image[0, 0] == pytest.approx(float(solution([-1.0, -1.0])[0]))
    with Image.open(tmp_path / "live.png") as written:
        assert written.width == round(drawn[-1].get_figwidth() * 110)


def test_of_many_coordinates_the_history_alone(drawn: list[Any], tmp_path: Path) -> None:
    box = Box(x=(0, 1), y=(0, 1), z=(0, 1))
    problem = Problem("p", PDE("x y z", "u", lambda u: u.lap - 1), box, [Residual(box.random(20, 0))])
    solve(problem, Network(layers=[3, 3, 1]), Adam(2), options=Options(callbacks=greedy(tmp_path / "a.png")))
    assert len(drawn[-1].axes) == 1


def test_a_notebook_shows_one_picture_a_cell(monkeypatch: pytest.MonkeyPatch, drawn: list[Any]) -> None:
    shown, cells = list[Any](), [1, 1, 2]  # in which the trainings are
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setattr(live.Cell, "show", lambda cell, contents: shown.append((cell, contents)))
    monkeypatch.setattr(live, "cell_number", lambda: cells[0])
    plot = greedy(None)
    while cells:
        fit(small_laplace(5), network(), Adam(1), options=Options(callbacks=plot))
        del cells[0]
    assert len({cell for cell, _ in shown}) == 2
    assert len(shown) == len(drawn) > 2
    assert set(shown[0][1]) == {"image/png", "text/plain"}


def rows(plot: LivePlot, seconds: int, now: list[float]) -> None:
    """A training with a row every second."""
    problem, net = small_laplace(5), network()
    history = History.of((), problem.term_names, (), ())
    plot.on_start()
    for second in range(seconds):
        now[0] += 1.0
        history.append(step=second, seconds=second)
        plot.on_row(Progress({"step": second}, net, problem, history))


@pytest.mark.parametrize(("takes", "every", "most"), [(0.0, 3.0, 31), (2.0, 3.0, 3), (0.25, 10.0, 10)])
def test_time_for_pictures_is_limited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, takes: float, every: float, most: int
) -> None:
    """Of 100 s and more: 5 % at most, and one picture in ``every`` seconds."""
    now, times = [0.0], list[float]()
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def png_of(figure: object) -> bytes:
        now[0] += takes
        times.append(now[0])
        return b""

    monkeypatch.setattr(live, "training_figure", lambda *arguments: None)
    monkeypatch.setattr(live, "png_of", png_of)
    rows(LivePlot(tmp_path / "live.png", every=every), 100, now)
    assert most - 1 <= len(times) <= most
    assert takes * len(times) <= 0.05 * now[0] + takes
    assert np.diff(times).min() >= every


def test_no_picture_is_worth_a_training(tmp_path: Path, drawn: list[Any]) -> None:
    (tmp_path / "live.png").mkdir()
    with pytest.warns(OutputWarning, match="LivePlot: no more pictures"):
        result = fit(small_laplace(5), network(), Adam(5), options=Options(callbacks=greedy(tmp_path / "live.png")))
    assert (result.ended, len(drawn)) == ("done", 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "path: this is no notebook, so expected the path of a file"),
        ({"path": "a.gif"}, r"path: expected a name that ends in \.png"),
        ({"path": "a.png", "every": -1}, "every: expected a finite number >= 0"),
        ({"path": "a.png", "budget": 1}, "budget: expected a finite number > 0 and < 1"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LivePlot(**arguments)
