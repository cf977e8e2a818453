"""The centre of symmetries where a class of a user's own gives bounds that are loose."""

from __future__ import annotations

import numpy as np
import pytest
from domains.shapes import LShape, Ring

from psinn_fast import PDE, Ball, Box, Dirichlet, Disk, Domain, Ellipse, Problem, Residual, problem_symmetries


class Egg(Domain):
    """The image of a circle about ``middle``, blunt to the right, turned by ``angle``; bounds are as given."""

    parts = ("shell",)

    def __init__(self, middle: tuple[float, float], angle: float, **bounds: tuple[float, float]) -> None:
        self.middle, self.axes = np.array(middle), np.array([
            [np.cos(angle), np.sin(angle)],
            [-np.sin(angle), np.cos(angle)],
        ])  # fmt: skip
        super().__init__(**bounds)

    def contains(self, points):
        x, y = ((points - self.middle) @ self.axes.T).T
        return (x**2 + (y * (1 + 0.3 * x)) ** 2) <= 1 + 1e-12

    def boundary_at(self, part, unit):
        angle = 2 * np.pi * unit[:, 0] + 0.1  # no sample is the farthest point
        x = np.cos(angle)
        return self.middle + np.stack([x, np.sin(angle) / (1 + 0.3 * x)], 1) @ self.axes, None


def test_loose_bounds() -> None:
    loose = {"x": (-7.0, 3.0), "y": (-2.0, 9.0)}
    for angle, expected in (
        (0.0, {"y -> -y"}),
        (np.pi / 4, {"x -> y, y -> x"}),
        (np.pi / 2, {"x -> -x"}),
        (0.4, set()),
    ):
        egg = Egg((0.3, 1.7), angle, **loose)
        assert {g.describe("xy") for g in egg.symmetries()} == expected
        if expected:
            (g,) = egg.symmetries()
            points = egg.random(300, 0)
            assert not egg.outside(egg.centre + g(points - egg.centre)).any()
            assert g(egg.middle - egg.centre) == pytest.approx(egg.middle - egg.centre, abs=1e-6)
        else:
            assert egg.centre.tolist() == [-2, 3.5]
    problem = Problem("p", PDE("x y", "u", lambda u: u.lap + 1), egg := Egg((0.3, 1.7), 0.0, **loose), [
        Residual(egg.random(500, 0)), Dirichlet(egg.boundary(200), u=0.0),
    ])  # fmt: skip
    assert [own.verdict for own in problem_symmetries(problem) if own.symmetry.character == (1,)] == ["holds"]


def test_bounds_that_are_tight() -> None:
    for domain in (Ring((2.0, -1.0)), LShape(), Box(x=(0, 1), y=(2, 5))):
        assert domain.centre == pytest.approx((domain.low + domain.high) / 2, abs=0)

    class Off(Ring):
        def __init__(self) -> None:
            super().__init__((2.0, -1.0))
            Domain.__init__(self, x=(-5, 4), y=(-3, 1))

    assert len(Off().symmetries()) == 7
    np.testing.assert_allclose(Off().centre, [2, -1], atol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        Off().centre[0] = 1.0


@pytest.mark.parametrize(
    "domain",
    [LShape(), Box(x=(0, 1)), Disk(), Ellipse() - Disk((0.5, 0), 0.1), Box(t=(0, 1)) * Disk(), Ball()],
    ids=lambda domain: type(domain).__name__,
)
def test_what_a_domain_says_of_itself_is_read_only(domain: Domain) -> None:
    """Views of it, too, and what they are views of."""
    points = domain.boundary(5)
    for array in (domain.centre, domain.low, domain.high, points.weights, points.normals):
        given = array
        while isinstance(given, np.ndarray):
            for view in (given, given[:], given.reshape(-1), given.view()):
                with pytest.raises(ValueError, match="read-only"):
                    view[0] = 5.0
            given = given.base
    assert not (domain.centre == 5.0).any()
