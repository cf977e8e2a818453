"""Notebooks: whether this is one, and outputs of its cells that are replaced. Without IPython there are none."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def in_notebook() -> bool:
    """Whether the code runs in the kernel of a notebook, whose cells show what is displayed."""
    return getattr(_shell(), "kernel", None) is not None


def cell_number() -> int | None:
    """Of the cell that runs; None where this is no notebook."""
    return getattr(_shell(), "execution_count", None) if in_notebook() else None


def _shell() -> Any:
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


class Cell:
    """One output of the cell that runs, in the place where it was first shown."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, contents: Mapping[str, Any]) -> None:
        """In place of what was there; ``contents`` by MIME type."""
        if self._handle is None:
            from IPython.display import display

            self._handle = display(dict(contents), raw=True, display_id=True)  # type: ignore[no-untyped-call]  # of IPython's
        else:
            self._handle.update(dict(contents), raw=True)
