"""What speaks against trusting a result: residuals between the points, a loss that still falls or hardly fell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from .history import History

# A metric of `error_metrics`: a number, or one for each field, or these for each part of the boundary; None where it is
# not known.
Errors = dict[str, float | dict[str, float | None] | None]
Metric = float | Errors | None

# A loss this many times larger where no point was than where one was says that the network fits its points only,
# unless it is below that part of the loss that training began with.
HIDDEN, NEGLIGIBLE = 10.0, 1e-9
# A loss so many times larger, and larger than one over this of the first, is never small (a hundred times more than the
# most that was seen beside errors below 1 %).
FAR = 1e6
# In the last quarter the loss fell by the first of these factors and is still above that part of the first loss.
_STILL_FALLING = ((2.0, 1e-3), (10.0, NEGLIGIBLE))
# Above this part of its largest a term is not solved; above this part of the first loss nothing is, unless training
# began with a loss so small that what is left is below this part of that of random fields.
_UNSOLVED, _NEAR = 1e-2, 1e-5
# Above the first of these an error that residuals may hide is worth a warning; by Adam, whose losses ordinarily are as
# large as that, a note above the second; above the third a field is free.
ALLOWED, ALLOWED_OF_ADAM, FREE = 1e-2, 0.1, 0.5
# Above this relative L2 error.
_INACCURATE = 0.2
_LOCAL = "a kink, a jump or a thin layer at one of them?"
_CUT_SHORT = ("steps", "seconds", "interrupt")
_MORE = "when training stopped: more steps or seconds would help"
# Conditions that contradict others are named up to so many.
_NAMED = 3
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


def between_points(
    unseen: float, seen: float, first: float, errors: Mapping[str, float]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Warnings and notes that the residual is larger between the points (`times_larger`).

    A warning; a note if residuals as large as that allow small errors only (``errors``: see `possible_errors`), which
    is not believed where they are far larger: what the points did not see at all may be seen by a few of the others.
    """
    larger = times_larger(unseen, seen, first)
    if not larger:
        return (), ()
    text = (f"the residual between the points is {larger}",)
    is_far = not (unseen <= FAR * seen or unseen <= first / FAR)
    is_small = bool(errors) and all(error <= ALLOWED for error in errors.values())
    return ((), text) if is_small and not is_far else (text, ())


def _rounded(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio < 1_000 else f"{ratio:.0e}".replace("e+0", "e").replace("e+", "e")


def unsolved(
    history: History,
    loss: float,
    losses: Mapping[str, float],
    references: Mapping[str, float],
    size: float,
    held_out: Mapping[str, float | None] | None = None,
) -> tuple[str, ...]:
    """Warnings that the loss of a term, or the weighted total, is not small.

    A term that is not small at its own points, but between them, is no verdict on the solution: one point on a kink, of
    an option's pay-off at the strike, is enough.

    Args:
        history: of training.
        loss: the total reached, with the smaller loss of each term.
        losses, references: by term, what was reached, and what it is if nothing is solved; terms without the latter are
            not judged. The first loss is no such reference: untrained networks nearly solve Laplace's equation.
        size: the total of random fields, by which a start near the solution is told.
        held_out: by term, what was reached between its points; None where that is not known.
    """
    found, local = [], []
    for name, reference in references.items():
        if losses[name] > _UNSOLVED * reference:
            most = max(largest(history, name), losses[name])
            is_known = losses[name] > _UNSOLVED * most
            share = 100 * losses[name] / (most if is_known else reference)
            between = smaller(losses[name], (held_out or {}).get(name))
            text = f"at {share:.0f} % of its {'largest' if is_known else 'natural size'}"
            if between > _UNSOLVED * reference:
                found.append(f"term {name!r} is still {text}")
            else:
                local.append(f"term {name!r} is still {text} at its own points, but not between them: {_LOCAL}")
    first = history["loss"][0] if len(history) else math.inf
    if not found and loss > _UNSOLVED * first and loss > _NEAR * size:
        found = [f"the loss is still {100 * loss / first:.0f} % of the first one"]
    if found:
        local.insert(0, f"this is no solution, unless training began near one or data are noisy: {', '.join(found)}")
    return tuple(local)


def smaller(loss: float, held_out: float | None) -> float:
    """Of a term's loss at its own points, and between them where that is known and finite."""
    return loss if held_out is None or not held_out < loss else held_out


def largest(history: History, term: str) -> float:
    """The largest loss of a term."""
    return max((loss for loss in history[term] if math.isfinite(loss)), default=0.0)


def undetermined(errors: Mapping[str, float]) -> tuple[str, ...]:
    """A warning that small residuals allow any field or coefficient; ``errors``: see `possible_errors`."""
    free = [name for name, error in errors.items() if not error < FREE]
    return (f"its residuals do not determine {' and '.join(free)}",) if free else ()


def loose(errors: Mapping[str, float], allowed: float) -> tuple[str, ...]:
    """That they allow errors of more than ``allowed``."""
    found = [f"{100 * error:.0f} % in {name}" for name, error in errors.items() if allowed < error < FREE]
    return (f"its residuals allow errors of {' and '.join(found)}",) if found else ()


def contradictory(contested: Mapping[str, float]) -> tuple[str, ...]:
    """A warning that conditions contradict each other; ``contested``: see `contradictions.contested`."""
    if not contested:
        return ()
    names = sorted(contested, key=lambda name: -contested[name])[:_NAMED]
    each = [f"{100 * contested[name]:.0f} % without {name}" for name in names]
    return (f"its conditions contradict each other: fields would change by {' or '.join(each)}",)


def inaccurate(metrics: Mapping[str, Metric]) -> tuple[str, ...]:
    """A warning that the error is large, where it is known (`error_metrics`)."""
    error = metrics["relative_l2"]
    by_field = error if isinstance(error, Mapping) else {"": error}
    large = [
        f"the relative L2 error{f' of {field}' if field else ''} is {100 * value:.0f} %"
        for field, value in by_field.items()
        if isinstance(value, float) and not value <= _INACCURATE
    ]
    return (" and ".join(large),) if large else ()


def trend(history: History, stopped_by: str, size: float = 0.0) -> tuple[str, ...]:
    """A note that the loss was still falling when training was cut short.

    Medians of five rows are compared, since Adam's losses jump. ``size``: the total of random fields, beside which what
    is left may be negligible where training began near a solution.
    """
    steps, losses = history["step"], history["loss"]
    if len(losses) < _FEWEST_ROWS or stopped_by not in _CUT_SHORT:
        return ()
    first, last = losses[0], median(losses[-_AVERAGED:])
    quarter = next(i for i, step in enumerate(steps) if step >= 0.75 * steps[-1])
    fell = median(losses[max(0, quarter - _AVERAGED // 2) :][:_AVERAGED]) / max(last, 1e-300)
    if last > max(_UNSOLVED * first, _NEAR * size) and fell > 1:
        return (f"the loss was still falling {_MORE}",)
    if any(fell > factor and last > max(level * first, NEGLIGIBLE * size) for factor, level in _STILL_FALLING):
        return (f"the loss was still falling, by a factor of {_rounded(fell)} over the last quarter, {_MORE}",)
    return ()
