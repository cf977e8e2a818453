"""`PsiLinear` against the ordinary layer of the same W and b, by the products of its plan and by torch's operations."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

from psinn_fast import PsiLinear, PsiMLP, SignedPermutation, Structure, SymbolLayer, Symmetry, structure_from_group
from psinn_fast.kernels.errors import InputError
from psinn_fast.networks import factored
from psinn_fast.networks.factored import FREE, FactoredLayer

of = SymbolLayer.of
LAYERS = {
    "one symmetry": of([[1, 2], [2, 1]], [1, 1], [6, 6], [8, 8]),
    "signs": of([[1, 2], [-2, -1]], [1, -1], [6, 6], [8, 8]),
    "two symmetries": of([[1, 2, 3, 4], [2, 1, 4, 3], [3, 4, 1, 2], [4, 3, 2, 1]], [1, 1, 1, 1], [8] * 4, [7] * 4),
    "apart": of([[1, 0], [0, 1]], [1, 0], [3, 3], [4, 4]),
    "triangular": of([[1, 0], [2, 3]], [0, 0], [7, 7], [6, 6]),
    "shared inputs": of([[1, 1], [2, -2]], [0, 1], [7, 8], [6, 6]),
    "shared outputs": of([[1], [-1]], [1, 2], [3, 3], [4]),
    "cyclic": of([[1, 2, 3], [3, 1, 2], [2, 3, 1]], [1, 1, 1], [2] * 3, [2] * 3),
    "zero row": of([[1, 2], [0, 0]], [1, 2], [2, 3], [1, 2]),
    "zero": of([[0, 0]], [0], [3], [1, 2]),
    "dense": of([[1]], [1], [3], [4]),
}
WIDE = of([[1, 2], [2, 1]], [1, 1], [64, 64], [64, 64])


@pytest.fixture(params=["products", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Sums and calls cost nothing, or no device is measured."""
    measured = {"cpu": FREE} if request.param == "products" else {}
    monkeypatch.setattr(factored, "MEASURED", measured)
    return str(request.param)


def points(layer: PsiLinear, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(*shape, layer.in_features, dtype=torch.float64, generator=generator)
    return x.to(layer.weight.dtype).requires_grad_()


def by_products(y: Tensor) -> bool:
    """Whether the node is ours."""
    nodes = [y.grad_fn]
    return any("ByProducts" in node.name() for node in _all(nodes))


def _all(nodes: list) -> list:
    for node in nodes:
        nodes += [after for after, _ in node.next_functions if after is not None and after not in nodes]
    return nodes


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.usefixtures("way")
def test_it_is_the_ordinary_layer(name: str) -> None:
    layer = PsiLinear(LAYERS[name], seed=0, dtype="float64")
    dense = layer.to_linear()
    for shape in ((5,), (2, 3), (), (0,)):
        x = points(layer, *shape)
        y, expected = layer(x), dense(x)
        # Sums of at most 28 products of numbers around 1 in another order.
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-13)
        cotangent = torch.randn_like(y)
        own = torch.autograd.grad(y, [x, *layer.parameters()], cotangent, allow_unused=True)
        found, exact = dict(zip(["x", "weight", "bias"], own, strict=False)), {}
        exact["x"], weight, *bias = torch.autograd.grad(expected, [x, *dense.parameters()], cotangent)
        relations = layer.structure.relation_matrix(0), layer.structure.relation_matrix(0, "bias")
        theta = relations[0].T @ weight.flatten().numpy() + (relations[1].T @ bias[0].numpy() if bias else 0)
        torch.testing.assert_close(found["x"], exact["x"], rtol=0, atol=1e-13)
        parts = [part for part in (found["weight"], found.get("bias")) if part is not None]
        torch.testing.assert_close(torch.cat(parts), torch.from_numpy(theta), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["one symmetry", "signs", "shared inputs", "triangular"])
