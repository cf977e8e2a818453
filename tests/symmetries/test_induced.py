"""Maps of the coordinates on the features of embeddings and through ansatzes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import sympy as sp
import torch

import psinn_fast as pf
from psinn_fast.discovery.inputs import StudentInputs
from psinn_fast.symmetries.imposed import broken_symmetries
from psinn_fast.symmetries.induced import action_of
from psinn_fast.symmetries.symmetry_check import structure_symmetries

FLIP_X, FLIP_Y = (pf.SignedPermutation.flip(2, axis) for axis in (0, 1))
SWAP = pf.SignedPermutation((1, 0), (1, 1))
EVEN_Y, ODD_X = pf.Symmetry(FLIP_Y, (1,)), pf.Symmetry(FLIP_X, (-1,))
PERIODIC = pf.Embedding.periodic(y=2.0)
ZERO_AT_ENDS = pf.Ansatz(u=lambda u, x: (1 - x**2) * u)


def problem(box: pf.Box | None = None, symmetries: Sequence[pf.Symmetry] = ()) -> pf.Problem:
    """A Poisson equation with u = sin(pi x) cos(pi y): odd in x, even in y."""
    box = box or pf.Box(x=(-1, 1), y=(-1, 1))
    pde = pf.PDE("x y", "u", lambda u, x, y: u.lap + 2 * sp.pi**2 * sp.sin(sp.pi * x) * sp.cos(sp.pi * y))
    walls = pf.Dirichlet(box.boundary(9, ["x_low", "x_high"]), u=0.0)
    return pf.Problem("waves", pde, box, [pf.Residual(box.grid(9)), walls], symmetries=symmetries)


@pytest.mark.parametrize(
    ("embedding", "ansatz"),
    [
        (PERIODIC, None),
        (None, ZERO_AT_ENDS),
        (PERIODIC, ZERO_AT_ENDS),
        (pf.Embedding.periodic(x=2.0, y=2.0, harmonics=2), pf.Ansatz(u=lambda u, x: x * sp.cos(x) + (2 - x**2) * u)),
        (
            pf.Embedding(lambda x, y: (x**3, sp.cos(sp.pi * y), sp.exp(x), sp.exp(-x))),
            pf.Ansatz(u=lambda u, x: sp.cos(x) * u),
        ),
    ],
)
@pytest.mark.parametrize("box", [pf.Box(x=(-1, 1), y=(-1, 1)), pf.Box(x=(-1, 1), y=(0, 2))])
def test_u_has_the_symmetries_whatever_the_weights(
    embedding: pf.Embedding | None, ansatz: pf.Ansatz | None, box: pf.Box
) -> None:
    own = problem(box)
    structure = pf.symmetric_structure(own, [EVEN_Y, ODD_X], embedding=embedding, ansatz=ansatz)
    net = pf.PsiMLP(structure.with_width(3), seed=0, dtype=torch.float64)
    points = np.random.default_rng(0).uniform(box.low, box.high, (50, 2))
    u = net.predict(points)
    for symmetry in (EVEN_Y, ODD_X):
        image = net.predict(box.centre + symmetry.map(points - box.centre))
        np.testing.assert_allclose(image, symmetry.character[0] * u, rtol=0, atol=1e-13)
    found = {match.symmetry for match in structure_symmetries(structure, "xy", domain=box)}
    assert found == {EVEN_Y, ODD_X, pf.Symmetry(FLIP_X @ FLIP_Y, (-1,))}
    assert broken_symmetries(own, structure) == ()


@pytest.mark.parametrize(
    ("symmetries", "embedding", "ansatz", "message"),
    [
        ([EVEN_Y], pf.Embedding(lambda x, y: (x, sp.exp(y))), None, "embedding: y -> -y makes of feature 2 none"),
        ([ODD_X], pf.Embedding(lambda x, y: (sp.cos(x), y)), None, "x -> -x changes no feature, so a network with"),
        ([ODD_X], None, pf.Ansatz(u=lambda u, x: 1 + u), "offset g is even under x -> -x, where u should have"),
        ([ODD_X], None, pf.Ansatz(u=lambda u, x: (2 + x) * u), "its factor d is neither even nor odd under x -> -x"),
        ([ODD_X], None, pf.Ansatz(u=lambda u, x: x**2 + x + u), "its offset g is neither even nor odd"),
        ([], PERIODIC, None, "symmetries: expected pf.Symmetry"),
        ([pf.Symmetry(FLIP_Y, (1, 1))], PERIODIC, None, "symmetries: expected maps of 2 coordinates with signs of 1"),
    ],
)
def test_refusals(
    symmetries: Sequence[pf.Symmetry], embedding: pf.Embedding | None, ansatz: pf.Ansatz | None, message: str
) -> None:
    with pytest.raises(pf.InputError, match=message):
        pf.symmetric_structure(problem(), symmetries, embedding=embedding, ansatz=ansatz)


def test_waves_are_even_or_odd_about_their_origin() -> None:
    with pytest.raises(pf.InputError, match="waves are even or odd about the domain's centre"):
        pf.symmetric_structure(problem(pf.Box(x=(-1, 1), y=(0.3, 2.3))), [EVEN_Y], embedding=PERIODIC)


def test_exchanges_and_equal_features() -> None:
    box = pf.Box(x=(0, 2), y=(0, 2))
    features = pf.Embedding(lambda x, y: (x, y, x + y, x + y, sp.cos(x - y))).closed_form(("x", "y"))
    found = action_of(SWAP, box, features, None, 1)
    assert found.features == pf.SignedPermutation((1, 0, 2, 3, 4), (1,) * 5)
    found = action_of(pf.SignedPermutation.flip(2, 0, 1), box, features, None, 1)
    assert found.features.signs == (-1, -1, -1, -1, 1)
    np.testing.assert_allclose(found.shift, [2, 2, 4, 4, 0], atol=1e-12)


def test_what_embeddings_and_ansatzes_impose_is_seen() -> None:
    """A dense network of cos x is even in x, where the solution is odd."""
    own, box = problem(), pf.Box(x=(-1, 1), y=(-1, 1))
    even = pf.Network(embedding=pf.Embedding(lambda x, y: (sp.cos(x), y))).dense(own)
    (said,) = broken_symmetries(own, even)
    assert "x -> -x" in said
    with pytest.raises(pf.InputError, match="domain: a structure with an embedding or an ansatz"):
        pf.field_symmetries(even, "x y", "u")
    assert [m.text for m in pf.field_symmetries(even, "x y", "u", domain=box)["u"]] == ["x -> -x"]
    # N is even in x, g is 0: so is u, whatever the solution is.
    even_x = pf.structure_from_group([pf.Symmetry(FLIP_X, (1,))])
    (said,) = broken_symmetries(own, pf.Network("psi", ansatz=ZERO_AT_ENDS).with_ends(even_x, own))
    assert "x -> -x" in said
    # An offset that is neither leaves none.
    lifted = pf.Network("psi", ansatz=pf.Ansatz(u=lambda u, x: sp.exp(x) + u)).with_ends(even_x, own)
    assert structure_symmetries(lifted, "xy", domain=box) == []


@pytest.mark.parametrize("change", [lambda s: s, lambda s: s.with_activation("silu")], ids=["tanh", "silu"])
def test_restricted_and_sums_keep_the_ends(change: Callable[[pf.Structure], pf.Structure]) -> None:
    whole = change(pf.symmetric_structure(problem(), [EVEN_Y, ODD_X], (1, 1, 1), embedding=PERIODIC))
    odd_sine = pf.SignedPermutation.flip(3, 2)
    kept = pf.restricted(whole, odd_sine)
    assert (kept.embedding, kept.activation) == (whole.embedding, whole.activation)
    box = pf.Box(x=(-1, 1), y=(-1, 1))
    assert [m.symmetry for m in structure_symmetries(kept, "xy", domain=box)] == [EVEN_Y]
    both = pf.direct_sum({"u": whole, "v": kept}, "u v")
    assert both.embedding == whole.embedding
    other = pf.symmetric_structure(problem(), [EVEN_Y], (1, 1, 1), embedding=PERIODIC, ansatz=ZERO_AT_ENDS)
    for parts, message in (
        ({"u": whole, "v": other}, "'v' has an ansatz, which belongs to fields of the sum"),
        ({"u": whole, "v": change(pf.structure_from_group([EVEN_Y], (1, 1, 1)))}, "numbers of inputs|embeddings must"),
    ):
        with pytest.raises(pf.InputError, match=message):
            pf.direct_sum(parts, "u v")


def test_discovery_gives_structures_of_features() -> None:
    """From the problem alone: nothing is trained."""
    chosen = pf.Network(embedding=PERIODIC, ansatz=ZERO_AT_ENDS)
    found = pf.discover(problem(), chosen, tests="problem")
    assert {match.symmetry for match in found.group} >= {EVEN_Y, ODD_X}
    assert found.structure.n_features == 3
    assert found.structure.embedding == chosen.dense(problem()).embedding
    assert found.structure.ansatz is not None
    assert "acts on 3 features of 2 coordinates, inside of an ansatz" in found.report()
    # What the ansatz does not allow is left out, and said.
    found = pf.discover(problem(), pf.Network(ansatz=pf.Ansatz(u=lambda u, x: (2 + x) * u)), tests="problem")
    own = {m.symmetry for m in structure_symmetries(found.structure, "xy", domain=problem().domain)}
    assert own == {EVEN_Y}
    assert any("without x -> -x: ansatz: field 1: its factor d" in note for note in found.notes)
    with pytest.raises(pf.InputError, match="takes the embedding and the ansatz alone, not method, width: "):
        pf.discover(problem(), pf.Network(width=3, method="psi"), tests="problem")


def test_what_students_see() -> None:
    """Features about their centre, N in place of u, and back."""
    own = problem(pf.Box(x=(-1, 1), y=(0, 2)))
    chosen = pf.Network(embedding=PERIODIC, ansatz=pf.Ansatz(u=lambda u, x: x + (1 - x**2) * u))
    inputs = StudentInputs(own, chosen.dense(own))
    points = np.array(own.domain.grid(5))
    points = points[inputs.is_imitated(points)]
    assert (abs(points[:, 0]) < 1).all()
    x, y = points.T
    expected = np.stack([x, np.cos(np.pi * y), np.sin(np.pi * y)], 1)
    np.testing.assert_allclose(inputs.seen(points), expected, atol=1e-12)
    np.testing.assert_allclose(inputs.network(points, x[:, None]), 0 * x[:, None], atol=1e-15)
    np.testing.assert_allclose(inputs.fields(points, inputs.network(points, y[:, None])), y[:, None], rtol=1e-14)
    # Of y -> -y only the sine knows; g is odd in x, so u is even in x for no N.
    odd_sine, odd_x = pf.SignedPermutation.flip(3, 2), pf.SignedPermutation.flip(3, 0)
    assert set(inputs.maps) == {odd_sine, odd_x, odd_x @ odd_sine}
    assert inputs.on_coordinates([pf.Symmetry(odd_x, (-1,))]) == [ODD_X]
    assert inputs.on_coordinates([pf.Symmetry(odd_x, (1,))]) == []
    wide = pf.Network(embedding=pf.Embedding.fourier(5)).dense(own)
    with pytest.raises(pf.InputError, match="students see up to 8 features, this one has 10"):
        StudentInputs(own, wide)
