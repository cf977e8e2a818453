"""Structures: validation, the relation matrix R, expansion and its adjoint, text and files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import random_theta
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import structures

from psinn_fast.kernels.errors import CheckpointError, InputError
from psinn_fast.kernels.network.symbols import SymbolLayer, renumber
from psinn_fast.networks.published import burgers_odd, laplace_even, poisson_swap
from psinn_fast.networks.structure import Structure
from psinn_fast.networks.structure_entries import SCHEMA
from psinn_fast.networks.structure_text import named_symbols


@pytest.mark.parametrize(
    ("weight", "bias", "rows", "cols", "message"),
    [
        ([], [], None, None, "weight: a layer needs at least one block row and one block column"),
        ([[]], [1], None, None, "weight: a layer needs at least one block row and one block column"),
        (
            [[1, 2], [1]],
            [1, 1],
            None,
            None,
            r"weight: every row must have 2 symbols \(one per column block\), got \[2, 1\]",
        ),
        ([[1, 2]], [1], [1], [1], r"weight: every row must have 1 symbols \(one per column block\), got \[2\]"),
        ([[1]], [1], [1, 1], [1], "rows: expected 1 block sizes, got 2"),
        ([[1], [2]], [1], None, None, r"bias: expected 2 symbols \(one per block row\), got 1"),
        ([[1]], [1], [0], [1], r"rows: block sizes must be at least 1, got \[0\]"),
        ([[1]], [1], [1], [-2], r"cols: block sizes must be at least 1, got \[-2\]"),
        ([[1, -1]], [1], [1], [1, 2], r"weight: symbol 1 stands for blocks of unequal sizes, \(1, 1\) and \(1, 2\)"),
        ([[1], [2]], [1, 1], [1, 3], [1], r"bias: symbol 1 stands for blocks of unequal sizes, \(1,\) and \(3,\)"),
        ([[1, 3]], [1], None, None, r"weight: symbols must be numbered 1\.\.2 without gaps, got \[1, 3\]"),
        ([[1]], [2], None, None, r"bias: symbols must be numbered 1\.\.1 without gaps, got \[2\]"),
    ],
)
def test_bad_layers(
    weight: list[list[int]], bias: list[int], rows: list[int] | None, cols: list[int] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        SymbolLayer.of(weight, bias, rows, cols)


def test_bad_structures() -> None:
    with pytest.raises(InputError, match="layers: a structure needs at least one layer"):
        Structure(())
    layers = (SymbolLayer.of([[1], [2]], [1, 2]), SymbolLayer.of([[1]], [1], [1], [2]))
    with pytest.raises(InputError, match=r"layers: the blocks that layer 1 gives, \[1, 1\], .* layer 2 takes, \[2\]"):
        Structure(layers)


@given(structure=structures, seed=st.integers(0, 99))
@settings(max_examples=60)
def test_relation_matrix_times_theta_is_the_expanded_weight(structure: Structure, seed: int) -> None:
    theta = random_theta(structure, seed)
    used = np.zeros(structure.n_parameters)
    for layer, (weight, bias) in enumerate(structure.expand(theta)):
        for part, values in (("weight", weight), ("bias", bias)):
            r = structure.relation_matrix(layer, part)
            assert r.shape == (values.numel(), structure.n_parameters)
            np.testing.assert_array_equal(r @ theta.numpy(), values.reshape(-1).numpy())
            # One symbol per entry: at most one non-zero a row, and it is a sign.
            assert np.diff(r.indptr).max() <= 1
            assert set(r.data) <= {-1.0, 1.0}
            used += abs(r).sum(axis=0)
    assert (used > 0).all()
    assert (structure.relation_matrix(-1) != structure.relation_matrix(len(structure.layers) - 1)).nnz == 0


@given(structure=structures, seed=st.integers(0, 99))
@settings(max_examples=40)
def test_expand_and_its_adjoint(structure: Structure, seed: int) -> None:
    """<E theta, G> = <theta, E^T G>, and E^T is what autograd gives."""
    theta = random_theta(structure, seed).requires_grad_()
    expanded = structure.expand(theta)
    generator = torch.Generator().manual_seed(seed)
    given = [
        (torch.randn(w.shape, generator=generator).double(), torch.randn(b.shape, generator=generator).double())
        for w, b in expanded
    ]
    inner = sum((w * v).sum() + (b * c).sum() for (w, b), (v, c) in zip(expanded, given, strict=True))
    gathered = structure.expand_adjoint(given)
    assert inner.item() == pytest.approx((theta @ gathered).item(), rel=1e-12, abs=1e-12)
    if theta.numel():
        torch.testing.assert_close(torch.autograd.grad(inner, theta)[0], gathered)


def by_hand() -> Structure:
    return Structure(
        (
            SymbolLayer.of([[1, 2], [-1, 0]], [1, -1], rows=[2, 2]),
            SymbolLayer.of([[1, -1]], [0], cols=[2, 2]),
        ),
        "by hand",
    )


def test_expansion_by_hand() -> None:
    (w1, b1), (w2, b2) = by_hand().expand(torch.arange(1.0, 9.0))
    assert w1.tolist() == [[1, 3], [2, 4], [-1, 0], [-2, 0]]
    assert b1.tolist() == [5, 6, -5, -6]
    assert w2.tolist() == [[7, 8, -7, -8]]
    assert b2.tolist() == [0]


def test_counts() -> None:
    structure = by_hand()
    assert structure.layer_sizes == (2, 4, 1)
    assert (structure.n_inputs, structure.n_outputs) == (2, 1)
    assert structure.n_parameters == 4 + 2 + 2
    assert structure.n_expanded == 4 * 3 + 5
    first = structure.layers[0]
    assert (first.n_weights, first.n_biases, first.weight_shapes, first.bias_shapes) == (
        4,
        2,
        ((2, 1), (2, 1)),
        ((2,),),
    )
    assert not structure.is_dense


@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=5))
@settings(max_examples=20)
def test_dense(sizes: list[int]) -> None:
    structure = Structure.dense(sizes)
    assert structure.is_dense
    assert structure.layer_sizes == tuple(sizes)
    assert structure.n_parameters == structure.n_expanded
    assert structure.expanded_plan.expansion.is_identity


@pytest.mark.parametrize("sizes", [[], [2], [2, 0, 1], [2, -1], [2, 1.0], [True, 2]])
def test_bad_layer_sizes(sizes: Sequence[int]) -> None:
    with pytest.raises(InputError, match="layers: expected at least two positive integers"):
        Structure.dense(sizes)


@pytest.mark.parametrize(
    "change",
    [{"weight": [[1, 1]]}, {"bias": [-1]}, {"bias": [0]}, {"rows": [2, 2], "weight": [[1], [2]], "bias": [1, 2]}],
)
def test_not_dense(change: dict[str, list[int]]) -> None:
    assert not SymbolLayer.of(**{"weight": [[1]], "bias": [1], **change}).is_dense


def test_with_width() -> None:
    wide = laplace_even().with_width(5)
    assert wide.layer_sizes == (2, 10, 10, 10, 1)
    assert [layer.weight for layer in wide.layers] == [layer.weight for layer in laplace_even().layers]
    assert wide.name == laplace_even().name
    assert wide.with_width(1) == wide
    assert laplace_even().with_width(2).with_width(3) == laplace_even().with_width(6)
    for width in (0, -1, 1.0, True, "2"):
        with pytest.raises(InputError, match="width: expected an integer >= 1, got"):
            laplace_even().with_width(width)


def test_bad_arguments() -> None:
    structure = by_hand()
    with pytest.raises(InputError, match=r"theta: expected shape \(8,\), got \(7,\)"):
        structure.expand(torch.zeros(7))
    for layer in (2, -3):
        with pytest.raises(InputError, match=rf"layer: this structure has layers 0\.\.1, got {layer}"):
            structure.relation_matrix(layer)
    with pytest.raises(InputError, match="part: expected 'weight' or 'bias', got 'w'"):
        structure.relation_matrix(0, "w")
    expanded = structure.expand(torch.zeros(8))
    with pytest.raises(InputError, match=r"gradients: expected one \(dW, db\) per layer \(2\), got 1"):
        structure.expand_adjoint(expanded[:1])
    with pytest.raises(
        InputError, match=r"gradients\[0\]: expected shapes \(4, 2\) and \(4,\), got \(1, 4\) and \(1,\)"
    ):
        structure.expand_adjoint(expanded[::-1])


def test_text_of_the_papers_structures() -> None:
    laplace, burgers, poisson = str(laplace_even()), str(burgers_odd()), str(poisson_swap())
    assert laplace.splitlines() == [
        "laplace (published): 2-2-2-2-1, 13 independent of 21 expanded parameters",
        "  W1 = [[a, b], [a, -b]]   b1 = [c, c]",
        "  W2 = [[A, B], [B, A]]   b2 = [d, d]",
        "  W3 = [[C, C]]   b3 = [e]",
        "  W4 = [[D]]   b4 = [f]",
    ]
    assert "W2 = [[A, B], [B, A], [C, -C]]   b2 = [d, d, 0]" in burgers
    assert "W3 = [[D, -D, E]]   b3 = [0]" in burgers
    assert "W1 = [[a, 0], [0, a]]   b1 = [b, b]" in poisson


def test_letters_after_z() -> None:
    structure = Structure((SymbolLayer.of([[k] for k in range(1, 29)], range(1, 29)),))
    ((weight, bias),) = named_symbols(structure)
    assert [row[0] for row in weight][24:] == ["y", "z", "a1", "b1"]
    assert bias[0] == "c1"
    assert len({row[0] for row in weight} | set(bias)) == 56


@given(symbols=st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=1, max_size=4))
def test_renumber_keeps_the_relations(symbols: list[list[int]]) -> None:
    old, new = np.array(symbols), np.array(renumber(symbols))
    for i in np.ndindex(old.shape):
        for j in np.ndindex(old.shape):
            assert (old[i] == old[j]) == (new[i] == new[j])
            assert (old[i] == -old[j]) == (new[i] == -new[j])
    first = [s for s in new.ravel().tolist() if s]
    appearing = list(dict.fromkeys(map(abs, first)))
    assert appearing == list(range(1, len(appearing) + 1))
    assert all(first[[abs(s) for s in first].index(k)] > 0 for k in appearing)


@given(structure=structures)
@settings(max_examples=30)
def test_json_round_trip(structure: Structure) -> None:
    assert Structure.from_json(structure.to_json()) == structure


def test_file_round_trip(tmp_path: Path) -> None:
    laplace_even().save(tmp_path / "r.json")
    assert Structure.load(tmp_path / "r.json") == laplace_even()


def broken(**changes: object) -> str:
    data = json.loads(by_hand().to_json())
    layer = {key[6:]: value for key, value in changes.items() if key.startswith("layer_")}
    data["layers"][0].update(layer)
    data.update({key: value for key, value in changes.items() if not key.startswith("layer_")})
    return json.dumps({key: value for key, value in data.items() if value is not ...}, default=lambda _: None)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", CheckpointError, "structure: not valid JSON"),
        ("[]", CheckpointError, f"structure: expected schema '{SCHEMA}', got 'list'"),
        ("{}", CheckpointError, f"structure: expected schema '{SCHEMA}', got None"),
        (broken(schema="other/9"), CheckpointError, f"structure: expected schema '{SCHEMA}', got 'other/9'"),
        (broken(layers=[{"weight": [[1]]}]), CheckpointError, r"structure: layers\[0\]: the entry 'bias' is missing"),
        (broken(layers=3), CheckpointError, "structure: layers: expected a list, got 3"),
        (
            broken(layer_bias=["a", "b"]),
            CheckpointError,
            r"structure: layers\[0\].bias\[0\]: expected an integer, got 'a'",
        ),
        (broken(layers=[]), InputError, "layers: a structure needs at least one layer"),
        (broken(layer_rows=[2, 3]), InputError, "symbol 1 stands for blocks of unequal sizes"),
    ],
)
def test_bad_json(text: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        Structure.from_json(text)
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(error, match=rf"structure file .*r\.json: .*{message}"):
        Structure.load(tmp_path / "r.json")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"structure file .*none\.json: cannot be read"):
        Structure.load(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Structure.load(tmp_path / "binary.json")
