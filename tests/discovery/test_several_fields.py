"""Several fields with signs of their own, on a domain that is no box: all three tests, the structure, the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import psinn_fast as pf
from psinn_fast.report import evidence_plot

MIRROR = pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1, -1, 1))
CHANNEL = pf.Box(x=(0, 1.1), y=(-0.2, 0.2))
FLOW = CHANNEL - pf.Disk((0.2, 0), 0.05)
Points = npt.NDArray[np.float64]


def even_odd_even(points: Points) -> Points:
    x, y = points.T
    return np.stack([np.cos(x) * (1 - (5 * y) ** 2), np.sin(3 * x) * y, np.exp(-x) + (4 * y) ** 2], 1)


def nearly(points: Points) -> Points:
    return np.asarray(even_odd_even(points) * (1 + 1e-5 * np.sin(points @ [[3.0], [7.0]])))


def skew(points: Points) -> Points:
    """v alone is neither even nor odd."""
    return np.asarray(even_odd_even(points) + np.array([0.0, 0.1, 0.0]) * points[:, :1])


def test_teachers_show_a_sign_for_each_field() -> None:
    found = pf.discover(FLOW, [even_odd_even, nearly], tests="teacher")
    (match,) = found.group
    assert match.symmetry == MIRROR
    assert "y -> -y (even, odd, even)" in found.report()
    # A branch for each sign, and a head for each field.
    own = {
        field: shown[0].symmetry.character
        for field, shown in pf.field_symmetries(found.structure, "x y", "u v p").items()
    }
    assert own == {"u": (1,), "v": (-1,), "p": (1,)}
    assert found.structure.layers[-1].weight == ((1, 1), (2, -2), (3, 3))
    assert found.structure.centre == (0.55, 0.0)


def test_one_field_without_the_symmetry_breaks_it() -> None:
    found = pf.discover(FLOW, [skew, lambda points: skew(points) + 1e-6], tests="teacher")
    assert found.group == ()
    assert found.structure.is_dense
    assert "the teachers break it" in found.evidence[0].reason


@pytest.mark.trajectory
def test_students_show_a_sign_for_each_field() -> None:
    settings = pf.StudentSettings((6, 6), grid=13, starts=1)
    found = pf.discover(CHANNEL, even_odd_even, settings=settings)
    assert MIRROR in [match.symmetry for match in found.group]


def test_cylinder_and_a_cylinder_off_the_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = pf.get_problem("cylinder")
    found = pf.discover(problem, tests="problem")
    assert [match.symmetry for match in found.group] == [MIRROR]
    assert found.structure.layer_sizes == (2, 2, 2, 2, 3)

    def no_training(*_: object, **__: object) -> None:
        raise AssertionError("something is trained")

    monkeypatch.setattr("psinn_fast.discovery.teachers.train", no_training)
    domain = CHANNEL - pf.Disk((0.2, 0.03), 0.05)
    moved = pf.Problem(
        "moved", problem.pde, domain,
        [pf.Residual(domain.random(64, seed=0)), pf.Dirichlet(domain.boundary(64, "rim"), u=0.0, v=0.0)],
    )  # fmt: skip
    found = pf.discover(moved)
    assert found.structure.is_dense
    assert found.notes == ("no signed permutation takes the domain to itself, so nothing was trained",)


def test_picture_has_each_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pf.discover(FLOW, [even_odd_even, nearly], tests="teacher")
    drawn = evidence_plot.new_figure(12, 9)
    net = pf.PsiMLP(found.structure, 2, dtype="float64")
    object.__setattr__(found, "teachers", [type("Trained", (), {"net": net})])
    evidence_plot.draw_images(drawn, found, [0])
    titles = [axis.get_title() for axis in drawn.axes if axis.get_title()]
    first, second, third = found.problem.pde.fields
    assert titles[::3] == [first, second, third]
    assert titles[1::3] == [f"{first}(g x), g: y -> -y", f"-{second}(g x), g: y -> -y", f"{third}(g x), g: y -> -y"]
    for difference in drawn.axes[2:9:3]:
        (image,) = difference.get_images()
        assert float(np.nanmax(np.abs(image.get_array()))) < 1e-13
