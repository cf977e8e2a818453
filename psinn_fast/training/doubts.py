"""What speaks against trusting a result: residuals between the points, a loss that still falls or hardly fell."""

from __future__ import annotations

import math
from statistics import median

from .history import History

# A loss this many times larger where no point was than where one was says that the network fits its points only,
# unless it is below that part of the loss that training began with.
HIDDEN, NEGLIGIBLE = 10.0, 1e-9
# In the last quarter the loss fell by the first of these factors and is still above that part of the first loss.
_STILL_FALLING = ((2.0, 1e-3), (10.0, NEGLIGIBLE))
# Above this part of the first loss nothing is solved.
_UNSOLVED = 1e-2
_CUT_SHORT = ("steps", "iterations", "seconds", "interrupt")
_MORE = "when training stopped: more steps or seconds would help"
# Fewer rows of a history show no trend; so many are averaged at each of its ends.
_FEWEST_ROWS, _AVERAGED = 8, 5


def times_larger(unseen: float, seen: float, first: float) -> str | None:
    """How many times the loss ``unseen`` is larger than ``seen``, where that is worth a warning.

    ``first``: the loss before training. A loss that is not finite is larger than any other.
    """
    if unseen <= HIDDEN * seen or unseen <= NEGLIGIBLE * first:
        return None
    if not math.isfinite(unseen):
        return "not finite"
    return f"{_rounded(unseen / seen)} times larger" if seen > 0 else f"{unseen:.0e}"


def _rounded(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio < 1_000 else f"{ratio:.0e}".replace("e+0", "e").replace("e+", "e")


def unsolved(history: History, loss: float) -> tuple[str, ...]:
    """A warning that the ``loss`` reached is not small beside the one that training began with."""
    losses = history["loss"]
    if len(losses) < 2 or not loss > _UNSOLVED * losses[0]:
        return ()
    return (
        f"this is no solution, unless training began near one or data are noisy: the loss is still "
        f"{100 * loss / losses[0]:.0f} % of the first one",
    )


def trend(history: History, stopped_by: str) -> tuple[str, ...]:
    """A note that the loss was still falling when training was cut short.

    Medians of five rows are compared, since Adam's losses jump.
    """
    steps, losses = history["step"], history["loss"]
    if len(losses) < _FEWEST_ROWS or stopped_by not in _CUT_SHORT:
        return ()
    first, last = losses[0], median(losses[-_AVERAGED:])
    quarter = next(i for i, step in enumerate(steps) if step >= 0.75 * steps[-1])
    fell = median(losses[max(0, quarter - _AVERAGED // 2) :][:_AVERAGED]) / max(last, 1e-300)
    if last > _UNSOLVED * first and fell > 1:
        return (f"the loss was still falling {_MORE}",)
    if any(fell > factor and last > level * first for factor, level in _STILL_FALLING):
        return (f"the loss was still falling, by a factor of {_rounded(fell)} over the last quarter, {_MORE}",)
    return ()
