"""Gradients of gradients of `derivatives` and ``net(x)``: those of plain torch to rounding, never a missing graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from helpers import by_torch, mlp, nested_autograd, random_points, random_structure, random_theta, relative_error, slope
from postponing import wait_from_the_first_call
from torch import Tensor, func
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from psinn_fast.kernels.contract import registry
from psinn_fast.kernels.errors import GradientError, InputError
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.networks.derivatives import derivatives
from psinn_fast.networks.mlp import MLP, PsiMLP
from psinn_fast.networks.operators import channels_text, jets
from psinn_fast.networks.published import laplace_even

# Relative to float64 nested autograd, which loses as much itself.
ROUNDING = 1e-11
# How derivatives are had: `derivatives` on a backend, or nested autograd of ``net(x)``, which goes through the kernels,
# at once or when numbers are needed.
WAITING = "waiting layer"
WAYS = ("cpu", "reference", "layer", WAITING)
# The network itself, where derivatives are asked for.
LAYER = "layer"
# u, u_x, ... by name, of a network at points: what is differentiated on.
Fields = Callable[[PsiMLP, Tensor], Sequence[Tensor]]


@pytest.fixture(autouse=True)
def _waits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(request.node, "callspec") and request.node.callspec.params.get("way") == WAITING:
        wait_from_the_first_call(monkeypatch, 4)


def dense() -> PsiMLP:
    return MLP([2, 16, 16, 1], seed=0, dtype=torch.float64)


def tied() -> PsiMLP:
    return PsiMLP(laplace_even(), 3, seed=1, dtype=torch.float64)


def fast(wanted: str, backend: str) -> Fields:
    return lambda net, x: tuple(derivatives(net, x, wanted, coords="x y", fields="u", backend=backend).values())


def ours(wanted: str, way: str) -> Fields:
    return nested(wanted, PsiMLP.__call__) if way in (LAYER, WAITING) else fast(wanted, way)


def nested(wanted: str, call: Callable[[PsiMLP, Tensor], Tensor] = by_torch) -> Fields:
    """The same by nested autograd of ``call(net, x)``."""

    def fields(net: PsiMLP, x: Tensor) -> list[Tensor]:
        u, found = call(net, x)[:, 0], []
        for name in wanted.split():
            suffix = name[2:]
            indices = [(2, 0), (0, 2)] if suffix == "lap" else [(suffix.count("x"), suffix.count("y"))]
            found.append(sum(nested_autograd(u, x, index) for index in indices))
        return found

    return fields


def gradient_enhanced(fields: Sequence[Tensor], net: PsiMLP, x: Tensor) -> Tensor:
    return sum((f**2).mean() + (slope(f, x) ** 2).mean() for f in fields)


def of_the_weights(fields: Sequence[Tensor], net: PsiMLP, x: Tensor) -> Tensor:
    """A loss plus the square of its own gradient for theta."""
    loss = sum((f**2).mean() for f in fields)
    return loss + slope(loss, net.theta).square().sum()


def weights_then_points(fields: Sequence[Tensor], net: PsiMLP, x: Tensor) -> Tensor:
    return slope(slope(sum((f**2).mean() for f in fields), net.theta).square().sum(), x).square().sum()


def thrice(fields: Sequence[Tensor], net: PsiMLP, x: Tensor) -> Tensor:
    g = slope(fields[0], x)
    return slope(slope(g[:, 0] * x[:, 1], x)[:, 1], x).square().mean() + (g[:, 0] * fields[-1]).mean()


def nonlinear(fields: Sequence[Tensor], net: PsiMLP, x: Tensor) -> Tensor:
    """The incoming gradient requires grad itself."""
    return (slope(torch.sin(fields[0]) * fields[-1], x) ** 2).mean()


LOSSES = (gradient_enhanced, of_the_weights, weights_then_points, thrice, nonlinear)


def gradients(loss: Callable[..., Tensor], fields: Fields, net: PsiMLP, points: Tensor) -> list[Tensor]:
    """The loss and its gradients for weights and points."""
    x = points.clone().requires_grad_()
    value = loss(fields(net, x), net, x)
    found = torch.autograd.grad(value, (net.theta, x), allow_unused=True, materialize_grads=True)
    return [value.detach(), *found]


def agree(found: Sequence[Tensor], right: Sequence[Tensor]) -> None:
    for a, b in zip(found, right, strict=True):
        assert a.shape == b.shape
        assert relative_error(a, b) < ROUNDING


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [dense, tied])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("wanted", ["u", "u_x u_lap", "u_xxyy u"])
def test_gradients_of_gradients(way: str, make: Callable[[], PsiMLP], loss: Callable[..., Tensor], wanted: str) -> None:
    """``u_xxyy`` by the points is a fifth derivative, ``thrice`` a seventh."""
    points = random_points(5, 2)
    agree(gradients(loss, ours(wanted, way), make(), points), gradients(loss, nested(wanted), make(), points))


@pytest.mark.parametrize("way", WAYS)
def test_gradient_enhanced_training(way: str) -> None:
    """Without a graph of g the loss is the same, and its gradient 4 % too short."""
    net, x = dense(), random_points(100, 2).requires_grad_()

    def norm(u: Tensor, g: Tensor) -> float:
        loss = (u**2).mean() + (g**2).mean()
        return float(torch.autograd.grad(loss, net.theta, retain_graph=True)[0].norm())

    u = ours("u", way)(net, x)[0]
    right = by_torch(net, x)[:, 0]
    assert abs(norm(u, slope(u, x)) - norm(right, slope(right, x))) < 1e-12
    assert norm(right, slope(right, x).detach()) < 0.97 * norm(right, slope(right, x))


def test_whole_network_of_any_structure() -> None:
    structure = random_structure(5, 3, 2, 4)
    net = PsiMLP(structure, dtype=torch.float64)
    net.theta.data.copy_(random_theta(structure, 5))

    def right(net: PsiMLP, x: Tensor) -> list[Tensor]:
        u = mlp(structure, net.theta, x)
        return [nested_autograd(u[:, 0], x, (1, 1, 0)), nested_autograd(u[:, 1], x, (0, 0, 2))]

    def asked(net: PsiMLP, x: Tensor) -> list[Tensor]:
        return list(derivatives(net, x, "u_xy v_zz", coords="x y z", fields="u v").values())

    def called(net: PsiMLP, x: Tensor) -> list[Tensor]:
        u = net(x)
        return [nested_autograd(u[:, 0], x, (1, 1, 0)), nested_autograd(u[:, 1], x, (0, 0, 2))]

    points = random_points(4, 3)
    for loss in LOSSES:
        for way in (asked, called):
            agree(gradients(loss, way, net, points), gradients(loss, right, net, points))


@pytest.mark.parametrize("wanted", ["u", "u_x u_lap", LAYER])
def test_gradgradcheck(wanted: str) -> None:
    net, x = tied(), random_points(2, 2).requires_grad_()

    def function(theta: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        return func.functional_call(Module(net, wanted), {"net.theta": theta}, (x,))

    theta = net.theta.detach().clone().requires_grad_()
    assert torch.autograd.gradgradcheck(function, (theta, x), eps=1e-6, atol=1e-6, rtol=1e-6)


class Module(torch.nn.Module):
    """What `functional_call` takes: derivatives, the network itself (`LAYER`), or by torch's own operations (None)."""

    def __init__(self, net: PsiMLP, wanted: str | None) -> None:
        super().__init__()
        self.net, self.wanted = net, wanted

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if self.wanted == LAYER:
            return tuple(self.net(x).unbind(-1))
        return fast(self.wanted, "auto")(self.net, x) if self.wanted else tuple(by_torch(self.net, x).unbind(-1))