def test_gradients_of_gradients(name: str, way: str) -> None:
    layer = PsiLinear(LAYERS[name], seed=0, dtype="float64")
    x = points(layer, 3)
    assert by_products(layer(x)) == (way == "products")
    parameters = dict(layer.named_parameters())

    def called(x: Tensor, *values: Tensor) -> Tensor:
        for name, value in zip(parameters, values, strict=True):
            layer._parameters[name] = value  # type: ignore[assignment]  # as functional_call does, outside transforms
        return layer(x)

    inputs = (x, *(parameter.detach().clone().requires_grad_() for parameter in parameters.values()))
    assert torch.autograd.gradcheck(called, inputs)
    assert torch.autograd.gradgradcheck(called, inputs, fast_mode=True)
    assert torch.autograd.gradcheck(called, inputs, check_batched_grad=True, fast_mode=True)


@pytest.mark.usefixtures("way")
def test_only_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = PsiLinear(LAYERS["one symmetry"], seed=0)
    asked = []
    adjoint = FactoredLayer.adjoint

    def noted(self: FactoredLayer, *arguments: object) -> object:
        asked.append(arguments[-2:])
        return adjoint(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(FactoredLayer, "adjoint", noted)
    x = points(layer, 5)
    for inputs, expected in (([x], (False, True)), ([layer.weight], (True, False)), ([x, layer.weight], (True, True))):
        y = layer(x)
        torch.autograd.grad(y.sum(), inputs)
        assert not asked or asked[-1] == expected
    layer.requires_grad_(False)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert not layer(x.detach()).requires_grad
    with torch.no_grad():
        assert not layer(x).requires_grad


@pytest.mark.usefixtures("way")
def test_a_change_in_place_is_seen() -> None:
    layer = PsiLinear(LAYERS["one symmetry"], seed=0)
    x = points(layer, 5).detach()
    y = layer(x)
    with torch.no_grad():
        layer.weight.add_(1)
        x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.usefixtures("way")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_transforms_and_compilers() -> None:
    layer = PsiLinear(LAYERS["signs"], seed=0, dtype="float64")
    dense, x = layer.to_linear(), points(layer, 5).detach()
    called = torch.func.functional_call
    state = dict(layer.named_parameters())
    weight, _ = layer.expanded()
    jacobian = torch.func.vmap(torch.func.jacrev(lambda p: called(layer, state, (p,))))(x)
    torch.testing.assert_close(jacobian, weight.expand(5, -1, -1), rtol=0, atol=1e-13)
    _, tangent = torch.func.jvp(layer, (x,), (x,))
    torch.testing.assert_close(tangent, x @ weight.T, rtol=0, atol=1e-13)
    stacked, _ = torch.func.stack_module_state([layer, PsiLinear(LAYERS["signs"], seed=1, dtype="float64")])
    ensemble = torch.func.vmap(lambda p: called(layer, p, (x,)))(stacked)
    torch.testing.assert_close(ensemble[0], dense(x), rtol=0, atol=1e-13)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), dense(x), rtol=0, atol=1e-13)
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x), dense(x), rtol=0, atol=1e-13)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.float()(x.float()).dtype == torch.bfloat16


def test_nothing_is_kept_of_fake_tensors() -> None:
    """Of a first call inside a FakeTensorMode, which has no numbers."""
    even = structure_from_group([Symmetry(SignedPermutation.flip(1, 0), (1,))])
    for make, d in ((lambda: PsiLinear(LAYERS["signs"], seed=0), 16), (lambda: PsiMLP(even, seed=0), 1)):
        module, x = make(), torch.ones(3, d)
        with FakeTensorMode(allow_non_fake_inputs=True):
            assert type(module(torch.ones(3, d))) is FakeTensor
        assert type(module(x)) is Tensor
        torch.testing.assert_close(module(x), make()(x), rtol=0, atol=0)


@pytest.mark.usefixtures("way")
def test_checkpoints() -> None:
    layer = PsiLinear(LAYERS["one symmetry"], seed=0, dtype="float64")
    x = points(layer, 5)
    y = torch.tanh(layer(x))
    expected = torch.autograd.grad(y.sum(), [x, layer.weight])
    again = checkpoint(lambda x: torch.tanh(layer(x)), x, use_reentrant=False)
    for found, exact in zip(torch.autograd.grad(again.sum(), [x, layer.weight]), expected, strict=True):
        torch.testing.assert_close(found, exact, rtol=0, atol=0)


