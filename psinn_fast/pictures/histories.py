"""Training as curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..training.history import History
from .figures import new_figure, one_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

LOSS, ERROR = "loss (weighted mean squares)", "relative L2 error"
BETWEEN = "at unseen points"


def history_figure(histories: Mapping[str, History], terms: bool = False) -> Figure:
    """See `draw_histories`."""
    figure = new_figure(5 * panels_of_history(next(iter(histories.values()))), 4)
    draw_histories(figure, histories, terms)
    return figure


def panels_of_history(history: History) -> int:
    """How many there are beside each other."""
    return len(_panels(history))


def _panels(history: History) -> list[str]:
    has_error = not np.isnan(history["relative_l2"]).all()
    return ["loss", *(["relative_l2"] if has_error else []), *history.coefficients]


def draw_histories(figure: Figure | SubFigure, histories: Mapping[str, History], terms: bool = False) -> None:
    """Total loss, relative L2 error and unknown coefficients against the step, one curve per run.

    Dots are the loss at points that training does not see. With ``terms``, every loss term as well. Error and
    coefficients are left out where there are none.
    """
    first = next(iter(histories.values()))
    names, coefficients, panels = first.terms, first.coefficients, _panels(first)
    for axis, column in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for label, history in histories.items():
            (curve,) = axis.plot(history["step"], history[column], label=label)
            if column == "loss":
                axis.plot(history["step"], history["held_out"], ".", color=curve.get_color(), label=BETWEEN)
            for term in names if terms and column == "loss" else ():
                axis.plot(history["step"], history[term], label=term, linewidth=0.7)
        axis.set_yscale("linear" if column in coefficients else "log")
        axis.set_xlabel("step")
        axis.locator_params("x", nbins=6, integer=True)
        axis.set_ylabel({"loss": LOSS, "relative_l2": ERROR}.get(column, column))
        axis.grid(alpha=0.3)
    one_legend(figure)