TRANSFORMS: dict[str, Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]] = {
    "grad": lambda f, x: func.grad(lambda x: f(x).square().sum())(x),
    "grad of grad": lambda f, x: func.grad(lambda x: func.grad(lambda x: f(x).square().sum())(x).square().sum())(x),
    "hessian": lambda f, x: func.hessian(lambda x: f(x).square().sum())(x),
    "jacrev": lambda f, x: func.jacrev(f)(x),
    "jacfwd": lambda f, x: func.jacfwd(f)(x),
    "jvp": lambda f, x: func.jvp(f, (x,), (torch.ones_like(x),))[1],
    "vjp": lambda f, x: func.vjp(f, x)[1](f(x))[0],
    "linearize": lambda f, x: func.linearize(f, x)[1](torch.ones_like(x)),
    "vmap": lambda f, x: func.vmap(f)(torch.stack([x, 2 * x])),
    "vmap of grad": lambda f, x: func.vmap(func.grad(lambda x: f(x).square().sum()))(torch.stack([x, 2 * x])),
    "jacobian": lambda f, x: torch.autograd.functional.jacobian(f, x),
    "jacobian at once": lambda f, x: torch.autograd.functional.jacobian(f, x, vectorize=True),
    "hessian by autograd": lambda f, x: torch.autograd.functional.hessian(lambda x: f(x).square().sum(), x),
    "hessian at once": lambda f, x: torch.autograd.functional.hessian(lambda x: f(x).square().sum(), x, vectorize=True),
}