@pytest.mark.usefixtures("way")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # shapes are checked as Python numbers
def test_traces_of_what_was_never_called() -> None:
    even = structure_from_group([Symmetry(SignedPermutation.flip(1, 0), (1,))])
    for make, d in (
        (lambda: PsiLinear(LAYERS["signs"], seed=0, dtype="float64"), 16),
        (lambda: PsiMLP(even, seed=0, dtype="float64"), 1),
    ):
        x = torch.randn(5, d, dtype=torch.float64)
        traced, more = torch.jit.trace(make(), (x,)), torch.cat([x, 2 * x])
        torch.testing.assert_close(traced(more), make()(more), rtol=0, atol=1e-13)


def test_other_points_and_weights_are_refused() -> None:
    layer = PsiLinear(LAYERS["signs"], seed=0)
    for x, message in (
        (torch.zeros(3, 16, dtype=torch.float64), r"x: expected torch.float32 .*x.to\(layer.weight\)"),
        (torch.zeros(3, 15), r"x: expected shape \(\.\.\., 16\), got \(3, 15\)"),
        (torch.zeros(3, 16, device="meta"), "x: expected device cpu"),
        ([[0.0] * 16], r"x: expected a torch\.Tensor, got list"),
    ):
        with pytest.raises(InputError, match=message):
            layer(x)
    deep = structure_from_group([Symmetry(SignedPermutation.flip(1, 0), (1,))])
    for wrong, message in (
        (deep, r"has 3 layers; give one, structure\.layers\[k\]"),
        (Structure((LAYERS["dense"],), centre=(1.0, 0.0, 0.0, 0.0)), "structure.plain"),
        (nn.Linear(2, 2), "expected a SymbolLayer or a Structure of one layer, got Linear"),
    ):
        with pytest.raises(InputError, match=f"^layer: .*{message}"):
            PsiLinear(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="dtype"):
        PsiLinear(LAYERS["signs"], dtype="float16")


@pytest.mark.parametrize("name", LAYERS)
def test_to_and_from_an_ordinary_layer(name: str) -> None:
    layer = PsiLinear(LAYERS[name], seed=0, dtype="float64")
    again = PsiLinear.from_linear(layer.to_linear(), LAYERS[name])
    for own, found in zip(layer.parameters(), again.parameters(), strict=True):
        # Means of up to four equal numbers.
        torch.testing.assert_close(own, found, rtol=1e-15, atol=0)
    assert not PsiLinear.from_linear(layer.to_linear().requires_grad_(False), LAYERS[name]).weight.requires_grad


def test_what_breaks_the_relations_is_refused() -> None:
    relations = LAYERS["one symmetry"]
    broken = PsiLinear(relations, seed=0).to_linear()
    with torch.no_grad():
        broken.weight[0, 0] += 0.5
    with pytest.raises(InputError, match=r"^linear: .*off by up to 0\.25"):
        PsiLinear.from_linear(broken, relations)
    hooked, parted, normed = (PsiLinear(relations, seed=0).to_linear() for _ in range(3))
    hooked.register_forward_hook(lambda *_: None)
    parted.bias.requires_grad_(False)
    parametrize.register_parametrization(normed, "weight", nn.Identity())
    for linear, message in (
        (hooked, "it has hooks"),
        (parted, "must both train"),
        (normed, "parametrizations"),
        (nn.Linear(16, 5), "16 inputs and 5 outputs, the relations have 16 and 12"),
        (nn.Tanh(), r"expected nn\.Linear, got Tanh"),
    ):
        with pytest.raises(InputError, match=f"^linear: .*{message}"):
            PsiLinear.from_linear(linear, relations)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="off by"):
        PsiLinear.from_linear(nn.Linear(3, 3), LAYERS["zero"])
    changed = PsiLinear(relations)
    changed.register_forward_hook(lambda *_: None)
    with pytest.raises(InputError, match="layer: it has hooks"):
        changed.to_linear()


