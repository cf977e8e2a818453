"""Networks with embeddings and ansatzes: values, derivatives, copies, files and training by the front end."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

import psinn_fast as pf
from psinn_fast.problem.checks.missing_conditions import missing_conditions
from psinn_fast.scaling.met_conditions import met_conditions

BOX = pf.Box(t=(0, 1), x=(-1, 1))
PERIODIC = pf.Embedding.periodic(x=2.0)
START = pf.Ansatz(u=lambda u, t, x: sp.sin(sp.pi * x) + t * u)
SILENT = pf.Options(progress=False)


def advection() -> pf.Problem:
    pde = pf.PDE("t x", "u", lambda u: u.t + 3 * u.x)
    start = pf.Dirichlet(BOX.boundary(20, "t_low"), u=lambda t, x: np.sin(np.pi * x), name="start")
    ends = pf.Periodic(BOX.boundary(9, "x_low"), BOX.boundary(9, "x_high"), "u", name="ends")
    return pf.Problem("advection", pde, BOX, [pf.Residual(BOX.random(200, 0)), start, ends])


def network(dtype: str = "float64") -> pf.PsiMLP:
    chosen = pf.Network(layers=[2, 6, 6, 1], embedding=PERIODIC, ansatz=START, dtype=dtype)
    return pf.build_network(advection(), chosen)


def by_hand(net: pf.PsiMLP, x: Tensor) -> Tensor:
    t, y = x[:, :1], x[:, 1:]
    *hidden, (weight, bias) = net.structure.expand(net.theta)
    h = torch.cat([t, torch.cos(np.pi * y), torch.sin(np.pi * y)], 1)
    for w, b in hidden:
        h = torch.tanh(h @ w.T + b)
    return torch.sin(np.pi * y) + t * (h @ weight.T + bias)


@pytest.mark.numerical
def test_nested_gradients_to_order_four() -> None:
    net, x = network(), torch.rand(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = []
    for function in (net, lambda own: by_hand(net, own)):
        own = x.clone().requires_grad_()
        u = function(own)
        orders = [u]
        for axis in (1, 1, 0, 1):
            u = torch.autograd.grad(u.sum(), own, create_graph=True)[0][:, axis : axis + 1]
            orders.append(u)
        loss = torch.cat(orders, 1).square().sum()
        found.append([*orders, *torch.autograd.grad(loss, [net.theta, own])])
    for own, right in zip(*found, strict=True):
        assert float((own - right).detach().abs().max()) <= 1e-11 * float(right.detach().abs().max())


@pytest.mark.numerical
def test_other_ways_to_the_same_numbers() -> None:
    net, x = network(), torch.rand(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    right = by_hand(net, x).detach()
    torch.testing.assert_close(net(x).detach(), right, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(torch.func.vmap(net)(x).detach(), right, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(net.predict(x.numpy()), right.numpy(), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(net.predict(x[0].numpy()), right[0].numpy(), rtol=1e-13, atol=1e-14)
    hessian = torch.func.jacrev(torch.func.grad(lambda own: net(own[None])[0, 0]))(x[0])
    found = pf.derivatives(net, x, "u_tt u_tx u_xx", coords="t x", fields="u")
    expected = torch.stack([hessian[0, 0], hessian[0, 1], hessian[1, 1]])
    given = torch.stack([found[name][0] for name in ("u_tt", "u_tx", "u_xx")])
    torch.testing.assert_close(given.detach(), expected.detach(), rtol=1e-11, atol=1e-12)
    single = network("float32")
    torch.testing.assert_close(single(x.float()).detach(), by_hand(single, x.float()).detach(), rtol=1e-5, atol=1e-6)


def test_copies_and_files(tmp_path: Path) -> None:
    net, x = network(), BOX.random(20, 3)
    right = net.predict(x)
    pf.save_network(tmp_path / "net.safetensors", net)
    structure = pf.Structure.from_json(net.structure.to_json())
    assert structure == net.structure
    other = pf.PsiMLP(structure, dtype=torch.float64)
    other.load_state_dict(net.state_dict())
    copies = [
        copy.deepcopy(net), pickle.loads(pickle.dumps(net)), pf.load_network(tmp_path / "net.safetensors"), other,
        pf.by_layers(net),
    ]  # fmt: skip
    for own in copies:
        np.testing.assert_array_equal(own.predict(x), right)
    plain = pf.MLP([3, 6, 6, 1], dtype=torch.float64)
    with pytest.raises(pf.InputError, match="another structure"):
        plain.load_state_dict(net.state_dict())
    with pytest.raises(pf.InputError, match="no embedding, ansatz or gates"):
        net.to_sequential()
    with pytest.raises(pf.InputError, match="no embedding, ansatz or gates"):
        pf.PsiMLP.from_sequential(plain.to_sequential(), net.structure)


@pytest.mark.parametrize(
    "optimizer",
    [pf.Adam(5), pf.LBFGS(5), pf.GaussNewton(3), pf.TorchOptimizer(torch.optim.SGD, steps=3, lr=1e-3)],
    ids=lambda own: type(own).__name__,
)
def test_conditions_hold_before_during_and_after_training(optimizer: object) -> None:
    net, t, x = network(), np.linspace(0, 1, 33), np.linspace(-1, 1, 33)
    errors = []

    def check(*_: object) -> None:
        left, right = (net.predict(np.stack([t, 0 * t + end], 1)) for end in (-1.0, 1.0))
        at_start = net.predict(np.stack([0 * x, x], 1))[:, 0] - np.sin(np.pi * x)
        errors.append(max(abs(left - right).max(), abs(at_start).max()))

    check()
    result = pf.fit(advection(), net, optimizer, options=pf.Options(progress=False, callbacks=[check]))
    check()
    assert max(errors) < 1e-13
    assert set(result.losses) == {"residual"}
    assert "exact by construction: start, ends" in result.verdict.notes
    assert not result.verdict.warnings or "condition" not in " ".join(result.verdict.warnings)


def test_conditions_that_a_network_meets_are_not_missed() -> None:
    own = advection()
    bare = pf.Problem("bare", own.pde, BOX, [own.conditions[0]])
    assert missing_conditions(bare)
    structure = network().structure
    assert missing_conditions(bare, met=lambda axis, points: met_conditions(structure, BOX, axis, points)) == ()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (pf.Network(embedding=pf.Embedding.periodic(x=1.5)), "period 1.5 of x does not match the domain, which is 2 w"),
        (pf.Network(embedding=pf.Embedding.periodic(x=3.0)), "one that goes into it .* longer waves are an embedding"),
        (
            pf.Network(embedding=pf.Embedding.fourier(4, of=pf.Embedding.periodic(x=3.0))),
            "period 3 of x does not match",
        ),
        (pf.Network(embedding=pf.Embedding.periodic(y=2.0)), "'y' is none of the coordinates"),
        (pf.Network(embedding=pf.Embedding(lambda y: y)), "its parameter 'y' is none of"),
        (pf.Network(embedding=pf.Embedding(lambda x: (x, sp.log(x)))), "feature 2 has no value inside of the domain"),
        (
            pf.Network(embedding=pf.Embedding(lambda t, x: (t, x, sp.log((t - 0.3) ** 2 + (x - sp.sqrt(2) / 5) ** 2)))),
            "feature 3 has no value inside of the domain or on its boundary, at t = 0.3, x = 0.283",
        ),
        (
            pf.Network(embedding=pf.Embedding(lambda x: (x, sp.Heaviside(x - 0.5) - sp.Heaviside(x - 0.50001)))),
            "feature 2 is the same at all 2048 points",
        ),
        (pf.Network(embedding=pf.Embedding(lambda x: (x, 2))), "feature 2 is the same everywhere"),
        (pf.Network(ansatz=pf.Ansatz(v=lambda v: v)), "'v' is none of the fields"),
        (pf.Network(ansatz=pf.Ansatz(u=lambda u, x: x * u)), "the factor of the network changes its sign inside"),
        (
            pf.Network(ansatz=pf.Ansatz(u=lambda u, t, x: (0.3 - t) * u)),
            "the factor of the network changes its sign inside of the domain, near t = 0.3, x = ",
        ),
        (pf.Network(ansatz=pf.Ansatz(u=lambda u, x: x**2 * u)), "the factor of the network is zero inside"),
        (pf.Network(ansatz=pf.Ansatz(u=lambda u: u**2)), "expected g . d u with g and d of the coordinates"),
        (pf.Network(ansatz=pf.Ansatz(u=lambda x: x)), "does not depend on u, the network"),
        (pf.Network(ansatz=pf.Ansatz(u=lambda u, x: u.x)), "and without derivatives: u.x belongs to equations"),
        (pf.Network("psi", structure=pf.Structure.dense([2, 3, 1]), embedding=PERIODIC), "it gives 3 features"),
    ],
)
def test_refused(chosen: pf.Network, message: str) -> None:
    with pytest.raises(pf.InputError, match=message):
        pf.build_network(advection(), chosen)


def test_an_ansatz_that_breaks_a_condition_is_refused() -> None:
    wrong = pf.Network(layers=[2, 4, 1], ansatz=pf.Ansatz(u=lambda u, t, x: sp.cos(sp.pi * x) + t * u))
    with pytest.raises(pf.InputError, match="it fixes what term 'start' reads, which is off by"):
        pf.solve(advection(), wrong, pf.Adam(1), options=SILENT)


@pytest.mark.parametrize(
    "use",
    [
        lambda problem, net: pf.fit(problem, net, pf.Adam(1), options=SILENT),
        lambda problem, net: pf.solve(problem, net, pf.Adam(1), options=SILENT),
        lambda problem, net: pf.solve(problem, copy.deepcopy(net), pf.Adam(1), options=SILENT),
        lambda problem, net: pf.fit(problem, pickle.loads(pickle.dumps(net)), pf.Adam(1), options=SILENT),
        lambda problem, net: pf.build_network(problem, pf.Structure.from_json(net.structure.to_json())),
        lambda problem, net: pf.solve(problem, pf.Network(embedding=pf.Embedding.periodic(x=3.0)), pf.Adam(1)),
        lambda problem, net: pf.march(
            problem, pf.Network(layers=[2, 4, 1], embedding=pf.Embedding.periodic(x=3.0)), pf.Adam(1), windows=2
        ),
        lambda problem, net: pf.discover(problem, net),
        lambda problem, net: pf.discover(problem, pf.Network(embedding=pf.Embedding.periodic(x=3.0))),
        lambda problem, net: pf.symmetric_structure(
            problem, [pf.Symmetry(pf.SignedPermutation.flip(2, 1), (-1,))], embedding=pf.Embedding.periodic(x=3.0)
        ),
    ],
)
def test_periods_of_another_domain_are_refused_everywhere(use: Callable[[pf.Problem, pf.PsiMLP], object]) -> None:
    """Also where no condition compares the ends, and for networks that were made for a domain which they fit."""
    own, wide = advection(), pf.Box(t=(0, 1), x=(0, 3))
    open_ends = pf.Problem("open", own.pde, BOX, own.conditions[:2])
    other = pf.Problem("wide", own.pde, wide, [pf.Residual(wide.random(20, 0))])
    net = pf.build_network(other, pf.Network(layers=[2, 3, 1], embedding=pf.Embedding.periodic(x=3.0)))
    with pytest.raises(pf.InputError, match="the period 3 of x does not match the domain, which is 2 wide"):
        use(open_ends, net)


def test_periods_are_part_of_files() -> None:
    text = network().structure.to_json()
    assert pf.Structure.from_json(text).embedding == PERIODIC.closed_form(("t", "x"))
    entries = json.loads(text)
    for wrong in ([[2, 2.0]], [[1, 0.0]], [[1]], [[1, "2"]]):
        entries["embedding"]["periods"] = wrong
        with pytest.raises(pf.CheckpointError, match="periods"):
            pf.Structure.from_json(json.dumps(entries))


def test_resuming(tmp_path: Path) -> None:
    chosen = pf.Network(layers=[2, 6, 1], embedding=PERIODIC, ansatz=START)
    whole = pf.solve(advection(), chosen, pf.Adam(6), options=SILENT)
    pf.solve(advection(), chosen, pf.Adam(3), out=tmp_path, options=SILENT)
    again = pf.solve(advection(), chosen, pf.Adam(6), out=tmp_path, options=pf.Options(progress=False, resume=True))
    torch.testing.assert_close(again.net.theta, whole.net.theta, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda t, *x: (t, sum(own**2 for own in x)), "[t, x1**2 + x2**2]"),
        (lambda *x: x, "[t, x1, x2]"),
        (lambda t, *x, x1: (x1, *x, t), "[x1, x2, t]"),
        (lambda x2, scale=2: scale * x2, "[2*x2]"),
    ],
)
def test_functions_may_name_all_that_is_left(function: Callable[..., object], expected: str) -> None:
    assert str(pf.Embedding(function).expressions(("t", "x1", "x2"))) == expected


def test_what_has_no_name_is_refused() -> None:
    wrong: list[tuple[Callable[..., object], tuple[object, ...], str]] = [
        (pf.Embedding.periodic, ("x",), "periods: expected numbers by coordinate"),
        (pf.Embedding.periodic, (2.0,), "periods: expected numbers by coordinate"),
        (lambda of: pf.Embedding.fourier(4, of=of), ("x",), "of: expected a pf.Embedding"),
        (lambda of: pf.Embedding.fourier(4, of=of), (lambda x: x,), "of: expected a pf.Embedding"),
        (pf.Ansatz, (lambda u, x: x * u,), "Ansatz: expected a function for each field by its name"),
    ]
    for function, args, message in wrong:
        with pytest.raises(pf.InputError, match=message):
            function(*args)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (pf.Embedding(lambda t, x: (t, 1 / x)), "feature 2 has no value .* at t = .*, x = "),
        (pf.Embedding(lambda t, x: (t, (x - 0.25) ** -2)), "feature 2 has no value .* at t = .*, x = 0.25"),
        (pf.Embedding(lambda t, x: (x, sp.log(t))), "feature 2 has no value .* at t = 0, x = "),
        (pf.Embedding(lambda t, x: (t, sp.tan(sp.pi * x))), "feature 2 has no value .* x = -?0.5"),
        (pf.Embedding(lambda t, x: (t, sp.sin(x) / x)), "feature 2 has no value"),
        (pf.Embedding(lambda t, x: (t, sp.sqrt(x + 1), 1 / (x + 1.1), x / (t**2 + 1e-4), (x + 2) ** 1.3)), None),
        (pf.Ansatz(u=lambda u, t: u / t), "ansatz: u: d has no value .* at t = 0, x = "),
        (pf.Ansatz(u=lambda u, t, x: 1 / (t - x) + u), "ansatz: u: g has no value"),
        (pf.Ansatz(u=lambda u, x: u / (1 + x**2)), None),
    ],
)  # fmt: skip
def test_ends_are_finite_in_the_domain(chosen: pf.Embedding | pf.Ansatz, message: str | None) -> None:
    """Also where no random point lies: at zeros of what they divide by, and on the boundary."""
    own = pf.Problem("bare", pf.PDE("t x", "u", lambda u: u.t + u.x), BOX, [pf.Residual(BOX.random(9, seed=0))])
    what = {"embedding" if isinstance(chosen, pf.Embedding) else "ansatz": chosen}
    network = pf.Network(layers=[2, 3, 1], **what)  # type: ignore[arg-type]  # one dict holds either
    if message is None:
        net = pf.build_network(own, network)
        assert np.isfinite(net.predict(BOX.random(9, seed=1))).all()
        assert net.predict(np.zeros((0, 2))).shape == (0, 1)
        return
    with pytest.raises(pf.InputError, match=message):
        pf.build_network(own, network)


@pytest.mark.parametrize("function", [lambda x: np.sin(x), lambda x: torch.sin(x), lambda x: math.sin(x)])
def test_functions_of_other_libraries_are_named(function: Callable[..., object]) -> None:
    with pytest.raises(pf.InputError, match="write it with SymPy's functions"):
        pf.Embedding(function).expressions(("t", "x"))
    with pytest.raises(pf.InputError, match="write it with SymPy's functions"):
        pf.Ansatz(u=lambda u, x: function(x) * u).parts(("t", "x"), ("u",))


def test_derivatives_with_parameters() -> None:
    """Laplacians leave them out, as those of a solution do."""
    net, x = pf.MLP([3, 5, 1], dtype=torch.float64), torch.rand(7, 3, dtype=torch.float64)
    asked = "u_lap u_xx u_nunu"
    plain = pf.derivatives(net, x, asked, coords="t x nu", fields="u")
    found = pf.derivatives(net, x, asked, coords="t x nu", fields="u", parameters="nu")
    torch.testing.assert_close(found.u_lap, plain.u_xx)
    torch.testing.assert_close(plain.u_lap, plain.u_xx + plain.u_nunu)
    refused = [("mu", "'mu' is none of the coordinates"), ("x nu", "no coordinates left"), (2, "parameters: expected")]
    for given, message in refused:
        with pytest.raises(pf.InputError, match=message):
            pf.derivatives(net, x, "u_lap", coords="t x nu", fields="u", parameters=given)  # type: ignore[arg-type]  # wrong types are the test


@pytest.mark.parametrize("n", [5, 8])
def test_ends_are_looked_at_in_many_coordinates(n: int) -> None:
    """A grid of each face, whose points must not grow like a power of the coordinates."""
    names = [f"x{number}" for number in range(1, n + 1)]
    box = pf.Box(**dict.fromkeys(names, (0, 1)))
    wall = pf.Dirichlet(box.boundary(2, "x1_low"), u=0.0)
    pde = pf.PDE(" ".join(names), "u", lambda u: u.lap)
    problem = pf.Problem("box", pde, box, [pf.Residual(box.random(20, seed=0)), wall])
    features = pf.Embedding(lambda *x: (*x, sp.sin(x[0])))
    chosen = pf.Network(layers=[n, 3, 1], embedding=features, ansatz=pf.Ansatz(u=lambda u, x1: x1 * u))
    assert pf.solve(problem, chosen, pf.GaussNewton(1), options=SILENT).verdict.notes[-1].endswith("dirichlet")
    for wrong in (lambda u, x1: x1 * u / (1 - x1), lambda u, x1, x2: x1 * u / x2):
        with pytest.raises(pf.InputError, match="d has no value inside of the domain or on its boundary"):
            pf.build_network(problem, pf.Network(layers=[n, 3, 1], ansatz=pf.Ansatz(u=wrong)))
