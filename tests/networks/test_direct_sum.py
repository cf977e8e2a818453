"""Structures side by side compute what their parts compute, field by field."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from helpers import mlp, random_points, random_theta
from torch import Tensor

from psinn_fast.kernels.errors import InputError
from psinn_fast.networks.direct_sum import direct_sum
from psinn_fast.networks.groups import SignedPermutation, Symmetry, structure_from_group
from psinn_fast.networks.published import burgers_odd, laplace_even, published_structure
from psinn_fast.networks.structure import Structure

EVEN, ODD, DENSE = laplace_even(), burgers_odd(), Structure.dense([2, 3, 2, 4, 1])
PAIR = structure_from_group([Symmetry(SignedPermutation.flip(2, 1), (1, -1))], (1, 2, 1), "pooled")


def part_of(layers: list[tuple[Tensor, Tensor]], sizes: list[tuple[int, ...]], part: int, rows: list[int]) -> Any:
    """(W, b) of one part, cut out of those of the sum."""
    cut = []
    for number, (weight, bias) in enumerate(layers):
        out = [sum(size[number + 1] for size in sizes[:k]) for k in (part, part + 1)]
        into = [sum(size[number] for size in sizes[:k]) for k in (part, part + 1)] if number else [0, 2]
        picked = rows if number == len(layers) - 1 else list(range(*out))
        rest = weight[picked].clone()
        rest[:, into[0] : into[1]] = 0
        assert not rest.any(), "weights between parts"
        cut.append((weight[picked, into[0] : into[1]], bias[picked]))
    return cut


def forward(layers: list[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
    for number, (weight, bias) in enumerate(layers, start=1):
        x = x @ weight.T + bias
        x = x if number == len(layers) else x.tanh()
    return x


def obeys(layers: list[tuple[Tensor, Tensor]], structure: Structure) -> bool:
    """Whether (W, b) are R theta for some theta."""
    flat = torch.cat([part for weight, bias in layers for part in (weight.reshape(-1), bias)])[:, None]
    numbered = [(number, part) for number in range(len(layers)) for part in ("weight", "bias")]
    relations = torch.cat([torch.from_numpy(structure.relation_matrix(*of).toarray()) for of in numbered])
    theta = torch.linalg.pinv(relations) @ flat
    return torch.allclose(relations @ theta, flat, atol=1e-12)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(
    ("parts", "fields", "rows"),
    [
        ({"u p": EVEN, "v": ODD}, "u v p", [[0, 2], [1]]),
        ({"v": ODD, "u": EVEN}, "u v", [[1], [0]]),
        ({"p": DENSE, "v": ODD}, "v p", [[1], [0]]),
        ({"a b": PAIR, "c": DENSE, "d": EVEN}, "d b c a", [[3, 1], [2], [0]]),
        ({"u": EVEN, "v": EVEN}, "u v", [[0], [1]]),
    ],
)
def test_each_field_is_one_of_its_part(
    parts: dict[str, Structure], fields: str, rows: list[list[int]], width: int
) -> None:
    whole = direct_sum(parts, fields).with_width(width)
    own = [part.with_width(width) for part in parts.values()]
    n_heads = [len(picked) if part.n_outputs == 1 else 1 for part, picked in zip(own, rows, strict=True)]
    last = [part.layers[-1].n_parameters for part in own]
    assert whole.n_parameters == sum(
        part.n_parameters + (heads - 1) * n for part, heads, n in zip(own, n_heads, last, strict=True)
    )
    theta, x = random_theta(whole, 0), random_points(40, 2)
    values, layers = mlp(whole, theta, x), whole.expand(theta)
    for number, (part, picked) in enumerate(zip(own, rows, strict=True)):
        cut = part_of(layers, [one.layer_sizes for one in own], number, picked)
        assert torch.allclose(forward(cut, x), values[:, picked], rtol=0, atol=1e-13)
        heads = [[output] for output in range(len(picked))] if part.n_outputs == 1 else [list(range(len(picked)))]
        for chosen in heads:
            weight, bias = cut[-1]
            assert obeys([*cut[:-1], (weight[chosen], bias[chosen])], part)


def test_flow_is_the_sum_of_laplace_and_burgers() -> None:
    flow = published_structure("flow")
    found = direct_sum({"u p": EVEN, "v": ODD}, "u v p", name=flow.name)
    assert [(layer.weight, layer.bias) for layer in found.layers] == [(own.weight, own.bias) for own in flow.layers]
    # The paper's branches have half the width in the last hidden layer.
    assert found.with_width(10).layer_sizes == (2, 40, 50, 40, 3)
    assert flow.with_width(10).layer_sizes == (2, 40, 50, 20, 3)


def test_frames() -> None:
    away = Structure(ODD.layers, "odd", (0.5, 0.0), (2.0, 1.0), (3.0,))
    also = Structure(EVEN.layers, "even", (0.5, 0.0), (2.0, 1.0), (5.0,))
    found = direct_sum({"v": away, "u p": also}, ["u", "v", "p"])
    assert (found.centre, found.input_scale, found.output_scale) == ((0.5, 0.0), (2.0, 1.0), (5.0, 3.0, 5.0))
    moved = direct_sum({"v": ODD, "u p": Structure(EVEN.layers, "even", (0.5, 0.0))}, "u v p", centre=[0.55, 0])
    assert moved.centre == (0.55, 0.0)


def test_it_is_a_structure_like_others() -> None:
    found = direct_sum({("u", "p"): EVEN, "v": ODD}, "u v p")
    assert Structure.from_json(found.to_json()) == found == pickle.loads(pickle.dumps(found))
    assert direct_sum({"u": EVEN}, "u").layers == EVEN.layers
    linear = direct_sum({"u": Structure.dense([2, 1]), "v": Structure.dense([2, 1])}, "v u")
    assert linear.layers == direct_sum({"u v": Structure.dense([2, 2])}, "u v").layers


@pytest.mark.parametrize(
    ("parts", "fields", "message"),
    [
        ({}, "u", r"parts: expected structures by names of fields, e\.g\. \{'u p': even, 'v': odd\}, got \{\}"),
        ([EVEN, ODD], "u v", "parts: expected structures by names of fields"),
        ({"u": "laplace"}, "u", "parts: 'u': expected a Structure, got 'laplace'"),
        ({"u": EVEN}, "u v", r"parts: each of the fields \['u', 'v'\] must be in one part, got \['u'\]"),
        ({"u v": EVEN, "v": ODD}, "u v", r"must be in one part, got \['u', 'v', 'v'\]"),
        ({"u v": EVEN, "u,v": ODD}, "u v", r"must be in one part, got \['u', 'v', 'u', 'v'\]"),
        ({"u w": EVEN, "v": ODD}, "u v", r"must be in one part, got \['u', 'w', 'v'\]"),
        ({"u": EVEN, "v": ODD}, "u u", "fields: expected at least one name and no name twice"),
        ({0: EVEN}, "u", "parts: expected a text or a list of texts, got 0"),
        ({"u v p": PAIR}, "u v p", "parts: 'u v p': a structure of 2 outputs for 3 fields"),
        ({"u": PAIR, "v": EVEN}, "u v", "parts: 'u': a structure of 2 outputs for 1 fields"),
        ({"u": EVEN, "v": Structure.dense([3, 4, 4, 4, 1])}, "u v", r"numbers of inputs must be equal, got \[2, 3\]"),
        ({"u": EVEN, "v": Structure.dense([2, 4, 1])}, "u v", r"hidden layers must be equal, got \[3, 1\]; build"),
        ({"u": EVEN, "v": Structure(ODD.layers, "o", (1, 0))}, "u v", "centres must be equal, .* sum's is: centre="),
        ({"u": EVEN, "v": Structure(ODD.layers, "odd", (), (2, 2))}, "u v", "their input scales must be equal"),
    ],
)  # fmt: skip
def test_refused(parts: Any, fields: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        direct_sum(parts, fields)


@pytest.mark.parametrize("structure", [EVEN, ODD, DENSE, Structure.dense([3, 2, 1])])
def test_inputs_in_another_order(structure: Structure) -> None:
    order = [1, 2, 0][: structure.n_inputs] if structure.n_inputs == 3 else [1, 0]
    centre, scale = tuple(range(1, structure.n_inputs + 1)), (2.0,) * structure.n_inputs
    framed = Structure(structure.layers, "framed", centre, scale)
    found = framed.with_inputs(order)
    assert found.centre == tuple(float(centre[i]) for i in order)
    assert found.n_parameters == framed.n_parameters
    assert found.is_dense == framed.is_dense
    assert framed.with_inputs(range(structure.n_inputs)) == framed
    x = random_points(20, structure.n_inputs)
    if not structure.is_dense:  # each symbol of one column: the parameters are the same ones
        theta = random_theta(framed, 0)
        assert torch.allclose(mlp(found, theta, x[:, order]), mlp(framed, theta, x), atol=1e-14)


@pytest.mark.parametrize("order", [[0], [0, 0], [1, 2], [0, 1, 2], "10", [1.0, 0], {1, 0}])
def test_orders_that_are_none(order: Any) -> None:
    with pytest.raises(InputError, match="order"):
        EVEN.with_inputs(order)