def test_states() -> None:
    a, b = PsiLinear(LAYERS["one symmetry"], seed=0), PsiLinear(LAYERS["one symmetry"], seed=1)
    assert [name for name, _ in a.named_parameters()] == ["weight", "bias"]
    x = points(a, 5)
    b.load_state_dict(a.state_dict())
    for copied in (b, copy.deepcopy(a), pickle.loads(pickle.dumps(a)), a.double().float()):
        torch.testing.assert_close(copied(x), a(x), rtol=0, atol=0)
    other = PsiLinear(LAYERS["signs"], seed=0)
    assert other.weight.shape == a.weight.shape
    for target, source in ((other, a), (nn.Sequential(other), nn.Sequential(a))):
        with pytest.raises(InputError, match=r"state_dict: its (0\.)?weight is of other relations"):
            target.load_state_dict(source.state_dict())


def test_it_begins_like_an_ordinary_layer() -> None:
    torch.manual_seed(0)
    layer = PsiLinear(of([[1, 2, 0], [2, 1, 0]], [1, 1], [50, 50], [50, 50, 100]))
    weight, bias = layer.expanded()
    assert bias is not None
    # fan_in counts what is not zero: 100 of 200.
    for drawn in (weight[:, :100], bias):
        assert 0.09 < drawn.abs().max() <= 0.1
    before = layer.weight.detach().clone()
    layer.reset_parameters(3)
    assert not torch.equal(layer.weight, before)
    assert torch.equal(layer.weight, PsiLinear(layer.structure, seed=3).weight)


def test_products_are_taken_where_they_pay() -> None:
    wide, narrow = PsiLinear(WIDE, seed=0), PsiLinear(LAYERS["one symmetry"], seed=0)
    assert by_products(wide(points(wide, 5000)))
    assert by_products(wide(points(wide, 50, 100)))
    assert not by_products(wide(points(wide, 50)))
    assert not by_products(narrow(points(narrow, 5000)))
    assert not FactoredLayer(wide.structure.plan.layers[0]).pays(10**6, "cuda")  # not measured
    torch.testing.assert_close(wide(points(wide, 5000)), wide.to_linear()(points(wide, 5000)), rtol=0, atol=1e-5)


@settings(max_examples=50)
@given(st.data())
def test_any_relations(data: st.DataObject) -> None:
    """Any symbols, by products."""
    n_rows, n_cols = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    symbols = st.integers(-3, 3)
    raw = data.draw(st.lists(st.lists(symbols, min_size=n_cols, max_size=n_cols), min_size=n_rows, max_size=n_rows))
    numbers = {k: n for n, k in enumerate(sorted({abs(s) for row in raw for s in row} - {0}), start=1)}
    weight = [[numbers.get(abs(s), 0) * (1 if s > 0 else -1) for s in row] for row in raw]
    size = data.draw(st.integers(1, 3))
    structure = Structure((of(weight, [1] * n_rows, [size] * n_rows, [size] * n_cols),))
    theta = torch.randn(structure.n_parameters, dtype=torch.float64, requires_grad=True)
    x = torch.randn(4, structure.n_inputs, dtype=torch.float64, requires_grad=True)
    ((matrix, bias),) = structure.expand(theta)
    expected = nn.functional.linear(x, matrix, bias)
    layer = FactoredLayer(structure.plan.layers[0])
    w = structure.plan.expand(theta.detach())
    torch.testing.assert_close(layer.forward(w, x.detach()), expected.detach(), rtol=0, atol=1e-13)
    y_bar = torch.randn_like(expected)
    w_bar, x_bar = layer.adjoint(w, x.detach(), y_bar, True, True)
    assert w_bar is not None
    theta_bar = structure.plan.pull_back(w, w_bar)
    for found, exact in zip((theta_bar, x_bar), torch.autograd.grad(expected, [theta, x], y_bar), strict=True):
        torch.testing.assert_close(found, exact, rtol=0, atol=1e-12)
