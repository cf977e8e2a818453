"""The precision of float32 products: how it reaches backends, and what results say of it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small import small_laplace
from torch import Tensor

import psinn_fast as pf
from psinn_fast.cli.commands import main
from psinn_fast.cli.doctor import doctor_report
from psinn_fast.kernels import kernels_for, products_at_work
from psinn_fast.kernels.contract import LossAndGradient
from psinn_fast.kernels.contract.precision import coarsest, torch_products
from psinn_fast.kernels.contract.registry import WithFallback
from psinn_fast.kernels.cpu.backend import CpuBackend
from psinn_fast.kernels.language.channels import ChannelSet
from psinn_fast.kernels.reference.backend import ReferenceBackend
from psinn_fast.kernels.triton.backend import TritonBackend
from psinn_fast.pipeline import comparison_table

FLOAT32, FLOAT64, CPU = torch.float32, torch.float64, torch.device("cpu")
SMALL = pf.Network(layers=[2, 4, 1])


class Tensorial(ReferenceBackend):
    """Stands for a GPU: knows both precisions, and says with which one each operation was asked for."""

    name = "tensorial"

    def __init__(self, asked: list[str], precision: str = "ieee") -> None:
        self.asked, self._precision = asked, precision

    def with_precision(self, precision: str) -> Tensorial:
        return Tensorial(self.asked, precision)

    def products(self, dtype: torch.dtype, device: torch.device) -> str:
        return "ieee" if dtype == FLOAT64 else self._precision

    def _jets(self, plan: Any, theta: Tensor, *rest: Any) -> Tensor:
        self.asked.append(self.products(theta.dtype, theta.device))
        return super()._jets(plan, theta, *rest)

    def _jets_backward(self, plan: Any, theta: Tensor, *rest: Any) -> tuple[Tensor, Tensor | None]:
        self.asked.append(self.products(theta.dtype, theta.device))
        return super()._jets_backward(plan, theta, *rest)

    def _loss_and_gradient(self, plan: Any, theta: Tensor, *rest: Any) -> LossAndGradient:
        self.asked.append(self.products(theta.dtype, theta.device))
        return super()._loss_and_gradient(plan, theta, *rest)

    def _residual_jacobian(self, plan: Any, theta: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        self.asked.append(self.products(theta.dtype, theta.device))
        return super()._residual_jacobian(plan, theta, *rest)


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """What the backend "tensorial", which "auto" takes, was asked for."""
    found: list[str] = []
    pf.register_backend(Tensorial(found), automatic=True)
    yield found
    pf.unregister_backend("tensorial")


def options(precision: str | None = "tf32x3", **others: Any) -> pf.Options:
    return pf.Options(backend="tensorial", precision=precision, **others)


# What may be asked for.


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("IEEE", "; write 'ieee'"),
        ("TF32x3", "; write 'tf32x3'"),
        ("tf32", "; with ten bits training fails silently"),
        ("float32", "; that of numbers is dtype, that of Gauss-Newton's Jacobian pf.Tuning"),
        (FLOAT64, "; that of numbers is dtype"),
        (float("nan"), ""),
        ("", ""),
        (["ieee"], ""),
        (True, ""),
    ],
)
@pytest.mark.parametrize("use", ["options", "derivatives", "network", "attribute", "get_backend"])
def test_anything_else_is_refused(value: Any, advice: str, use: str) -> None:
    net = pf.MLP([2, 3, 1])
    uses: dict[str, Callable[[], Any]] = {
        "options": lambda: pf.Options(precision=value),
        "derivatives": lambda: pf.derivatives(net, torch.rand(3, 2), "u", coords="x y", fields="u", precision=value),
        "network": lambda: pf.MLP([2, 3, 1], precision=value),
        "attribute": lambda: setattr(net, "precision", value),
        "get_backend": lambda: pf.get_backend("auto", CPU, value),
    }
    with pytest.raises(pf.InputError, match=r"precision: expected .*one of \['ieee', 'tf32x3'\], got .*" + advice):
        uses[use]()
    assert net.precision == "ieee"


def test_none_is_that_of_the_network_only() -> None:
    assert pf.Options().precision is None
    with pytest.raises(pf.InputError, match=r"precision: expected one of .*, got None"):
        pf.MLP([2, 3, 1], precision=None)  # type: ignore[arg-type]  # of networks None means nothing


def test_float64_has_no_other() -> None:
    message = "precision: 'tf32x3' is of products in float32, and "
    net = pf.MLP([2, 3, 1], dtype=FLOAT64)
    with pytest.raises(pf.InputError, match=message):
        pf.MLP([2, 3, 1], dtype="float64", precision="tf32x3")
    with pytest.raises(pf.InputError, match=message):
        net.precision = "tf32x3"
    with pytest.raises(pf.InputError, match=message):
        pf.derivatives(net, torch.rand(3, 2).double(), "u", coords="x y", fields="u", precision="tf32x3")
    given = pf.Options(precision="tf32x3")
    with pytest.raises(pf.InputError, match=f"{message}adam multiplies in float64 .*float32, dtype='float32'"):
        pf.fit(small_laplace(3), net, pf.Adam(1), options=given)
    for optimizer in (pf.LBFGS(1), pf.GaussNewton(1)):
        with pytest.raises(pf.InputError, match=f"{message}{optimizer.name} multiplies in float64 .*, and train by pf"):
            pf.solve(small_laplace(3), SMALL, optimizer, options=given)
        with pytest.raises(pf.InputError, match=r"train by pf\.Adam or pf\.GaussNewton"):
            pf.fit(small_laplace(3), pf.MLP([2, 3, 1]), optimizer, options=given)
    assert pf.fit(small_laplace(3), net, pf.Adam(1), options=pf.Options(precision="ieee")).end.precision == "ieee"


def made_networks(tmp_path: Path, dtype: torch.dtype, **of_network: Any) -> list[pf.PsiMLP]:
    """By every way to a network that exists already, or is a problem's."""
    layers = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)).to(dtype)
    dense, psi = pf.MLP.from_sequential(layers, **of_network), pf.PsiMLP.from_sequential(layers, **of_network)
    pf.save_network(tmp_path / "net.safetensors", dense)
    built = pf.build_network("laplace", pf.Network("psi", dtype=dtype, **of_network))
    loaded = pf.load_network(tmp_path / "net.safetensors", **of_network)
    return [dense, psi, built, loaded, *pf.accelerate(layers, **of_network).fused.values()]


