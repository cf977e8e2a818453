"""`accelerate` and `restore`: what is fused, what is left alone, and a whole training loop before and after."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from psinn_fast import MLP, PsiMLP, accelerate, restore
from psinn_fast.kernels.errors import InputError

pytestmark = pytest.mark.usefixtures("_float64")


@pytest.fixture
def _float64() -> object:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def layers(*sizes: int, bias: bool = True) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        modules += [nn.Linear(n_in, n_out, bias), nn.Tanh()]
    return modules[:-1]


def dense(*sizes: int, bias: bool = True) -> nn.Sequential:
    return nn.Sequential(*layers(*sizes, bias=bias))


class Pinn(nn.Module):
    """A user's model: u = x0 (1 - x0) net(x), and a coefficient that is found."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(*layers(2, 16, 16, 1))
        self.coefficient = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] * (1 - x[:, :1]) * self.net(x)

    def loss(self, x: Tensor) -> Tensor:
        u = self(x)
        (g,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (g_x,) = torch.autograd.grad(g[:, 0].sum(), x, create_graph=True)
        (g_y,) = torch.autograd.grad(g[:, 1].sum(), x, create_graph=True)
        return (g_x[:, 0] + self.coefficient * g_y[:, 1] - u[:, 0] + 1).square().mean()


def trained(model: Pinn, steps: int = 20) -> list[float]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x = torch.rand(64, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.loss(x)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_a_whole_training_has_the_same_losses() -> None:
    torch.manual_seed(0)
    model = Pinn()
    plain = copy.deepcopy(model)
    report = accelerate(model)
    assert list(report.fused) == ["net.fused_0"]
    losses = trained(plain)
    # Rounding of another order, carried along by 20 steps.
    torch.testing.assert_close(trained(model), losses, rtol=1e-10, atol=0)
    assert losses[-1] < 0.9 * losses[0]
    report.undo()
    for (name, own), (other, expected) in zip(model.named_parameters(), plain.named_parameters(), strict=True):
        assert name == other
        torch.testing.assert_close(own, expected, rtol=1e-8, atol=1e-10)


def test_weights_are_kept_and_brought_back_exactly() -> None:
    model = nn.Sequential(OrderedDict(body=dense(3, 8, 8), act=nn.Tanh(), head=nn.Linear(8, 2), out=nn.Softplus()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = list(model.parameters())
    x = torch.randn(50, 3)
    y = model(x)
    report = accelerate(model)
    assert str(report) == "fused_body_0  fused, 3-8-8-2"
    net = report.fused["fused_body_0"]
    assert isinstance(net, MLP)
    assert torch.equal(net.theta, torch.cat([parameter.flatten() for parameter in parameters]))
    assert list(model.state_dict()) == ["fused_body_0.theta", "fused_body_0._extra_state"]
    torch.testing.assert_close(model(x), y, rtol=0, atol=1e-14)
    assert report.undo() == ("fused_body_0",)
    assert all(own is kept for own, kept in zip(model.parameters(), parameters, strict=True))
    assert type(model) is nn.Sequential
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_weights_of_now_come_back() -> None:
    model = nn.Sequential(nn.Identity(), *layers(2, 8, 1, bias=False))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match=r"accelerate: an optimiser \(SGD\) made before .*model\.parameters\(\)"):
        accelerate(model)
    del optimizer
    x = torch.randn(50, 2, requires_grad=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(x).square().sum().backward()
    optimizer.step()
    model.float()
    x = x.detach().float()
    y = model(x)
    with pytest.warns(UserWarning, match="restore: an optimiser"):
        assert restore(model) == ("fused_1",)
    assert [type(module).__name__ for module in model] == ["Identity", "Linear", "Tanh", "Linear"]
    assert all(p.dtype == torch.float32 and p.grad is None and p.requires_grad for p in model.parameters())
    torch.testing.assert_close(model(x), y, rtol=0, atol=1e-6)
    assert restore(model) == ()


def test_optimisers_that_are_gone_are_no_reason_to_warn() -> None:
    model = dense(2, 8, 1)
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.itself = optimizer  # type: ignore[attr-defined]  # a cycle, which waits for the collector
    del optimizer
    assert accelerate(model).fused


def test_modes_and_frozen_layers_are_kept() -> None:
    model = nn.ModuleDict({"frozen": dense(2, 8, 1).requires_grad_(False), "mixed": dense(2, 8, 1)}).eval()
    model["mixed"].append(nn.Dropout(0.5).train())
    accelerate(model)
    assert not any(module.training for name, module in model.named_modules() if name != "mixed.3")
    assert model.get_submodule("mixed.3").training
    assert not any(parameter.requires_grad for parameter in model["frozen"].parameters())
    assert all(parameter.requires_grad for parameter in model["mixed"].parameters())
    model["frozen"].train()
    model["mixed"].requires_grad_(False)
    restore(model)
    assert all(module.training for module in model["frozen"].modules())
    assert model["mixed"][3].training
    assert not model["mixed"][0].training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_fused_list_is_no_list() -> None:
    model = dense(2, 8, 1)
    accelerate(model)
    for use in (
        lambda: model[0],
        lambda: model[:2],
        lambda: len(model),
        lambda: list(model),
        lambda: model.append(nn.Tanh()),
        lambda: model + model,
        lambda: model.get_submodule("0"),
    ):
        with pytest.raises((InputError, AttributeError), match=r"pf\.restore\(model\)|no attribute"):
            use()
    assert bool(model)
    assert accelerate(model).fused == {}


def test_hooks_of_the_whole_stay() -> None:
    model, seen = dense(2, 8, 1), []
    model.register_forward_hook(lambda module, inputs, y: seen.append(y))
    accelerate(model)
    y = model(torch.zeros(40, 2))
    assert seen[0] is y


def test_copies_compilers_and_transforms() -> None:
    model = nn.Sequential(nn.Softsign(), *layers(2, 8, 1)).eval()
    x = torch.randn(50, 2)
    y = model(x)
    accelerate(model)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(copied(x), y, rtol=0, atol=1e-14)
        assert restore(copied) == ("fused_1",)
        torch.testing.assert_close(copied(x), y, rtol=0, atol=1e-14)
    for called in (
        torch.compile(model, backend="eager", fullgraph=True),
        torch.export.export(model, (x,)).module(),
        lambda x: torch.func.functional_call(model, dict(model.named_parameters()), (x,)),
    ):
        torch.testing.assert_close(called(x), y, rtol=0, atol=1e-14)
    torch.compiler.reset()
    jacobian = torch.func.vmap(torch.func.jacrev(model))(x)
    restore(model)
    torch.testing.assert_close(jacobian, torch.func.vmap(torch.func.jacrev(model))(x), rtol=0, atol=1e-13)


class Doubled(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class Own(nn.Sequential):
    pass


def _with(change: Callable[[nn.Sequential], object]) -> nn.Sequential:
    model = dense(2, 8, 8, 1)
    change(model)
    return model


def left_alone() -> dict[str, tuple[nn.Module, str, str]]:
    """A model, and the layer of which the report says why it is as it was."""
    by_code = nn.Module()
    by_code.layers = nn.ModuleList([nn.Linear(2, 8), nn.Linear(8, 1)])
    tied = nn.ModuleDict({"a": dense(2, 8, 1), "b": nn.Linear(2, 8)})
    tied["b"].weight = tied["a"][0].weight
    alias = nn.ModuleDict({"a": dense(2, 8, 1)})
    alias["first"] = alias["a"][0]
    square = nn.Linear(3, 3)

    def share(model: nn.Sequential) -> None:
        model[4].weight = nn.Parameter(model[2].weight.detach()[:1])

    models = {
        "relu": (nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)), "0", "beside ReLU; a run is"),
        "dropout": (
            nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(), nn.Linear(8, 1)), "3", "beside Dropout"
        ),
        "norm": (nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 1)), "0", "beside LayerNorm"),
        "one layer": (nn.Sequential(nn.Linear(2, 8), nn.Tanh()), "0", "beside Tanh"),
        "alone": (nn.Linear(2, 8), "", "the code of a forward"),
        "code": (by_code, "layers.0", "the code of a forward"),
        "own class": (Own(*layers(2, 8, 1)), "0", "it is in a Own"),
        "inputs": (dense(9, 8, 1), "0", "it has 9 inputs, the kernels take 1 to 8"),
        "hook": (_with(lambda m: m[2].register_forward_hook(lambda *_: None)), "0", "2: it has hooks"),
        "hook of tanh": (_with(lambda m: m[1].register_forward_hook(lambda *_: None)), "0", "1: it has hooks"),
        "gradient's hook": (_with(lambda m: m[2].weight.register_hook(lambda g: g)), "0", "2.weight: it has hooks"),
        "post hook": (
            _with(lambda m: m[2].weight.register_post_accumulate_grad_hook(lambda p: None)), "0", "2.weight has hooks"
        ),
        "parametrized": (_with(lambda m: parametrizations.weight_norm(m[2])), "0", ""),
        "partly frozen": (_with(lambda m: m[0].requires_grad_(False)), "0", "2.weight: its requires_grad is True"),
        "dtypes": (_with(lambda m: m[4].float()), "0", "4.weight: its dtype"),
        "half": (dense(2, 8, 1).half(), "0", "float16"),
        "subclass": (nn.Sequential(Doubled(2, 8), nn.Tanh(), nn.Linear(8, 1)), "0", "0: its forward is not that of"),
        "tied": (tied, "a.0", "0.weight is used by another module too"),
        "shared memory": (_with(share), "0", "2.weight is used by another module too"),
        "twice": (nn.Sequential(square, nn.Tanh(), square), "0", "0 has another place in the model too"),
        "alias": (alias, "a.0", "0 has another place in the model too"),
        "lazy": (nn.Sequential(nn.LazyLinear(8), nn.Tanh(), nn.LazyLinear(1)), "0", "call the model once before"),
        "meta": (dense(2, 8, 1).to("meta"), "0", "no numbers of its own yet"),
        "wide": (dense(2, 100_000, 1), "0", "there are no kernels for 2-100000-1"),
        "NaN": (_with(lambda m: m[2].weight.data.fill_(torch.nan)), "0", "its numbers are not finite"),
    }  # fmt: skip
    return {name: (model, where, why) for name, (model, where, why) in models.items()}


