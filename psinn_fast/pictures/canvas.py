"""Where values are drawn: a mesh over two coordinates of a domain, or one, at given values of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..domains import Domain
from .figures import few_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

Points = npt.NDArray[np.float64]
# Per axis; a shape is cut off along lines of the mesh, so it has more.
RESOLUTION = 121
OF_SHAPES = 2 * RESOLUTION


class Canvas:
    """A mesh over coordinates of a domain, the others at given values or at their centre, if that is inside.

    Args:
        resolution: points along an axis.
        drawn: which coordinates are drawn, one or two; None: `Domain.pictured_axes`.
        at: values of others, by their number.

    Attributes:
        axes: which coordinates are drawn.
        mesh: one array per drawn coordinate.
        points: (N, d), those of the mesh that lie in the domain.
        is_shape: whether they are those of a domain that is no box, and so drawn in its proportions.
        place: where the others are, e.g. "t = 0.5"; "" if there are none.
    """

    def __init__(
        self, domain: Domain, resolution: int, drawn: Sequence[int] | None = None, at: Mapping[int, float] | None = None
    ) -> None:
        at = {} if at is None else at
        self.axes = list(domain.pictured_axes if drawn is None else drawn)
        others = [i for i in range(len(domain.coords)) if i not in self.axes]
        widths = (domain.high - domain.low)[self.axes]
        self.is_shape = not domain.is_box and self.axes == list(domain.pictured_axes)
        counts = [max(2, round(resolution * w / widths.max())) if self.is_shape else resolution for w in widths]
        steps = [np.linspace(domain.low[i], domain.high[i], n) for i, n in zip(self.axes, counts, strict=True)]
        self.mesh = tuple(np.meshgrid(*steps, indexing="ij"))
        centre = [at.get(i, value) for i, value in enumerate(domain.centre)]
        points = np.tile(centre, (self.mesh[0].size, 1))
        points[:, self.axes] = np.stack([axis.ravel() for axis in self.mesh], 1)
        free = [i for i in others if i not in at]
        if free and domain.outside(points).all():  # there is a hole at the centre
            points[:, free] = domain.random(1, 0)[0, free]
        self._domain, self._inside = domain, ~domain.outside(points)
        self.place = ", ".join(f"{domain.coords[i]} = {points[0, i]:.4g}" for i in others)
        self.points = points[self._inside]

    def image(self, values: Points) -> Points:
        """Values (N,) at the points, in the mesh's shape; NaN outside of the domain, where nothing is drawn."""
        image = np.full(self._inside.shape, np.nan)
        image[self._inside] = values
        return image.reshape(self.mesh[0].shape)

    def draw(
        self, axis: Axes, values: Points, colours: str, low: float, high: float, with_bar: bool = True
    ) -> AxesImage:
        """An image of values (N,), with its colour bar, and the outline of a domain that is no box."""
        domain = self._domain
        i, j = self.axes
        extent = (domain.low[i], domain.high[i], domain.low[j], domain.high[j])
        shown = axis.imshow(
            self.image(values).T, origin="lower", extent=extent, aspect="auto", cmap=colours, vmin=low, vmax=high
        )
        axis.set_aspect("equal" if self.is_shape else "auto")
        for line in domain.outline() if self.is_shape else ():
            axis.plot(*line.T, color="black", linewidth=0.8)
        if with_bar:
            axis.figure.colorbar(shown, ax=axis, shrink=0.95 if self.is_shape else 1.0)
        few_ticks(axis)
        axis.set_xlabel(domain.coords[i])
        axis.set_ylabel(domain.coords[j])
        return shown


def panel_height(domain: Domain, width: float) -> float:
    """Inches, of a panel as wide as that, its title and labels included: less for long shapes."""
    if domain.is_box or len(domain.pictured_axes) == 1:
        return 3.4
    across, along = (domain.high - domain.low)[list(domain.pictured_axes)]
    return float(np.clip(0.66 * width * along / across + 0.9, 1.5, max(3.4, width)))


def limits(values: Points) -> tuple[float, float]:
    """The least and the largest of those that are numbers; (0, 1) where none is."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def largest(values: Points) -> float:
    """The largest absolute value; 1 where all are 0, or none is a number."""
    low, high = limits(values)
    return max(-low, high) or 1.0
