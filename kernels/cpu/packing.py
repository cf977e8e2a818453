"""Plans, channel sets, programs and penalties in the form the extension takes: plain lists and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from weakref import finalize

import numpy as np
import numpy.typing as npt
import scipy.sparse

from ..language.activations import ACTIVATIONS
from ..language.channels import ChannelSet, channel_order
from ..language.jet_product import JetProduct
from ..language.program import BINARY, UNARY, Adjoint, Coefficient, Column, Coordinate, Jet, Program
from ..language.recurrence import Recurrence
from ..language.regularizer import Regularizer
from ..network.linear_map import LinearMap
from ..network.orbits import Orbit, orbits
from ..network.plan import LayerPlan, Plan
from ..network.wiring import PLAIN, WIRINGS
from .extension import loaded
from .stacking import stacked

# Shape, then row, column and value of each entry.
Sparse = tuple[int, int, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]

# Of which a first layer has a form of its own.
MOST_COORDINATES = 4

_OPERATIONS = {name: number for number, name in enumerate(("const", *UNARY, *BINARY))}
_PENALTIES = {"l2": 1, "l1": 2, "growl": 3}


class _Cache:
    """Packed forms by the identity of their origin, as long as that lives (hashing a plan costs more than a step)."""

    def __init__(self, pack: Callable[[Any], Any]) -> None:
        self._pack = pack
        self._known: dict[int, Any] = {}

    def __call__(self, origin: Any) -> Any:
        key = id(origin)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._pack(origin)
            finalize(origin, self._known.pop, key, None)
        return found


def _sparse(linear: LinearMap) -> Sparse:
    return (*linear.shape, linear.row, linear.col, linear.coefficient)


def _pack_plan(plan: Plan) -> Any:
    # Layers that are joined have no relations, and so nothing to gain from other than one product each.
    plan = plan if plan.wiring == PLAIN else plan.composed
    stack, expansion = stacked(plan)
    first, last, embedded = stack[0], len(stack) - 1, is_embedded(plan)
    packed_expansion, weight0 = (_sparse(expansion), 0) if embedded else _with_first_matrix(plan, first, expansion)
    folds = plan.folds
    # Behind a hidden layer, orbits take over from its `post` and the next one's `pre` where they can.
    found = [orbits(stack, number, number > 0 or embedded) if number < last else None for number in range(last + 1)]
    packed = [
        [asdict(orbit) for orbit in own or [Orbit.single(layer.fan_out)]]
        for own, layer in zip(found, stack, strict=True)
    ]
    layers = [
        {
            "fan_in": layer.fan_in,
            "fan_out": layer.fan_out,
            "n_slots": layer.n_slots,
            "n_operands": layer.n_operands,
            "bias": -1 if layer.bias is None else layer.bias.start,
            "products": [
                [part.outputs.start, part.shape[0], part.inputs.start, part.shape[1], part.weight.start]
                for part in layer.products
            ],
            "pre": None if (number and found[number - 1]) or layer.pre is None else _sparse(layer.pre),
            "post": None if found[number] or layer.post is None else _sparse(layer.post),
            "orbits": packed[number],
        }
        for number, layer in enumerate(stack)
        if number > 0 or embedded
    ]
    return loaded().Model(
        {
            "d_in": plan.d_in,
            "d_out": plan.d_out,
            "embedded": embedded,
            "width0": first.fan_in if embedded else first.fan_out,
            "weight0": weight0,
            "bias0": -1 if embedded or first.bias is None else first.bias.start,
            "orbits": [asdict(Orbit.single(first.fan_in))] if embedded else packed[0],
            "expansion": packed_expansion,
            "wiring": WIRINGS.index(plan.wiring),
            "activation": list(ACTIVATIONS).index(plan.activation),
            "folds": np.stack([folds.bias, folds.weight, folds.constant], 1).tolist(),
            "layers": layers,
        }
    )


def is_embedded(plan: Plan) -> bool:
    """The first layer is general and acts on jets that are given: of functions of the coordinates, or of more of
    these than the first layer's own form takes (src/first_layer.h)."""
    return plan.embedding is not None or plan.d_in > MOST_COORDINATES


