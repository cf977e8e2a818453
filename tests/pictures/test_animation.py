"""Animated GIFs: their frames show what the solution is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from psinn_fast import MLP, PDE, Adam, Box, Disk, Options, Problem, Residual, solve
from psinn_fast.kernels.errors import InputError
from psinn_fast.pictures.animation import animate

TIME, PLANE = Box(t=(0, 2)), Box(x=(-1, 1), y=(0, 1))
HEAT = PDE("t x y", "u", lambda u: u.t - u.lap)
LINE = PDE("t x", "u v", lambda u, v: [u.t - u.xx, v.t - v.xx])


def heat(domain: Any, known: bool = True) -> Problem:
    return Problem(
        "heat", HEAT, domain, [Residual(domain.random(20, 0))], exact=(lambda points: points[:, 0]) if known else None
    )


def rising(points: Any) -> Any:
    """u = t: all of a frame has one colour."""
    return points[:, :1]


def colours(path: Path) -> list[Any]:
    """In the middle of every frame's first panel."""
    found = []
    with Image.open(path) as image:
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(number)
            rgb = np.asarray(image.convert("RGB")).astype(int)
            found.append(rgb[rgb.shape[0] // 2, rgb.shape[1] // 10])
    return found


def test_colours_follow_the_values_and_mean_the_same_in_all_frames(tmp_path: Path) -> None:
    from matplotlib import colormaps

    made = animate(heat(TIME * PLANE, known=False), rising, "t", tmp_path / "u.gif", frames=5, fps=20)
    assert (made.path, made.frames, made.fps) == (tmp_path / "u.gif", 5, 20)
    with Image.open(made.path) as image:
        assert (image.n_frames, image.info["duration"], image.info["loop"]) == (5, 50, 0)  # type: ignore[attr-defined]
        middle = []
        for number in range(5):
            image.seek(number)
            rgb = np.asarray(image.convert("RGB")).astype(int)
            assert (rgb[0, 0] == 255).all()
            middle.append(rgb[rgb.shape[0] // 2, rgb.shape[1] // 2])
    expected = 255 * np.array([colormaps["viridis"](k / 4)[:3] for k in range(5)])
    np.testing.assert_allclose(middle, expected, atol=6)


@pytest.mark.parametrize("domain", [TIME * PLANE, TIME * (Disk((0, 0), 1) - Disk((0, 0), 0.3))])
def test_images(domain: Any, tmp_path: Path) -> None:
    animate(heat(domain), rising, "t", tmp_path / "u.gif", frames=3)
    assert len(colours(tmp_path / "u.gif")) == 3


def test_lines_and_other_axes(tmp_path: Path) -> None:
    problem = heat(TIME * PLANE)
    animate(problem, rising, "x", tmp_path / "x.gif", frames=2, at={"y": 0.5})
    animate(problem, rising, "x", tmp_path / "x.gif", frames=3)  # over t and y, in place of the file before
    assert len(colours(tmp_path / "x.gif")) == 3
    box = Box(t=(0, 1), x=(0, 1))
    solution = solve(
        Problem("$", LINE, box, [Residual(box.random(20, 0))]), MLP([2, 3, 2]), Adam(2), options=Options(progress=False)
    )
    made = solution.animate("t", str(tmp_path / "v.gif"), fields="v", frames=2)
    text = made._repr_html_()
    assert text.startswith('<img src="data:image/gif;base64,R0lGOD')
    assert 'alt="v.gif"' in text


@pytest.mark.parametrize(
    ("along", "path", "options", "message"),
    [
        ("s", "u.gif", {}, "along: expected one of the coordinates"),
        ("t", "u.mp4", {}, "path: animations are GIFs"),
        ("t", "nowhere/u.gif", {}, "there is no folder"),
        ("t", "u.gif", {"frames": 1}, "frames: expected an integer from 2"),
        ("t", "u.gif", {"fps": 0}, "fps: expected a finite number > 0"),
        ("t", "u.gif", {"fields": "w"}, "fields: expected some of"),
        ("t", "u.gif", {"at": {"t": 0.5}}, "at: 't' is the coordinate that the animation runs along"),
        ("t", "u.gif", {"at": {"x": [0, 0.5]}}, "expected one each of the others"),
        ("t", "u.gif", {"at": {"x": 0, "y": 0}}, "leave out the one to draw along"),
    ],
)
def test_what_is_refused(tmp_path: Path, along: str, path: str, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        animate(heat(TIME * PLANE), rising, along, tmp_path / path, **options)
    assert not list(tmp_path.iterdir())
