"""jet-for-pytorch: Taylor mode by its interpreter, as its benchmarks use it: the derivatives' graph is captured, and
common subexpressions are merged.

Settings tried: all points in one jet, or `vmap` of one point's, both eager, and the former in torch.compile with the
whole loss, but for fourth derivatives, which take minutes to compile. The fastest in a short trial is taken.
Laplacians are collapsed jets; mixed derivatives follow from those along x + y and x - y.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from jet import capture_graph, common_subexpression_elimination, jet
from torch import Tensor

from ..suite.case import Case, Data
from ..suite.contestant import NotServed
from ..suite.equations import Equation
from .torch_peers import TorchStep

Derivatives = dict[str, Tensor]


def derivatives(
    equation: Equation, net: Callable[[Tensor], Tensor], example: Tensor
) -> Callable[[Tensor], Derivatives]:
    """u and the derivatives at what has the shape of ``example``: a point, (d,), or all, (N, d).

    Raises:
        NotServed: a mixed derivative is not of the kind xxyy.
    """
    plain, collapsed = jet(net, (example,)), jet(net, (example,), collapsed=True)
    axes = {letter: axis for axis, letter in enumerate(equation.coordinates)}
    mixed = [need for need in equation.needs if need != "lap" and len(set(need)) > 1]
    if any(len(need) != 4 or need != 2 * need[0] + 2 * need[2] for need in mixed):
        raise NotServed(f"there is no formula here for u_{' u_'.join(mixed)} by jets along directions")

    def direction(**amounts: float) -> Tensor:
        along = example.detach().new_zeros(example.shape)
        for letter, amount in amounts.items():
            along[..., axes[letter]] = amount
        return along

    orders: dict[str, int] = {}
    for need in equation.needs:
        for letter in set(need) if need != "lap" else ():
            orders[letter] = max(orders.get(letter, 0), len(need))
    pure = {letter: direction(**{letter: 1.0}) for letter in orders}
    diagonals = {need: [direction(**{need[0]: 1.0, need[2]: sign}) for sign in (1.0, -1.0)] for need in mixed}
    space = torch.stack([direction(**{equation.coordinates[axis]: 1.0}) for axis in equation.space])

    def along(x: Tensor, which: Tensor, order: int) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = plain((x, which, *[torch.zeros_like(x)] * (order - 1)))
        return found

    def at(x: Tensor) -> Derivatives:
        found: Derivatives = {}
        for letter, order in orders.items():
            found["u"], *by_order = along(x, pure[letter], order)
            found |= {letter * k: value for k, value in enumerate(by_order, 1)}
        if "lap" in equation.needs:
            found["u"], _, found["lap"] = collapsed((x, space, torch.zeros_like(x)))
        for need, (up, down) in diagonals.items():
            # The two sum up to 2 (u_xxxx + 6 u_xxyy + u_yyyy).
            both = along(x, up, 4)[4] + along(x, down, 4)[4]
            found[need] = (both - 2 * (found[need[0] * 4] + found[need[2] * 4])) / 12
        return {name: found[name] for name in ("u", *equation.needs)}

    return at


class Jet(TorchStep):
    # Whether one jet has all points, and whether the loss is compiled.
    WAYS = ((True, False), (False, False), (True, True))
    TRIAL = 5

    def __init__(self, case: Case, data: Data) -> None:
        super().__init__(case, data)
        ways = self.WAYS if self.equation.order < 4 else self.WAYS[:2]
        seconds = {way: self._trial(*way) for way in ways}
        self._choose(*min(seconds, key=lambda way: seconds[way]))

    def _choose(self, batched: bool, compiled: bool) -> None:
        example = self.x if batched else self.x[0]
        graph, _ = capture_graph(derivatives(self.equation, self.net, example), (example,))
        common_subexpression_elimination(graph.graph)
        graph.recompile()
        self._derivatives = graph if batched else torch.vmap(graph)
        self._loss = torch.compile(super().loss, dynamic=False) if compiled else super().loss
        self.optimizer.zero_grad(set_to_none=True)

    def _trial(self, batched: bool, compiled: bool) -> float:
        self._choose(batched, compiled)
        for _ in range(2):
            self.loss().backward()
        started = time.perf_counter()
        for _ in range(self.TRIAL):
            self.loss().backward()
        return time.perf_counter() - started

    def derivatives(self) -> Mapping[str, Tensor]:
        found: Derivatives = self._derivatives(self.x)
        return found

    def loss(self) -> Tensor:
        found: Tensor = self._loss()
        return found
