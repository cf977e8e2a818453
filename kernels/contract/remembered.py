"""Numbers that follow from points alone, remembered from call to call: training asks for them at every step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

# Sets of points that one key is asked for in turn, the sides of a box for instance.
_MOST_SETS = 4


class OfPoints:
    """``remembered(key, points, make)`` is ``make()``, or what that was for equal points.

    All points are compared with a copy: what was changed, in whatever way, is computed anew. On other devices than the
    CPU, where that would wait for them, nothing is remembered.

    Args:
        most_bytes: of all that is remembered; the oldest goes first.
    """

    def __init__(self, most_bytes: int = 1 << 27) -> None:
        self._most_bytes = most_bytes
        self._known: OrderedDict[Hashable, list[tuple[Tensor, Tensor]]] = OrderedDict()
        self._bytes = 0

    def __call__(self, key: Hashable, points: Tensor, make: Callable[[], Tensor]) -> Tensor:
        if points.device.type != "cpu":
            return make()
        key = key, points.shape, points.dtype
        for known, value in self._known.get(key, ()):
            if torch.equal(known, points):
                self._known.move_to_end(key)
                return value
        value = make()
        if _size(points, value) <= self._most_bytes:
            sets = self._known.setdefault(key, [])
            sets.insert(0, (points.clone(), value))
            self._known.move_to_end(key)
            self._bytes += _size(points, value)
            self._forget(sets, _MOST_SETS)
            while self._bytes > self._most_bytes:
                oldest = next(iter(self._known))
                self._forget(self._known[oldest], len(self._known[oldest]) - 1)
                if not self._known[oldest]:
                    del self._known[oldest]
        return value

    def _forget(self, sets: list[tuple[Tensor, Tensor]], most: int) -> None:
        for points, value in sets[most:]:
            self._bytes -= _size(points, value)
        del sets[most:]


def _size(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