@pytest.mark.parametrize("precision", ["ieee", "tf32x3"])
def test_whoever_makes_a_network_may_say_it(asked: list[str], precision: str, tmp_path: Path) -> None:
    for net in made_networks(tmp_path, FLOAT32, precision=precision):
        asked.clear()
        net(torch.rand(16, 2))
        assert (net.precision, set(asked)) == (precision, {precision})
    assert [net.precision for net in made_networks(tmp_path, FLOAT32)] == ["ieee"] * 5
    network = replace(SMALL, precision=precision)
    solution = pf.solve(small_laplace(5), network, pf.Adam(2), options=options(None))
    assert (solution.setup.precision, solution.net.precision) == (precision, precision)


def test_what_float64_has_not_changes_nothing(tmp_path: Path) -> None:
    message = "precision: 'tf32x3' is of products in float32, and these are in float64"
    net, path = pf.MLP([2, 3, 1], dtype=FLOAT64), tmp_path / "net.safetensors"
    pf.save_network(path, net)
    layers = torch.nn.ModuleDict({"a": pf.MLP([2, 3, 1]).to_sequential(), "b": net.to_sequential()})
    uses: list[Callable[..., object]] = [
        lambda **given: pf.PsiMLP.from_sequential(net.to_sequential(), **given),
        lambda **given: pf.load_network(path, **given),
        lambda **given: pf.Network(dtype="float64", **given),
        lambda **given: pf.build_network("laplace", replace(pf.Network(**given), dtype=FLOAT64)),
        lambda **given: pf.solve("laplace", pf.Network(**given), pf.GaussNewton(1)),
        lambda **given: pf.accelerate(layers, **given),
    ]
    for use in uses:
        with pytest.raises(pf.InputError, match=message):
            use(precision="tf32x3")
        with pytest.raises(pf.InputError, match=r"precision: expected .*one of \['ieee', 'tf32x3'\], got 'tf32'"):
            use(precision="tf32")
    assert all(type(part) is torch.nn.Sequential for part in layers.values())


