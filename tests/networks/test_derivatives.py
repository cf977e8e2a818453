"""`derivatives` against nested autograd, its gradients, its channel sets and its errors."""

from __future__ import annotations

import copy
from itertools import product

import pytest
import torch
from helpers import mlp, nested_autograd, random_points, random_structure, random_theta, relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from psinn_fast import PDE, Adam, Box, Options, Problem, Residual, solve
from psinn_fast.kernels.contract import registry
from psinn_fast.kernels.errors import BackendUnavailable, InputError
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.derivatives import Derivatives, derivatives
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.published import burgers_odd, flow_branches
from psinn_fast.networks.structure import Structure

COORDS = "xyzs"
FIELDS = "uvw"
FLOOR = 1e-2  # random ties may cancel an output to rounding errors
ALL = {d: [i for i in product(range(5), repeat=d) if sum(i) <= 4] for d in (1, 2, 3, 4)}

NETWORKS = {
    "linear": Structure.dense([2, 1]),
    "1 input": Structure.dense([1, 7, 7, 1]),
    "2 inputs": Structure.dense([2, 8, 1, 5, 1]),
    "3 inputs": Structure.dense([3, 5, 4, 2]),
    "4 inputs": Structure.dense([4, 3, 3, 1]),
    "burgers": burgers_odd().with_width(3),
    "flow": flow_branches().with_width(2),
    "random": random_structure(3, 3, 2, 4),
    "six layers": Structure.dense([2, 3, 3, 3, 3, 3, 1]),
}


def network(structure: Structure, seed: int = 0) -> PsiMLP:
    net = PsiMLP(structure, dtype=torch.float64)
    net.theta.data.copy_(random_theta(structure, seed))
    return net


def name_of(field: str, index: tuple[int, ...]) -> str:
    suffix = "".join(c * order for c, order in zip(COORDS, index, strict=False))
    return f"{field}_{suffix}" if suffix else field


def names(structure: Structure) -> dict[str, list[str]]:
    return {"coords": list(COORDS[: structure.n_inputs]), "fields": list(FIELDS[: structure.n_outputs])}


@pytest.mark.parametrize("which", NETWORKS)
def test_every_derivative(which: str) -> None:
    structure = NETWORKS[which]
    net, x = network(structure), random_points(5, structure.n_inputs).requires_grad_()
    u = mlp(structure, net.theta.detach(), x)
    fields = FIELDS[: structure.n_outputs]
    indices = ALL[structure.n_inputs]
    found = derivatives(net, x, [name_of(f, i) for f in fields for i in indices], **names(structure))
    assert len(found) == len(fields) * len(indices)
    lower = {}  # each derivative from the one below it, as autograd would be used by hand
    for k, field in enumerate(fields):
        for index in sorted(indices, key=sum):
            axis = next((i for i, order in enumerate(index) if order), None)
            if axis is None:
                lower[index] = u[:, k]
            else:
                below = tuple(order - (i == axis) for i, order in enumerate(index))
                lower[index] = nested_autograd(lower[below], x, [int(i == axis) for i in range(len(index))])
            assert relative_error(found[name_of(field, index)], lower[index]) < 1e-11, (field, index)


def gradients_agree(structure: Structure, indices: list[tuple[int, ...]], seed: int = 0) -> None:
    """Gradients for theta and for the points of a random combination of derivatives."""
    net, x = network(structure, seed), random_points(4, structure.n_inputs, seed).requires_grad_()
    fields = FIELDS[: structure.n_outputs]
    wanted = [(k, index) for k in range(len(fields)) for index in indices]
    factors = random_points(4, len(wanted), seed + 1).unbind(1)
    found = derivatives(net, x, [name_of(fields[k], i) for k, i in wanted], **names(structure))
    ours = sum((f * found[name_of(fields[k], i)] ** 2).sum() for f, (k, i) in zip(factors, wanted, strict=True))
    u = mlp(structure, net.theta, x)
    theirs = sum((f * nested_autograd(u[:, k], x, i) ** 2).sum() for f, (k, i) in zip(factors, wanted, strict=True))
    for parameter in (net.theta, x):
        if not parameter.numel():
            continue
        (a,) = torch.autograd.grad(ours, parameter, retain_graph=True)
        (b,) = torch.autograd.grad(theirs, parameter, retain_graph=True, allow_unused=True, materialize_grads=True)
        assert relative_error(a, b, FLOOR) < 1e-11


@pytest.mark.parametrize("which", NETWORKS)
def test_gradients(which: str) -> None:
    structure = NETWORKS[which]
    d = structure.n_inputs
    pure = tuple(4 * (i == d - 1) for i in range(d))
    mixed = (2, 2, 0, 0)[:d] if d > 1 else (3,)
    gradients_agree(structure, [(0,) * d, (1,) * d, mixed, pure])