# torch's own: decompositions that forward mode loads, constants that `linearize` folds.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")
@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("by", ["points", "weights"])
@pytest.mark.parametrize("wanted", ["u", LAYER])
def test_transforms(name: str, by: str, wanted: str) -> None:
    net, x, transform = tied(), random_points(3, 2), TRANSFORMS[name]

    def of(wanted: str | None) -> Tensor:
        module = Module(net, wanted)
        if by == "points":
            return transform(lambda x: module(x)[0], x)
        return transform(
            lambda theta: func.functional_call(module, {"net.theta": theta}, (x,))[0], net.theta.detach().clone()
        )

    agree([of(wanted)], [of(None)])


def test_batched_gradients() -> None:
    net, x = tied(), random_points(3, 2).requires_grad_()
    basis = torch.eye(3, dtype=torch.float64)
    found, called, right = (
        torch.autograd.grad(f(net, x)[0], (net.theta, x), basis, is_grads_batched=True)
        for f in (fast("u_xy", "auto"), ours("u_xy", LAYER), nested("u_xy"))
    )
    agree(found, right)
    agree(called, right)


def test_points_that_depend_on_the_weights() -> None:
    """Moving points, r-adaptivity: theta enters twice."""
    net, base = tied(), random_points(4, 2)
    results = []
    for fields in (fast("u_x", "auto"), nested("u_x")):
        x = base * net.theta[:2] + net.theta[2] ** 2
        (u_x,) = fields(net, x)
        results.append(torch.autograd.grad(slope((u_x**2).sum(), net.theta).square().sum(), net.theta))
    agree(*results)


def test_weights_that_are_computed() -> None:
    """``net.theta`` need not be a leaf: parametrisations, hyper-networks."""
    net, x = tied(), random_points(4, 2).requires_grad_()
    source = net.theta.detach().clone().requires_grad_()

    def loss(wanted: str | None) -> Tensor:
        (u,) = func.functional_call(Module(net, wanted), {"net.theta": torch.sinh(source)}, (x,))
        return (u**2).mean() + slope(u, x).square().mean() + slope(u, source).square().mean()

    right = torch.autograd.grad(loss(None), (source, x))
    for wanted in ("u", LAYER):
        agree(torch.autograd.grad(loss(wanted), (source, x)), right)


@pytest.mark.parametrize("frozen", ["points", "weights"])
def test_one_of_the_two_frozen(frozen: str) -> None:
    net, x = tied(), random_points(4, 2)
    left = x.requires_grad_() if frozen == "weights" else net.theta
    net.theta.requires_grad_(frozen == "points")
    agree(
        *(
            torch.autograd.grad(slope((f(net, x)[0] ** 2).sum(), left).square().sum(), left)
            for f in (fast("u", "auto"), nested("u"))
        )
    )


def test_twice_through_one_graph() -> None:
    net, x = tied(), random_points(4, 2).requires_grad_()
    found = []
    for fields in (fast("u_x", "auto"), nested("u_x")):
        loss = gradient_enhanced(fields(net, x), net, x)
        found.append([torch.autograd.grad(loss, (net.theta, x), retain_graph=True) for _ in range(2)])
    for ours in found[0]:
        agree(ours, found[1][0])


def test_within_a_checkpoint() -> None:
    net, x = tied(), random_points(4, 2).requires_grad_()

    def loss(x: Tensor) -> Tensor:
        return gradient_enhanced(fast("u", "auto")(net, x), net, x)

    whole = torch.autograd.grad(loss(x), net.theta)
    agree(torch.autograd.grad(checkpoint(loss, x, use_reentrant=False), net.theta), whole)


def test_no_points() -> None:
    net, x = tied(), torch.zeros(0, 2, dtype=torch.float64, requires_grad=True)
    (u,) = fast("u", "auto")(net, x)
    loss = u.sum() + slope(u, x).square().sum()
    assert not torch.autograd.grad(loss, net.theta)[0].any()