@pytest.mark.parametrize("name", left_alone())
def test_what_is_left_alone_is_said(name: str) -> None:
    model, where, why = left_alone()[name]
    before = {key: id(module) for key, module in model.named_modules()}
    report = accelerate(model)
    assert report.fused == {}
    assert why in report.left_alone[where]
    assert f"left alone: {report.left_alone[where]}" in str(report)
    assert {key: id(module) for key, module in model.named_modules()} == before
    assert report.undo() == ()


def test_runs_beside_what_is_left_alone() -> None:
    """A Sequential that several modules have is a whole of its own; so is one with hooks."""
    shared, act = dense(2, 4, 2), nn.Tanh()
    hooked = dense(2, 4, 2)
    hooked.register_forward_hook(lambda module, inputs, y: 2 * y)
    model = nn.ModuleDict({
        "a": nn.Sequential(shared, nn.Tanh(), hooked),
        "b": shared,
        "c": nn.Sequential(nn.Linear(1, 4), act, nn.Linear(4, 4), act, nn.Linear(4, 1), nn.ReLU(), *layers(1, 4, 1)),
    })  # fmt: skip
    x = torch.randn(40, 2)
    y = model["a"](x), model["c"](x[:, :1])
    report = accelerate(model)
    assert list(report.fused) == ["a.0.fused_0", "a.2.fused_0", "c.fused_0", "c.fused_6"]
    assert model["a"][0] is model["b"]
    for found, expected in zip((model["a"](x), model["c"](x[:, :1])), y, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
    assert restore(model) == ("a.0.fused_0", "a.2.fused_0", "c.fused_0", "c.fused_6")


def test_another_function_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = PsiMLP.forward
    monkeypatch.setattr(PsiMLP, "forward", lambda self, x: forward(self, x) * (1 + 1e-8))
    assert accelerate(dense(2, 8, 1)).left_alone == {"0": "the fused network gives other numbers at random points"}


def test_wrong_models_are_refused() -> None:
    with pytest.raises(InputError, match=r"^model: expected an nn\.Module, got builtin_function"):
        accelerate(torch.tanh)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^model: expected an nn\.Module"):
        restore(None)  # type: ignore[arg-type]
    model = dense(2, 8, 1)
    report = accelerate(model)
    report.fused["fused_0"].register_forward_hook(lambda *_: None)
    with pytest.raises(InputError, match="hooks"):
        report.undo()
    model._modules["fused_0"] = nn.Linear(2, 1)
    with pytest.raises(InputError, match="'fused_0' of a fused Sequential was replaced"):
        restore(model)


def test_random_numbers_of_the_user_are_left_alone() -> None:
    model = dense(2, 8, 1)
    before = torch.get_rng_state()
    restore(accelerate(model).model)
    assert torch.equal(torch.get_rng_state(), before)
