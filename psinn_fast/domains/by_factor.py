"""Products combined and moved factor by factor, so that they stay products: a time stays an interval."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..kernels.errors import InputError, short
from ..language.derivative_names import TIMES
from .boundary_checks import SPACE
from .box import Box
from .domain import Domain
from .product import Product

Points = npt.NDArray[np.float64]

_OPERATORS = {"|": operator.or_, "&": operator.and_, "-": operator.sub}


def combined(what: str, operation: str, one: Domain, other: Domain) -> Domain | None:
    """The product of what both have in common and of the other factors, combined; None where that is not the result.

    Raises:
        InputError: the parts of a factor that both have are called differently; what combining the others raises.
    """
    first, second = _factors(one, other), _factors(other, one)
    if [f.coords for f in first] != [f.coords for f in second] or len(first) < 2:
        return None
    differ = [i for i, pair in enumerate(zip(first, second, strict=True)) if not _is_same(*pair)]
    which = differ[0] if differ else max(range(len(first)), key=lambda i: len(first[i].coords))
    if len(differ) > 1 or len(first[which].coords) < 2:
        return None
    names, others, combine = _names(one, first), _names(other, second), _OPERATORS[operation]
    if operation != "-":
        for i, factor in enumerate(first):
            if i != which and names[i] != others[i]:
                raise InputError(
                    f"{what}: the parts over {short(factor)} are called {names[i]} in the one and {others[i]} in the "
                    "other; give them the same names by renamed(...)"
                )
    shape = combine(_called(first[which], names[which]), _called(second[which], others[which]))
    found = Product(*(shape if i == which else factor for i, factor in enumerate(first)))
    names[which] = list(shape.parts)
    return found.named([name for own in names for name in own])


def translated(product: Product, step: Points) -> Domain:
    """Each factor by its own numbers of the step."""
    factors = [f.translated(*step[axes].tolist()) if step[axes].any() else f for f, axes in product._blocks()]
    return Product(*factors).named(product.parts)


def rotated(domain: Domain, angle: float, about: Points, axis: Sequence[float] | None) -> Domain | None:
    """Of a product of a plane factor and one of a single coordinate, about the axis of that; None where it is another
    domain or rotation."""
    factors = factors_of(domain)
    if axis is None or sorted(len(factor.coords) for factor in factors) != [1, 2]:
        return None
    direction, line = np.asarray(axis, dtype=np.float64), 0 if len(factors[0].coords) == 1 else 2
    if not direction[line] or np.delete(direction, line).any():
        return None
    middle, turn = np.delete(about, line).tolist(), angle if direction[line] > 0 else -angle
    turned = [factor.rotated(turn, middle) if len(factor.coords) == 2 else factor for factor in factors]
    return Product(*turned).named(domain.parts)


def warn_of_lost_time(what: str, result: Domain, *domains: Domain) -> None:
    """That a time, or a parameter, was an interval, whatever the other coordinates are, and is no longer. Of a time and
    one coordinate nothing but shapes of both can be meant."""
    if len(result.coords) < 3:
        return
    for name in [name for domain in domains for name in _times(domain)]:
        if result.coords.index(name) not in result.interval_axes:
            warnings.warn(
                f"{what}: {name!r} is no longer one interval everywhere: a missing condition at its ends is not told, "
                "there are no windows of time, and pictures show the first two coordinates; of a shape that does not "
                f"change along it combine and move the shape, then multiply: Box({name}=...) * (A - B)",
                stacklevel=4,
            )
            return


def _times(domain: Domain) -> list[str]:
    """Coordinates that are intervals and called as times are, or are factors of their own and no direction in space."""
    alone = [f.coords[0] for f in factors_of(domain) if len(f.coords) == 1 and f.coords[0] not in SPACE]
    return [name for name in (domain.coords[axis] for axis in domain.interval_axes) if name in (*TIMES, *alone)]


def _factors(domain: Domain, like: Domain) -> Sequence[Domain]:
    """Of a box: cut like the factors of the other domain, or into its time and the rest."""
    if isinstance(domain, Product):
        return domain.factors
    if not isinstance(domain, Box):
        return (domain,)
    if isinstance(like, Product):
        return _cut(domain, [axes for _, axes in like._blocks()])
    return factors_of(domain) if isinstance(like, Box) else (domain,)


def factors_of(domain: Domain) -> Sequence[Domain]:
    """Of a product, or of a box of a time and several coordinates after it; else the domain itself."""
    if isinstance(domain, Product):
        return domain.factors
    is_over_time = isinstance(domain, Box) and len(domain.coords) > 2 and domain.coords[0] in TIMES
    return _cut(domain, [slice(0, 1), slice(1, None)]) if is_over_time else (domain,)


def _cut(box: Domain, blocks: Sequence[slice]) -> Sequence[Domain]:
    ends = list(zip(box.coords, box.low.tolist(), box.high.tolist(), strict=True))
    return [Box(**{name: (low, high) for name, low, high in ends[axes]}) for axes in blocks]


def _is_same(one: Domain, other: Domain) -> bool:
    if one is other:
        return True
    are_boxes = type(one) is Box and type(other) is Box
    return are_boxes and bool(np.array_equal(one.low, other.low) and np.array_equal(one.high, other.high))


def _names(domain: Domain, factors: Sequence[Domain]) -> list[list[str]]:
    """What a domain calls the parts of each factor."""
    names = iter(domain.parts)
    return [[next(names) for _ in factor.parts] for factor in factors]


def _called(domain: Domain, names: Sequence[str]) -> Domain:
    given = {own: name for own, name in zip(domain.parts, names, strict=True) if own != name}
    return domain.renamed(given) if given else domain