def test_first_order_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ordinary training takes no other way, whatever else is possible."""
    seen: list[str] = []

    class Counting(ReferenceBackend):
        def jets(self, plan, theta, x, channels):
            seen.append("jets")
            return super().jets(plan, theta, x, channels)

        def jets_backward(self, plan, theta, x, channels, grad, need_x=False):
            seen.append(f"jets_backward {need_x}")
            return super().jets_backward(plan, theta, x, channels, grad, need_x)

    monkeypatch.setattr(registry, "BACKENDS", {"counting": Counting()})
    net, x = tied(), random_points(4, 2)
    fast("u_x", "auto")(net, x)[0].square().mean().backward()
    fast("u_x", "auto")(net, x.requires_grad_())[0].square().mean().backward()
    assert seen == ["jets", "jets_backward False", "jets", "jets_backward True"]


@pytest.fixture
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


# torch looks at .grad of every tensor while it compiles.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.usefixtures("_nothing_compiled")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("whole", [False, True], ids=["u compiled", "all compiled"])
@pytest.mark.parametrize("frozen", [False, True])
def test_compiled_code_is_differentiated_once(backend: str, whole: bool, frozen: bool) -> None:
    net, points = tied(), random_points(5, 2)
    net.theta.requires_grad_(not frozen)

    def u_of(x: Tensor) -> Tensor:
        return derivatives(net, x, "u", coords="x y", fields="u").u

    compiled = torch.compile(u_of, backend=backend)

    def loss(x: Tensor) -> Tensor:
        u = u_of(x) if whole else compiled(x)
        return (u**2).mean() + (slope(u, x) ** 2).mean()

    x = points.clone().requires_grad_()
    # By our operator, or by torch, which has several words for it.
    with pytest.raises(RuntimeError, match=r"differentiates them once|not currently support double|in-place operation"):
        (torch.compile(loss, backend=backend) if whole else loss)(x).backward()


def test_operator_is_differentiated_once() -> None:
    net, x = tied(), random_points(5, 2).requires_grad_()
    text = channels_text(ChannelSet.closure(2, []))
    for wanted in (x, net.theta):
        u = jets(net.theta, x, net.structure_text, text, "auto")
        gradient = slope(u, wanted)  # allowed: a loss may be differentiated with create_graph and never again
        for other in (x, net.theta):
            with pytest.raises(GradientError, match="ask `derivatives` for the next order"):
                torch.autograd.grad(gradient.sum(), other, retain_graph=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize("frozen", [False, True])
def test_forward_mode(frozen: bool) -> None:
    net, x = tied(), random_points(5, 2)
    net.theta.requires_grad_(not frozen)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        found, right = (forward_ad.unpack_dual(f(net, dual)[0]).tangent for f in (fast("u", "auto"), nested("u")))
        agree([found], [right])
        agree(fast("u", "auto")(net, x), nested("u")(net, x))


@pytest.mark.parametrize("frozen", [False, True])
def test_operator_refuses_forward_mode(frozen: bool) -> None:
    """It would lose the tangents without a word."""
    net, x = tied(), random_points(5, 2)
    net.theta.requires_grad_(not frozen)
    text = channels_text(ChannelSet.closure(2, []))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(GradientError, match=r"compiled code .* forward mode"):
            jets(net.theta, dual, net.structure_text, text, "auto")


def test_errors_under_transforms() -> None:
    net, x = tied(), random_points(4, 2)
    for backend, points, message in (("cuda", x, "backend: expected one of"), ("auto", x[:, :1], "x: expected shape")):
        with pytest.raises(InputError, match=message):
            func.grad(lambda x, backend=backend: fast("u", backend)(net, x)[0].sum())(points)


@pytest.mark.parametrize("orders", [(1, 0), (1, 1), (1, 2), (2, 2)])
def test_nested_derivatives_against_differences(orders: tuple[int, int]) -> None:
    """Of the network itself, nested: gradients for weights and points, and second ones, beyond order 4 too."""
    net, x = tied(), random_points(2, 2).requires_grad_()

    def function(theta: Tensor, x: Tensor) -> Tensor:
        u = func.functional_call(net, {"theta": theta}, (x,))
        return nested_autograd(u[:, 0], x, orders)

    theta = net.theta.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(function, (theta, x), eps=1e-6, atol=1e-6, rtol=1e-6, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, (theta, x), eps=1e-6, atol=1e-6, rtol=1e-6, fast_mode=True)