@given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 4),
    outputs=st.integers(1, 2),
    layers=st.integers(1, 4),
    data=st.data(),
)
@settings(max_examples=40)
def test_random_networks_and_channel_sets(seed: int, d: int, outputs: int, layers: int, data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.sampled_from(ALL[d]), min_size=1, max_size=3, unique=True))
    structure = random_structure(seed, d, outputs, layers)
    gradients_agree(structure, indices, seed)
    net, x = network(structure, seed), random_points(3, d, seed).requires_grad_()
    found = derivatives(net, x, [name_of("u", i) for i in indices], **names(structure))
    u = mlp(structure, net.theta.detach(), x)[:, 0]
    for index in indices:
        assert relative_error(found[name_of("u", index)], nested_autograd(u, x, index), FLOOR) < 1e-11


@pytest.mark.parametrize(
    ("structure", "wanted"),
    [
        (Structure.dense([1, 3, 2, 1]), "u u_xxxx"),
        (Structure.dense([2, 3, 2, 1]), "u u_x u_lap"),
        (Structure.dense([3, 2, 2, 2]), "u_xxy v_xyz v_lapxz"),
        (burgers_odd(), "u_t u_xx u_xxxt"),
    ],
)
def test_gradcheck(structure: Structure, wanted: str) -> None:
    net = network(structure)
    coords = "t x" if "t" in wanted else list(COORDS[: structure.n_inputs])
    fields = list(FIELDS[: structure.n_outputs])

    def function(theta: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        twin = PsiMLP(structure, dtype=torch.float64)
        del twin.theta
        object.__setattr__(twin, "theta", theta)
        return tuple(derivatives(twin, x, wanted, coords=coords, fields=fields).values())

    theta, x = net.theta.detach().clone().requires_grad_(), random_points(3, structure.n_inputs).requires_grad_()
    assert torch.autograd.gradcheck(function, (theta, x), eps=1e-6, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("which", ["2 inputs", "3 inputs", "4 inputs", "flow"])
def test_laplacian_is_the_sum(which: str) -> None:
    structure = NETWORKS[which]
    net, x = network(structure), random_points(9, structure.n_inputs)
    coords = COORDS[: structure.n_inputs]
    pure = [f"u_{c}{c}" for c in coords]
    total = derivatives(net, x, ["u_lap", "u_lapyx"], **names(structure))
    parts = derivatives(net, x, pure, **names(structure))
    assert relative_error(total.u_lap, sum(parts.values())) < 1e-13
    assert relative_error(total.u_lapyx, parts.u_xx + parts.u_yy) < 1e-13


@pytest.mark.parametrize("name", ["tau", "time"])
def test_time_of_another_name_is_asked_for(name: str) -> None:
    """Where the Laplacian leaves it out; a solution has its problem's."""
    net, x = network(Structure.dense([2, 4, 1])), random_points(5, 2)
    given = {"coords": f"x {name}", "fields": "u"}
    with pytest.raises(
        InputError, match=rf"'u_lap' leaves time out; is '{name}' that\? Say time='{name}', or .*u_lapx$"
    ):
        derivatives(net, x, "u u_lap", **given)
    found = {time: derivatives(net, x, f"u_lap u_xx u_{name}{name}", **given, time=time) for time in (name, None)}
    assert relative_error(found[name].u_lap, found[name].u_xx) < 1e-13
    assert relative_error(found[None].u_lap, found[None].u_xx + found[None][f"u_{name}{name}"]) < 1e-13
    assert relative_error(derivatives(net, x, "u_lapx", **given).u_lapx, found[name].u_lap) < 1e-13
    for bad in ("t", 0, ["x"]):
        with pytest.raises(InputError, match=r"time: expected one of the coordinates \['x', .*\] or None, got"):
            derivatives(net, x, "u_lap", **given, time=bad)  # type: ignore[arg-type]  # no name at all
    box = Box(**{"x": (-4, 4), name: (-4, 4)})
    for time in (name, None):
        pde = PDE(f"x {name}", "u", lambda u: u.lap, time=time)
        problem = Problem("p", pde, box, [Residual(box.grid(3))])
        solution = solve(problem, net, Adam(0), options=Options(scaling=None))
        assert relative_error(solution.derivatives(x, "u_lap").u_lap, found[time].u_lap) < 1e-13


def test_the_laplacian_leaves_time_out() -> None:
    net, x = network(Structure.dense([3, 5, 4, 1])), random_points(9, 3)
    found = derivatives(net, x, "u_lap u_laptxy u_tt u_xx u_yy", coords="t x y", fields="u")
    assert relative_error(found.u_lap, found.u_xx + found.u_yy) < 1e-13
    assert relative_error(found.u_laptxy, found.u_tt + found.u_xx + found.u_yy) < 1e-13


@pytest.mark.parametrize(
    ("d", "wanted", "n_channels"),
    [
        (1, "u", 1),
        (1, "u_xx", 3),
        (2, "u u_x", 2),
        (2, "u_xx", 3),
        (2, "u_xx u_yy", 5),
        (2, "u_lap", 4),
        (3, "u_lap", 5),
        (3, "u_lapxz u_x", 4),
        (4, "u_lap", 6),
        (2, "u_xy", 4),
        (2, "u_xxyy", 9),
        (4, "u_xyzs", 16),
    ],
)
def test_no_more_channels_than_needed(d: int, wanted: str, n_channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Counting(ReferenceBackend):
        def jets(self, plan, theta, x, channels):
            seen.append(len(channels))
            return super().jets(plan, theta, x, channels)

    monkeypatch.setattr(registry, "BACKENDS", {"counting": Counting()})
    derivatives(MLP([d, 3, 1]), torch.zeros(2, d), wanted, coords=list(COORDS[:d]), fields="u")
    assert seen == [n_channels]


def test_access() -> None:
    net, x = network(NETWORKS["2 inputs"]), random_points(4, 2)
    found = derivatives(net, x, "u, u_x u_yx", coords="x, y", fields=("u",))
    assert isinstance(found, Derivatives)
    assert list(found) == ["u", "u_x", "u_yx"]
    assert found.u_x is found["u_x"]
    assert found.u.shape == (4,)
    assert torch.equal(found.u_yx, derivatives(net, x, "u_xy", coords="x y", fields="u").u_xy)
    assert repr(found) == "Derivatives(u, u_x, u_yx)"
    assert "u_y" not in found
    with pytest.raises(AttributeError, match="'u_y' was not asked for; there are u, u_x, u_yx"):
        _ = found.u_y
    with pytest.raises(KeyError):
        _ = found["u_y"]


def test_copy() -> None:
    found = derivatives(MLP([2, 3, 1]), torch.zeros(3, 2), "u u_x", coords="x y", fields="u")
    assert copy.copy(found).u is found.u


def test_names_of_several_letters() -> None:
    net, x = network(NETWORKS["2 inputs"]), random_points(4, 2)
    plain = derivatives(net, x, "u_xxy", coords="x y", fields="u").u_xxy
    assert torch.equal(derivatives(net, x, "phi_rrrrs", coords="rr s", fields="phi")["phi_rrrrs"], plain)


def test_float32_and_no_points() -> None:
    net = MLP([2, 4, 1], dtype=torch.float32)
    found = derivatives(net, torch.rand(6, 2), "u_xx", coords="x y", fields="u")
    assert found.u_xx.dtype == torch.float32
    empty = derivatives(net, torch.rand(0, 2), "u_xx", coords="x y", fields="u")
    assert empty.u_xx.shape == (0,)
    empty.u_xx.sum().backward()
    assert net.theta.grad is not None
    assert not net.theta.grad.any()


@pytest.mark.trajectory
def test_training_step_lowers_the_loss() -> None:
    net, x = MLP([2, 16, 16, 1], seed=0), random_points(64, 2, dtype=torch.float32)
    adam = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        adam.zero_grad()
        d = derivatives(net, x, "u_x u_y", coords="x y", fields="u")
        loss = ((d.u_x - 1) ** 2 + (d.u_y - x[:, 0]) ** 2).mean()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


GOOD = {"coords": "x y", "fields": "u v", "wanted": "u"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wanted": "w_x"}, r"wanted: 'w_x' is no derivative of the fields \['u', 'v'\] by \['x', 'y'\]"),
        ({"wanted": "u_z"}, "wanted: 'u_z' is no derivative"),
        ({"wanted": "u_lapxx"}, "wanted: 'u_lapxx' is no derivative"),
        ({"wanted": "u_xxxyy"}, "wanted: 'u_xxxyy' has order 5; derivatives go up to order 4"),
        ({"wanted": " "}, "wanted: expected at least one derivative"),
        ({"wanted": []}, "wanted: expected at least one derivative"),
        ({"coords": "x"}, r"coords: the network has 2, got 1 names \['x'\]"),
        ({"fields": "u"}, r"fields: the network has 2, got 1 names \['u'\]"),
        ({"fields": "u u"}, "fields: expected at least one name and no name twice"),
        ({"coords": "x xx"}, "coords: u.xx has two readings, 'xx' and 'x x'"),
        ({"coords": "x 1y"}, "coords: expected names of letters and digits, got '1y'"),
        ({"fields": "u u_x"}, "fields: expected names of letters and digits, got 'u_x'"),
        ({"points": torch.zeros(3, 3)}, r"x: expected shape \(N, 2\), got \(3, 3\)"),
        ({"points": torch.zeros(2)}, r"x: expected shape \(N, 2\), got \(2,\)"),
        ({"points": torch.zeros(3, 2).double()}, "x: expected torch.float32 like theta, got torch.float64"),
        ({"points": torch.zeros(3, 2, device="meta")}, "x: expected device cpu like theta, got meta"),
        ({"backend": "cuda"}, "backend: expected one of"),
        ({"net": nn.Linear(2, 2)}, "net: expected a PsiMLP or MLP, got Linear"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    given = {"net": MLP([2, 3, 2]), "points": torch.zeros(3, 2), **GOOD, **change}
    with pytest.raises((InputError, BackendUnavailable), match=message):
        derivatives(**given)
