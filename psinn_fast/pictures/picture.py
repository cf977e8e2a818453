"""The class of all figures. Importing this imports matplotlib, so only drawing does."""

from __future__ import annotations

from matplotlib.figure import Figure

from .figures import png_of


class Picture(Figure):
    """A figure that notebooks show as it is, without pyplot and its backends."""

    def _repr_png_(self) -> bytes:
        return png_of(self)
