"""`predict`: networks by NumPy, whatever the points are given as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from psinn_fast import MLP, InputError, PsiMLP, published_structure
from psinn_fast.networks import evaluation
from psinn_fast.networks.derivatives import derivatives, derivatives_at

NET = MLP([2, 9, 7, 2], seed=1, dtype="float64")
POINTS = np.random.default_rng(0).uniform(-1, 1, (30, 2))


def exact(net: PsiMLP, points: Any) -> np.ndarray:
    """By ordinary layers, in float64."""
    with torch.no_grad():
        return net.to_sequential().double()(torch.tensor(np.array(points, dtype=np.float64, order="C"))).numpy()


@pytest.mark.parametrize(
    "given",
    [
        POINTS,
        POINTS[0],
        POINTS.reshape(5, 6, 2),
        POINTS[::-2],
        np.asfortranarray(POINTS),
        POINTS.astype(">f8"),
        POINTS.tolist(),
        [np.float32(0.5), 1],
        [[0, 1], [2, 3]],
        np.zeros((0, 2)),
        np.zeros((3, 0, 2)),
    ],
)
def test_whatever_holds_numbers_is_a_point(given: Any) -> None:
    found = NET.predict(given)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert found.shape == (*np.shape(given)[:-1], 2)
    # One rounding of tanh's argument a layer.
    np.testing.assert_allclose(found, exact(NET, given), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, np.int8, np.uint64])
def test_numbers_of_any_type_are_computed_in_the_networks_own(dtype: type) -> None:
    given = (4 * POINTS**2).astype(dtype)
    for net, own in ((NET, np.float64), (MLP([2, 9, 1], seed=1, dtype="float32"), np.float32)):
        found = net.predict(given)
        assert found.dtype == own
        np.testing.assert_allclose(found, exact(net, given), rtol=0, atol=1e-14 if own is np.float64 else 1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int32])
def test_a_tensor_gives_a_tensor_without_a_graph(dtype: torch.dtype) -> None:
    given = torch.tensor(4 * POINTS).to(dtype)
    found = NET.predict(given)
    assert isinstance(found, torch.Tensor)
    assert found.dtype == torch.float64
    assert not found.requires_grad
    np.testing.assert_allclose(found.numpy(), exact(NET, given.numpy()), rtol=0, atol=1e-14)


def test_points_of_one_coordinate() -> None:
    net = MLP([1, 5, 1], seed=0)
    assert net.predict([0.5]).shape == (1,)
    assert net.predict([[0.5], [1.0]]).shape == (2, 1)
    with pytest.raises(InputError, match=r"points: expected shape \(\.\.\., 1\), got \(3,\); write points\[:, None\]"):
        net.predict(np.zeros(3))


@pytest.mark.parametrize("rows", [1, 7, 30, 31])
def test_chunks_make_no_difference(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the order of sums: torch's own operations take the smallest."""
    net = PsiMLP(published_structure("laplace"), 2, seed=0, dtype="float64")
    seen: list[int] = []
    net.register_forward_pre_hook(lambda _, x: seen.append(len(x[0])))
    whole = net.predict(POINTS)
    monkeypatch.setattr(evaluation, "_NUMBERS", rows * net.plan.widest)
    np.testing.assert_allclose(net.predict(POINTS), whole, rtol=0, atol=1e-15)
    assert sum(seen[1:]) == seen[0] == 30
    assert max(seen[1:]) == min(rows, 30)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((3, 3)), r"points: expected shape \(\.\.\., 2\), got \(3, 3\)$"),
        (0.5, r"points: expected shape \(\.\.\., 2\), got \(\)"),
        ([[0.0, np.nan]], r"points: 1 of 2 numbers are NaN or infinite, first at index \(0, 1\)"),
        ([[0.0, -np.inf]], "NaN or infinite"),
        (POINTS + 0j, "points: expected real numbers, got complex numbers"),
        (torch.zeros(1, 2, dtype=torch.complex64), "points: expected real numbers"),
        (["a", "b"], "points: expected real numbers, got texts"),
        (None, "points: expected real numbers"),
        ([[0.0, 1.0], [2.0]], "points: expected numbers"),
        (np.zeros((2, 2), dtype=bool), "points: expected real numbers, got bools"),
        (np.ma.masked_array(POINTS), "points: expected numbers, got a masked array"),
        (torch.zeros(1, 2, requires_grad=True), r"points: they require grad.*points\.detach\(\).*net\(points\)"),
    ],
)
def test_what_is_no_point_is_refused(points: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        NET.predict(points)
    with pytest.raises(InputError, match=message):
        derivatives_at(NET, points, "u_x", "x y", "u v", None, ())


def test_numbers_that_the_networks_dtype_cannot_hold_are_refused() -> None:
    net = MLP([2, 9, 1], seed=1, dtype="float32")
    with pytest.raises(InputError, match=r"points: some are too large for torch\.float32"):
        net.predict([[0.0, 0.0], [1e39, 0.0]])


def test_derivatives_by_name() -> None:
    names = "v u_x, u_xy v_lap u_xxxx"
    found = derivatives_at(NET, POINTS.reshape(5, 6, 2), names, "x y", "u v", None, ())
    expected = derivatives(NET, torch.tensor(POINTS), names, coords="x y", fields="u v")
    assert list(found) == list(expected)
    for name, values in found.items():
        assert values.flags.c_contiguous
        # The channels are the same: so is every operation.
        assert np.array_equal(values, expected[name].detach().numpy().reshape(5, 6))
    assert found.v_lap is found["v_lap"]
    as_tensors = derivatives_at(NET, torch.tensor(POINTS), names, "x y", "u v", None, ())
    assert all(torch.equal(as_tensors[name], expected[name].detach()) for name in found)
    assert not as_tensors.v.requires_grad


def test_derivatives_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = derivatives_at(NET, POINTS, "u_xx", "x y", "u v", None, ())
    monkeypatch.setattr(evaluation, "_NUMBERS", 9 * 3 * 4)
    np.testing.assert_allclose(
        derivatives_at(NET, POINTS, "u_xx", "x y", "u v", None, ()).u_xx, whole.u_xx, rtol=0, atol=1e-14
    )