def _with_first_matrix(plan: Plan, layer: LayerPlan, expansion: LinearMap) -> tuple[Any, int]:
    """E, and where in w = E theta the first layer's matrix A = post blockdiag(W) pre lies, row-major.

    The kernels run the first layer as one dense matrix: with at most four inputs a structure spares nothing there.
    A is linear in w, so where it is not a product of the plan already, its entries are appended to w.
    """
    single = len(layer.products) == 1 and layer.products[0].shape == (layer.fan_out, layer.fan_in)
    if single and layer.pre is None and layer.post is None:
        return _sparse(expansion), layer.products[0].weight.start
    whole = scipy.sparse.vstack([expansion.sparse(), plan.composed_matrix(0)]).tocoo()
    return (*whole.shape, whole.row, whole.col, whole.data), expansion.shape[0]


def _pack_channels(channels: ChannelSet) -> Any:
    def monomials(items: Any) -> list[tuple[float, list[int]]]:
        return [(item.coefficient, list(item.factors)) for item in items]

    leading, recurrence, product = set(map(id, channels.leading)), Recurrence.of(channels), JetProduct.of(channels)
    chain = (*recurrence.forward, *recurrence.adjoint)
    return loaded().Rules(
        {
            "orders": [channel_order(channel) for channel in channels.channels],
            "order": channels.order,
            "leading": [number for number, part in enumerate(channels.nonlinear) if id(part) in leading],
            "units": list(channels.units),
            "parts": [
                (
                    part.channel,
                    part.order,
                    monomials(part.monomials),
                    [(b, monomials(items)) for b, items in part.partials.items()],
                )
                for part in channels.nonlinear
            ],
            "n_slopes": recurrence.n_slopes,
            "n_forward_rows": len(recurrence.forward),
            "n_rows": len(chain),
            "n_product_rows": len(chain) + len(product.forward),
            "rows": [
                (
                    row.result,
                    row.adds,
                    [(own.a, own.b, factor) for own, factor in zip(row.products, row.factors(), strict=True)],
                )
                for row in (*chain, *product.forward, *product.adjoint)
            ],
        }
    )


def _pack_program(program: Program) -> Any:
    inputs = []
    for register, kind in enumerate(program.inputs):
        match kind:
            case Jet(site, field, channel):
                inputs.append([0, site, field, channel, register])
            case Coordinate(site, axis):
                inputs.append([1, site, axis, 0, register])
            case Column(number):
                inputs.append([2, number, 0, 0, register])
            case Coefficient(number):
                inputs.append([3, number, 0, 0, register])
            case Adjoint(residual):
                inputs.append([4, residual, 0, 0, register])
    start = len(inputs)
    return loaded().Program(
        {
            "rules": packed_channels(program.channels),
            "n_sites": program.n_sites,
            "n_columns": program.n_columns,
            "n_forward": program.n_forward,
            "n_registers": start + len(program.instructions),
            "first_channel": min((kind.channel for kind in program.inputs if isinstance(kind, Jet)), default=0),
            "inputs": inputs,
            "instructions": [
                (_OPERATIONS[op], a, b, start + number, value)
                for number, (op, a, b, value) in enumerate(program.instructions)
            ],
            "residuals": list(program.residuals),
            "gradients": list(program.gradients),
        }
    )


packed_plan = _Cache(_pack_plan)
packed_channels = _Cache(_pack_channels)
packed_program = _Cache(_pack_program)


def packed_penalty(regularizer: Regularizer | None, plan: Plan) -> Any | None:
    if regularizer is None:
        return None
    parts = [
        (part.start, part.stop, *(shape or (0, 1)))
        for part, shape in zip(plan.weight_slices, plan.dense_shapes, strict=True)
    ]
    return loaded().Penalty(_PENALTIES[regularizer.kind], regularizer.strength, parts)