def test_networks_keep_theirs() -> None:
    """In copies, after pickling, and through float64, where it means nothing."""
    net = pf.MLP([2, 3, 1], precision="tf32x3")
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), pf.by_layers(net), pf.by_layers(net).joined()):
        assert other.precision == "tf32x3"
    assert "products tf32x3" in repr(net)
    assert net.double().precision == "ieee"
    assert "products" not in repr(net)
    assert net.float().precision == "tf32x3"
    old = pf.MLP([2, 3, 1])
    del old.__dict__["_precision"]  # of a version that had none
    assert old.precision == "ieee"


# How it reaches backends.


@pytest.mark.parametrize("precision", ["ieee", "tf32x3"])
def test_networks_and_derivatives(asked: list[str], precision: str) -> None:
    net, x = pf.MLP([2, 4, 1], precision=precision), torch.rand(16, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    slope.square().mean().backward()
    assert set(asked) == {precision}
    assert len(asked) > 1
    asked.clear()
    net.predict([[0.1, 0.2]] * 9)
    pf.derivatives(net, x, "u_xx", coords="x y", fields="u").u_xx.sum().backward()
    assert set(asked) == {precision}
    asked.clear()
    other = "tf32x3" if precision == "ieee" else "ieee"
    pf.derivatives(net, x, "u_xx", coords="x y", fields="u", precision=other).u_xx.sum().backward()
    assert set(asked) == {other}


def test_compiled_derivatives(asked: list[str]) -> None:
    net, x = pf.MLP([2, 4, 1], precision="tf32x3"), torch.rand(16, 2)
    torch._dynamo.reset()

    @torch.compile(backend="aot_eager", fullgraph=True)
    def loss() -> Tensor:
        return pf.derivatives(net, x, "u_x", coords="x y", fields="u").u_x.square().mean()

    loss().backward()
    assert asked == ["tf32x3"] * 2


def test_fused_losses(asked: list[str]) -> None:
    net, x = pf.MLP([2, 4, 1], precision="tf32x3"), torch.rand(16, 2)

    def loss(net: pf.MLP, x: Tensor, precision: str | None = None) -> Tensor:
        return pf.derivatives(net, x, "u_x", coords="x y", fields="u", precision=precision).u_x.square().mean()

    fused = pf.fuse(loss, net, x)
    asked.clear()
    fused().backward()
    assert set(asked) == {"tf32x3"}
    assert pf.fit(fused, pf.Adam(2), options=options(None)).end.precision == "tf32x3"
    with pytest.raises(pf.InputError, match=r"a fused loss has that of its network.*write net.precision = 'ieee'"):
        pf.fuse(lambda net, x: loss(net, x, "ieee"), net, x)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (pf.Adam(2), "tf32x3"),
        (pf.TorchOptimizer(torch.optim.SGD, 2), "tf32x3"),
        (pf.GaussNewton(1, tuning=pf.Tuning(precision="float32", starts=1)), "tf32x3"),
        ([pf.Adam(1), pf.LBFGS(1)], "tf32x3"),
    ],
    ids=["adam", "sgd", "gauss-newton", "adam+lbfgs"],
)
def test_training(asked: list[str], optimizer: Any, expected: str) -> None:
    """Errors are measured, and the first weights tried, by "ieee": products of other kinds are those of training."""
    net = pf.MLP([2, 4, 1])
    assert pf.fit(small_laplace(5), net, optimizer, options=options()).end.precision == expected
    assert (pf.fit(small_laplace(5), net, optimizer, options=options(None)).end.precision, net.precision) == (
        "ieee", "ieee",
    )  # fmt: skip
    net.precision = "tf32x3"
    asked.clear()
    assert pf.fit(small_laplace(5), net, optimizer, options=options(None)).end.precision == expected
    assert pf.fit(small_laplace(5), net, optimizer, options=options("ieee")).end.precision == "ieee"


def test_what_is_all_in_float64_is_ieee(asked: list[str]) -> None:
    net = pf.MLP([2, 4, 1], precision="tf32x3")
    assert pf.fit(small_laplace(5), net, pf.LBFGS(1), options=options(None)).end.precision == "ieee"


