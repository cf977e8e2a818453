"""One affine layer by the products of its plan: forward and adjoint of y = post(products(pre x)) in torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..kernels.network.linear_map import LinearMap
from ..kernels.network.plan import LayerPlan, Product


class Costs(NamedTuple):
    """In multiplications of a dense product: a number written by a signed sum, a further call of an operation, and what
    a pass costs in any case."""

    per_sum: int
    per_call: int
    per_pass: int


FREE = Costs(0, 0, 0)
# Where it was measured (`python -m bench run cpu --only "linear layer"` shows both ways, and what this rule chose). On
# one thread with AVX-512 a matrix product does 5e10 multiplications a second, a sum writes 3e9 numbers, a call takes
# 3 us, a pass 70 us more.
MEASURED = {"cpu": Costs(per_sum=16, per_call=160_000, per_pass=3_500_000)}


class _Sum(NamedTuple):
    """z[:, rows] = sum of coefficient * h[:, cols]."""

    rows: slice
    terms: tuple[tuple[slice, float], ...]


@dataclass(frozen=True)
class Sums:
    """A map of features as few signed sums of whole blocks of columns."""

    n_out: int
    parts: tuple[_Sum, ...]

    @classmethod
    def of(cls, linear: LinearMap) -> Sums:
        terms: list[list[tuple[int, float]]] = [[] for _ in range(linear.shape[0])]
        for row, col, coefficient in zip(
            linear.row.tolist(), linear.col.tolist(), linear.coefficient.tolist(), strict=True
        ):
            terms[row].append((col, coefficient))
        starts = [0]
        for row in range(1, len(terms)):
            if terms[row] != [(col + row - starts[-1], coefficient) for col, coefficient in terms[starts[-1]]]:
                starts.append(row)
        parts = (
            _Sum(slice(a, b), tuple((slice(col, col + b - a), coefficient) for col, coefficient in terms[a]))
            for a, b in pairwise([*starts, len(terms)])
        )
        return cls(len(terms), tuple(parts))

    @property
    def n_calls(self) -> int:
        return sum(max(len(part.terms) - 1, 1) for part in self.parts)

    @property
    def n_written(self) -> int:
        """Numbers written per point."""
        return sum((part.rows.stop - part.rows.start) * max(len(part.terms) - 1, 1) for part in self.parts)

    def apply(self, h: Tensor) -> Tensor:
        z = h.new_empty(h.shape[0], self.n_out)
        for rows, terms in self.parts:
            own = z[:, rows]
            match [(h[:, cols], coefficient) for cols, coefficient in terms]:
                case []:
                    own.zero_()
                case [(only, coefficient)]:
                    torch.mul(only, coefficient, out=own)
                case [(first, 1.0), (second, coefficient), *others]:
                    torch.add(first, second, alpha=coefficient, out=own)
                    for other, coefficient in others:
                        own.add_(other, alpha=coefficient)
                case [(first, coefficient), *others]:
                    torch.mul(first, coefficient, out=own)
                    for other, coefficient in others:
                        own.add_(other, alpha=coefficient)
        return z


@dataclass(frozen=True)
class FactoredLayer:
    """y = W x + b of the last layer of a plan, where no two products write one slot.

    ``w`` is the plan's expanded vector, which has all products' weights and b.
    """

    plan: LayerPlan

    @cached_property
    def pre(self) -> Sums | None:
        return None if self.plan.pre is None else Sums.of(self.plan.pre)

    @cached_property
    def post(self) -> Sums | None:
        return None if self.plan.post is None else Sums.of(self.plan.post)

    @cached_property
    def pre_adjoint(self) -> Sums | None:
        return None if self.plan.pre is None else Sums.of(self.plan.pre.transposed)

    @cached_property
    def post_adjoint(self) -> Sums | None:
        return None if self.plan.post is None else Sums.of(self.plan.post.transposed)

    @cached_property
    def _are_outputs_apart(self) -> bool:
        return _are_apart(product.outputs for product in self.plan.products)

    @cached_property
    def _are_inputs_apart(self) -> bool:
        return _are_apart(product.inputs for product in self.plan.products)

    def pays(self, points: int, device: str) -> bool:
        """Whether fewer multiplications outweigh the sums and calls, one way; the way back is twice the same.

        Only where that was measured, see `MEASURED`.
        """
        costs = MEASURED.get(device)
        if costs is None:
            return False
        return points * self._spared(costs.per_sum) > costs.per_pass + costs.per_call * self._extra_calls

    def _spared(self, per_sum: int) -> int:
        """Multiplications per point."""
        sums = sum(each.n_written for each in (self.pre, self.post) if each is not None)
        # Beside `post` a bias is a sum of its own, as are products that add to what is there.
        if self.plan.bias is not None and self.post is not None:
            sums += self.plan.fan_out
        if not self._are_outputs_apart:
            sums += self.plan.n_slots
        return self.plan.fan_in * self.plan.fan_out - self.plan.multiplications - per_sum * sums

    @cached_property
    def _extra_calls(self) -> int:
        return len(self.plan.products) - 1 + sum(each.n_calls for each in (self.pre, self.post) if each is not None)

    def forward(self, w: Tensor, x: Tensor) -> Tensor:
        """y (N, fan_out) at x (N, fan_in)."""
        bias = None if self.plan.bias is None else w[self.plan.bias]
        operands = x if self.pre is None else self.pre.apply(x)
        slots = x.new_empty(x.shape[0], self.plan.n_slots)
        _multiply(
            slots,
            self._are_outputs_apart,
            ((product.outputs, operands[:, product.inputs], _weight(w, product).T) for product in self.plan.products),
        )
        y = slots if self.post is None else self.post.apply(slots)
        return y if bias is None else y.add_(bias)

    def adjoint(
        self, w: Tensor, x: Tensor, y_bar: Tensor, need_w: bool, need_x: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients for w and x from that for y."""
        slots = y_bar if self.post_adjoint is None else self.post_adjoint.apply(y_bar)
        w_bar = x_bar = None
        if need_w:
            operands = x if self.pre is None else self.pre.apply(x)
            w_bar = torch.empty_like(w)
            for product in self.plan.products:
                torch.mm(slots[:, product.outputs].T, operands[:, product.inputs], out=_weight(w_bar, product))
            if self.plan.bias is not None:
                torch.sum(y_bar, 0, out=w_bar[self.plan.bias])
        if need_x:
            x_bar = x.new_empty(x.shape[0], self.plan.n_operands)
            _multiply(
                x_bar,
                self._are_inputs_apart,
                ((product.inputs, slots[:, product.outputs], _weight(w, product)) for product in self.plan.products),
            )
            x_bar = x_bar if self.pre_adjoint is None else self.pre_adjoint.apply(x_bar)
        return w_bar, x_bar


def _weight(w: Tensor, product: Product) -> Tensor:
    return w[product.weight].view(product.shape)


def _multiply(into: Tensor, are_apart: bool, products: Iterable[tuple[slice, Tensor, Tensor]]) -> None:
    """into[:, columns] = sum of a @ b over the products of the same columns, 0 where there are none."""
    parts = list(products)
    if not are_apart:
        into.zero_()
        for columns, a, b in parts:
            into[:, columns].addmm_(a, b)
        return
    if sum(columns.stop - columns.start for columns, _, _ in parts) < into.shape[1]:
        into.zero_()
    for columns, a, b in parts:
        torch.mm(a, b, out=into[:, columns])


def _are_apart(slices: Iterable[slice]) -> bool:
    ordered = sorted((each.start, each.stop) for each in slices)
    return all(before[1] <= after[0] for before, after in pairwise(ordered))