@pytest.mark.parametrize("second", [pf.GaussNewton(2), pf.LBFGS(2)], ids=lambda one: one.name)
def test_behind_adam_it_is_of_adams_steps(asked: list[str], second: Any) -> None:
    """What multiplies in float64 does so behind others, too; results state what steps had, the coarsest of it."""
    net = pf.MLP([2, 4, 1])
    end = pf.fit(small_laplace(5), net, [pf.Adam(2), second], options=options()).end
    assert (end.precision, end.steps > 2) == ("tf32x3", True)
    last = len(asked) - asked[::-1].index("tf32x3")
    assert last > 2
    assert len(asked) > last  # all of what came then was "ieee"
    asked.clear()
    assert pf.fit(small_laplace(5), net, [pf.Adam(0), second], options=options()).end.precision == "ieee"
    with pytest.raises(pf.InputError, match=r"multiplies in float64 here; .* take a network of float32"):
        pf.solve(small_laplace(5), SMALL, [pf.Adam(2), pf.GaussNewton(2)], options=options())


# What results say.


def test_results_state_it(asked: list[str]) -> None:
    solution = pf.solve(small_laplace(5), SMALL, pf.Adam(2), options=options())
    assert (solution.setup.precision, solution.end.precision, solution.net.precision) == ("tf32x3", "tf32x3", "ieee")
    assert solution.to_dict()["precision"] == "tf32x3"
    assert "adam, float32 (tf32x3): " in repr(solution)
    other = replace(solution, setup=replace(solution.setup, dtype="float64", precision="ieee"))
    assert comparison_table((("a", solution), ("b", other))).endswith("\nproducts: float32 (tf32x3), float64 (ieee)")
    assert "tensorial: ieee or tf32x3" in doctor_report()["float32 products"]


@pytest.mark.parametrize("command", ["solve", "run"])
def test_command_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "laplace", "--optimizer", "gauss-newton", "--precision", "tf32x3", "--quiet"]) == 2
    assert "precision: 'tf32x3' is of products in float32, and gauss-newton multiplies" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([command, "laplace", "--precision", "tf32"])
    assert "invalid choice: 'tf32'" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_who_knows_no_other_has_ieee(backend: str) -> None:
    """A script for a GPU runs on a CPU as well, to the same numbers as without it, and says so."""
    found = [
        pf.solve(small_laplace(5), SMALL, pf.Adam(2), options=pf.Options(backend=backend, precision=precision))
        for precision in ("tf32x3", "ieee")
    ]
    assert [solution.setup.precision for solution in found] == ["ieee", "ieee"]
    assert torch.equal(found[0].net.theta, found[1].net.theta)
    assert pf.get_backend(backend, CPU, "tf32x3").products(FLOAT32, CPU) == "ieee"


def test_the_coarsest_of_two_backends() -> None:
    engine = WithFallback(Tensorial([], "tf32x3"))
    for used, expected in (
        ({}, "tf32x3"),
        ({"reference": None}, "ieee"),
        ({"reference": None, "tensorial": None}, "tf32x3"),
    ):
        engine.used = used
        assert products_at_work(engine, [FLOAT32, FLOAT64], CPU) == expected
        assert products_at_work(engine, [FLOAT64], CPU) == "ieee"
    assert coarsest([]) == "ieee"
    assert coarsest(["tf32", "ieee", "tf32x3"]) == "tf32"


@pytest.mark.parametrize(("told", "cuda", "cpu"), [("highest", "ieee", "ieee"), ("high", "tf32", "tf32")])
def test_torch_is_asked_where_it_multiplies(told: str, cuda: str, cpu: str) -> None:
    """Its switch for ten bits is stated of the reference backend, and does not reach kernels."""
    gpu, reference = torch.device("cuda"), pf.get_backend("reference")
    try:
        torch.set_float32_matmul_precision(told)
        assert (torch_products(FLOAT32, gpu), torch_products(FLOAT64, gpu)) == (cuda, "ieee")
        assert [reference.products(FLOAT32, device) for device in (gpu, CPU)] == [cuda, cpu]
        assert CpuBackend().products(FLOAT32, CPU) == TritonBackend().products(FLOAT32, gpu) == "ieee"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_resumed_with_another_one(asked: list[str]) -> None:
    problem, net = small_laplace(5), pf.MLP([2, 4, 1])
    first = pf.fit(problem, net, pf.Adam(2), options=options("tf32x3"))
    note = "resumed with ieee products, those before were tf32x3"

    def go_on(result: pf.FitResult, precision: str) -> Sequence[str]:
        return pf.fit(problem, net, pf.Adam(4), options=options(precision, resume=result)).notes

    assert note in go_on(first, "ieee")
    assert not any("resumed" in text for text in go_on(first, "tf32x3"))
    assert first.snapshot is not None
    numbers = {name: value for name, value in first.snapshot.numbers.items() if not name.startswith("precision")}
    before_there_was_a_choice = replace(first, snapshot=replace(first.snapshot, numbers=numbers))
    assert not any("resumed" in text for text in go_on(before_there_was_a_choice, "ieee"))


def test_resumed_behind_adam(asked: list[str]) -> None:
    """What was done stays what it was, and of what is in float64 the other precision changes nothing."""
    problem, net = small_laplace(5), pf.MLP([2, 4, 1])
    for before, after in (("tf32x3", "ieee"), ("ieee", "tf32x3")):
        first = pf.fit(problem, net, [pf.Adam(2), pf.GaussNewton(1)], options=options(before))
        again = options(after, resume=first)
        found = pf.fit(problem, net, [pf.Adam(2), pf.GaussNewton(2)], options=again)
        assert found.end.precision == before
        assert not any("resumed" in text for text in found.notes)
    both = pf.Adam(4), pf.GaussNewton(1)
    stopped = pf.fit(problem, net, both, options=options("tf32x3", callbacks=lambda progress: progress.step > 0))
    assert (stopped.ended, stopped.steps < 4) == ("stopped", True)
    found = pf.fit(problem, net, both, options=options("ieee", resume=stopped))
    assert found.end.precision == "tf32x3"
    assert "resumed with ieee products, those before were tf32x3" in found.notes


@pytest.mark.parametrize("name", ["precision", "precision_of_optimizer"])
def test_a_checkpoint_that_names_none(name: str, tmp_path: Path) -> None:
    problem, net, path = small_laplace(5), pf.MLP([2, 4, 1]), tmp_path / "run.safetensors"
    pf.fit(problem, net, pf.Adam(2), checkpoint=path)
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        header = {key: text.replace(f'"{name}": "ieee"', f'"{name}": "fp16"') for key, text in file.metadata().items()}
    save_file(tensors, path, header)
    with pytest.raises(pf.CheckpointError, match=rf"numbers\.{name}: expected one of .*, got 'fp16'"):
        pf.fit(problem, net, pf.Adam(4), checkpoint=path, options=pf.Options(resume=True))


def test_resumed_from_a_file(asked: list[str], tmp_path: Path) -> None:
    problem, net, path = small_laplace(5), pf.MLP([2, 4, 1]), tmp_path / "run.safetensors"
    pf.fit(problem, net, pf.Adam(2), checkpoint=path, options=options("ieee"))
    found = pf.fit(problem, net, pf.Adam(4), checkpoint=path, options=options("tf32x3", resume=True))
    assert "resumed with tf32x3 products, those before were ieee" in found.notes
    assert found.steps == 4


# Backends of one's own.


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"products": lambda self, dtype, device: "fp16"}, r"Tensorial\.products: expected one of .*, got 'fp16'"),
        (
            {"with_precision": lambda self, precision: None},
            r"Tensorial\.with_precision: expected a Backend .*, got None",
        ),
        (
            {"with_precision": lambda self, precision: ReferenceBackend()},
            r"Tensorial\.with_precision: expected a Backend of the name 'tensorial'",
        ),
    ],
)
def test_what_backends_say_is_checked(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, broken: dict[str, Any], message: str
) -> None:
    """Before training, not after it."""
    for name, method in broken.items():
        monkeypatch.setattr(Tensorial, name, method)
    net = pf.MLP([2, 4, 1])
    before = net.theta.detach().clone()
    with pytest.raises(pf.InputError, match=message):
        pf.fit(small_laplace(5), net, pf.Adam(2), options=options())
    assert torch.equal(net.theta, before)


def test_kernels_for_a_network(asked: list[str]) -> None:
    plan, channels = pf.MLP([2, 4, 1]).plan, ChannelSet.closure(2, [])
    for precision in ("ieee", "tf32x3"):
        engine = kernels_for(plan, channels, FLOAT32, CPU, precision)
        assert engine is not None
        assert engine.products(FLOAT32, CPU) == precision
