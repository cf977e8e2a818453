"""DeepXDE's own training loop on the kernels: the losses, derivatives and weights of its own network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partialmethod
from typing import Any

import numpy as np
import pytest
import torch
from programs import run_program

import psinn_fast as pf

NAMES = (
    "Poisson, Dirichlet and Robin",
    "Burgers",
    "Allen-Cahn, hard conditions",
    "Helmholtz",
    "Navier-Stokes, inverse",
    "heat, Neumann",
)
STEPS = 50
EVEN = pf.Symmetry(pf.SignedPermutation.flip(2, 1), (1,))


@pytest.fixture(scope="module")
def library() -> Any:
    """DeepXDE; importing it moves torch's default device where there is a GPU, which is undone."""
    os.environ.setdefault("DDE_BACKEND", "pytorch")
    pytest.importorskip("deepxde", reason="DeepXDE is not installed: pip install psinn_fast[deepxde]")
    torch.set_default_device(None)
    from psinn_fast.integrations import deepxde

    return deepxde


@pytest.fixture
def double(library: Any) -> Iterator[Any]:
    """DeepXDE in float64, while a test runs."""
    library.dde.config.set_default_float("float64")
    yield library
    library.dde.config.set_default_float("float32")


def example(name: str) -> Any:
    from bench.deepxde_problems import EXAMPLES

    return next(example for example in EXAMPLES if example.name == name)


def trained(name: str, network: Callable[..., Any], steps: int = STEPS) -> Any:
    """A narrow network on a fiftieth of the usual points, all steps' losses in its history."""
    chosen = example(name)
    layers = (chosen.layers[0], 8, 8, chosen.layers[-1])
    model = chosen.model(network, share=0.02, layers=layers)
    model.train(iterations=steps, display_every=1, verbose=0)
    return model


def laplace(library: Any, net: Any) -> Any:
    """u = x^3 - 3 x y^2 on the square, which is odd in x and even in y."""

    def of(derivative: Any) -> torch.Tensor:
        """In forward mode derivatives come with their functions."""
        return derivative[0] if isinstance(derivative, tuple) else derivative

    dde = library.dde
    square = dde.geometry.Rectangle([-1, -1], [1, 1])

    def equation(x: torch.Tensor, u: torch.Tensor) -> Any:
        return of(dde.grad.hessian(u, x, i=0, j=0)) + of(dde.grad.hessian(u, x, i=1, j=1))

    edge = dde.icbc.DirichletBC(square, lambda x: x[:, :1] ** 3 - 3 * x[:, :1] * x[:, 1:] ** 2, lambda _x, on: on)
    data = dde.data.PDE(square, equation, [edge], num_domain=100, num_boundary=40)
    return dde.Model(data, net)


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_line_gives_the_same_losses(double: Any, name: str) -> None:
    models = [trained(name, network) for network in (double.dde.nn.FNN, double.FNN)]
    own, ours = (np.array(model.losshistory.loss_train) for model in models)
    assert own.shape == ours.shape
    assert len(own) == STEPS + 1
    # Rounding, 1e-16, grows with the steps.
    np.testing.assert_allclose(ours, own, rtol=1e-5)
    points = models[0].data.test_x
    np.testing.assert_allclose(models[1].predict(points), models[0].predict(points), rtol=1e-6, atol=1e-8)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The operations of the kernels that are called, with their channels."""
    engine, called = type(pf.get_backend("cpu")), list[tuple[str, int]]()
    for name in ("jets", "jets_backward", "differentiable_jets"):
        original = getattr(engine, name)

        def noted(own: Any, plan: Any, theta: Any, x: Any, channels: Any, *rest: Any, **names: Any) -> Any:
            called.append((names.pop("_name"), len(channels)))
            return names.pop("_original")(own, plan, theta, x, channels, *rest, **names)

        monkeypatch.setattr(engine, name, partialmethod(noted, _name=name, _original=original))
    return called


@pytest.mark.automatic
def test_the_kernels_are_taken_and_second_derivatives_share_their_passes(
    double: Any, passes: list[tuple[str, int]]
) -> None:
    model = trained("Navier-Stokes, inverse", double.FNN, steps=3)
    state = model.train_state
    passes.clear()
    model._train_step(state.X_train, state.y_train, state.train_aux_vars)
    # Three fields: u, its 3 first derivatives, and of the rows of the Hessian for x and y 5; then u_t, u_x, u_y and a
    # Laplacian.
    assert passes == [("jets", 9), ("jets_backward", 5)]


@pytest.mark.automatic
def test_values_at_new_points_need_no_derivatives(double: Any, passes: list[tuple[str, int]]) -> None:
    """`model.predict` lets points require gradients, in evaluation."""
    model = trained("Burgers", double.FNN, steps=2)
    passes.clear()
    model.predict(np.random.default_rng(0).uniform(size=(777, 2)))
    assert passes == [("jets", 1)]


def test_operators_of_a_trained_network(double: Any) -> None:
    models = [trained("Burgers", network, steps=5) for network in (double.dde.nn.FNN, double.FNN)]
    points = np.random.default_rng(0).uniform(size=(60, 2))
    found = [model.predict(points, operator=model.data.pde) for model in models]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-11)


def test_transforms(double: Any) -> None:
    """More features than coordinates, and an output that depends on the points."""
    values = []
    for network in (double.dde.nn.FNN, double.FNN):
        double.dde.config.set_random_seed(3)
        net = network([3, 8, 8, 1], "tanh", "Glorot normal")
        net.apply_feature_transform(lambda x: torch.cat([torch.sin(x[:, :1]), torch.cos(x[:, :1]), x[:, 1:]], 1))
        net.apply_output_transform(lambda x, u: x[:, 1:] * u + 1)
        model = laplace(double, net)
        model.compile("adam", lr=1e-3, verbose=0)
        model.train(iterations=5, display_every=1, verbose=0)
        values.append(np.array(model.losshistory.loss_train))
    np.testing.assert_allclose(values[1], values[0], rtol=1e-10)


@pytest.mark.parametrize("regularization", [["l1", 1e-4], ["l2", 1e-4]])
def test_regularization_counts_every_weight(double: Any, regularization: list[Any]) -> None:
    losses = []
    for network in (double.dde.nn.FNN, double.FNN):
        double.dde.config.set_random_seed(3)
        net = network([2, 8, 8, 1], "tanh", "He normal", regularization=regularization)
        model = laplace(double, net)
        model.compile("adam", lr=1e-3, verbose=0)
        model.train(iterations=5, display_every=1, verbose=0)
        losses.append(np.array(model.losshistory.loss_train))
    assert model.net.num_trainable_parameters() == 8 * 3 + 8 * 9 + 9
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)


# torch's own, of the first torch.func.jvp.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:DeprecationWarning")
def test_forward_mode_goes_by_torch(double: Any) -> None:
    dde, losses = double.dde, []
    try:
        for mode in ("reverse", "forward"):
            dde.config.set_default_autodiff(mode)
            dde.config.set_random_seed(3)
            model = laplace(double, double.FNN([2, 8, 8, 1], "tanh", "Glorot uniform"))
            model.compile("adam", lr=1e-3, verbose=0)
            model.train(iterations=3, display_every=1, verbose=0)
            losses.append(np.array(model.losshistory.loss_train))
    finally:
        dde.config.set_default_autodiff("reverse")
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)


def test_lbfgs_callbacks_saving_and_restoring(double: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from deepxde.optimizers.config import LBFGS_options

    # Whatever ``maxiter``: DeepXDE asks torch for 1,000 iterations at a time.
    monkeypatch.setitem(LBFGS_options, "iter_per_step", 200)
    dde = double.dde
    tied = pf.PsiMLP(pf.structure_from_group([EVEN], hidden=(1, 1)), width=6, seed=0)
    model = laplace(double, double.PsiFNN(tied))
    model.compile("adam", lr=1e-2, verbose=0)
    kept = dde.callbacks.ModelCheckpoint(str(tmp_path / "best"), save_better_only=True, period=10)
    model.train(iterations=30, display_every=10, callbacks=[kept], verbose=0)
    dde.optimizers.set_LBFGS_options(maxiter=50)
    model.compile("L-BFGS", verbose=0)
    model.train(verbose=0)
    first, *_, last = (np.sum(loss) for loss in model.losshistory.loss_train)
    assert last < first / 10
    points = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    value = model.predict(points)
    # The relations hold to rounding after any training.
    np.testing.assert_allclose(model.predict(points * [1, -1]), value, atol=1e-14)
    path = model.save(str(tmp_path / "model"))
    again = laplace(double, double.PsiFNN(pf.PsiMLP(tied.structure, seed=5)))
    again.compile("L-BFGS", verbose=0)
    again.restore(path)
    np.testing.assert_array_equal(again.predict(points), value)


@pytest.mark.parametrize("activation", ["tanh", "sin", "swish", "gelu", torch.nn.functional.softplus])
def test_weights_of_deepxde_and_back(library: Any, activation: str) -> None:
    dde = library.dde
    theirs = dde.nn.FNN([2, 8, 8, 3], activation, "Glorot uniform", regularization=["l2", 1e-3])
    theirs.apply_output_transform(lambda x, u: u * x[:, :1])
    ours = library.FNN.from_fnn(theirs)
    assert ours.regularizer == ["l2", 1e-3]
    x = torch.rand(40, 2)
    torch.testing.assert_close(ours(x), theirs(x))
    back = ours.to_fnn()
    assert isinstance(back, dde.nn.FNN)
    assert back.regularizer == ["l2", 1e-3]
    for name, weight in theirs.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], weight, rtol=0, atol=0)
    torch.testing.assert_close(back(x), theirs(x), rtol=0, atol=0)
    fresh = library.FNN([2, 8, 8, 3], activation, "zeros")
    fresh.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(fresh.network.theta, ours.network.theta, rtol=0, atol=0)


def test_softplus_by_name(library: Any) -> None:
    """DeepXDE knows the function alone."""
    named, given = (library.FNN([2, 8, 1], one, "Glorot uniform") for one in ("softplus", torch.nn.functional.softplus))
    assert named.network.structure == given.network.structure
    assert library.FNN.from_fnn(named.to_fnn()).network.structure == named.network.structure


def test_the_same_seed_draws_the_same_weights_and_leaves_the_same_generator(library: Any) -> None:
    drawn = []
    for network in (library.dde.nn.FNN, library.FNN):
        torch.manual_seed(7)
        net = network([2, 8, 8, 1], "tanh", "He uniform")
        drawn.append((net, torch.rand(3)))
    (theirs, after), (ours, ours_after) = drawn
    torch.testing.assert_close(ours.network.theta, library.FNN.from_fnn(theirs).network.theta, rtol=0, atol=0)
    torch.testing.assert_close(ours_after, after, rtol=0, atol=0)


def test_the_precision_of_products(library: Any, double: Any) -> None:
    with pytest.raises(pf.InputError, match="precision: 'tf32x3' is of products in float32"):
        library.FNN([2, 8, 1], "tanh", "zeros", precision="tf32x3")
    double.dde.config.set_default_float("float32")
    net = library.FNN([2, 8, 1], "tanh", "zeros", precision="tf32x3")
    again = library.FNN.from_fnn(net.to_fnn(), precision="tf32x3")
    net.load_state_dict(net.to_fnn().state_dict())
    assert net.network.precision == again.network.precision == "tf32x3"
    assert library.FNN.from_fnn(net.to_fnn()).network.precision == "ieee"


def test_tied_weights_of_an_fnn(library: Any) -> None:
    tied = pf.PsiMLP(pf.structure_from_group([EVEN], hidden=(1, 1)), width=4, seed=0)
    fnn = library.PsiFNN(tied).to_fnn()
    again = library.PsiFNN.from_fnn(fnn, tied.structure)
    torch.testing.assert_close(again.network.theta, tied.theta, rtol=1e-6, atol=1e-7)
    with pytest.raises(pf.InputError, match="do not satisfy the relations"):
        library.PsiFNN.from_fnn(library.dde.nn.FNN([2, 8, 8, 1], "tanh", "Glorot uniform"), tied.structure)


def test_bad_input(library: Any) -> None:
    dde = library.dde
    for activation in ("relu", ["tanh", "tanh"], "LAAF-10 tanh", None, torch.cos):
        with pytest.raises(pf.InputError, match=r"activation: expected one of \['tanh', 'sin'"):
            library.FNN([2, 8, 1], activation, "Glorot uniform")
    with pytest.raises(pf.InputError, match=r"net\.activation: expected one of \['tanh', 'sin'"):
        library.FNN.from_fnn(dde.nn.FNN([2, 8, 1], "relu", "Glorot uniform"))
    with pytest.raises(pf.InputError, match=r"expected a dde\.nn\.FNN, got Linear"):
        library.FNN.from_fnn(torch.nn.Linear(2, 1))
    with pytest.raises(pf.InputError, match=r"its dtype is torch\.float64, DeepXDE's is torch\.float32"):
        library.PsiFNN(pf.MLP([2, 8, 1], dtype="float64"))
    with pytest.raises(pf.InputError, match="layers"):
        library.FNN([2, [8, 8], 1], "tanh", "Glorot uniform")
    ours = library.FNN([2, 8, 1], "tanh", "Glorot uniform")
    with pytest.raises(pf.InputError, match="the network has"):
        ours.load_state_dict(dde.nn.FNN([2, 9, 1], "tanh", "Glorot uniform").state_dict())
    with pytest.raises(pf.InputError, match="alone, got"):
        ours.load_state_dict({**dde.nn.FNN([2, 8, 1], "tanh", "Glorot uniform").state_dict(), "other": torch.ones(1)})
    with pytest.raises(pf.InputError, match=r"expected torch\.float32"):
        ours(torch.zeros(9, 2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("sys.modules['deepxde'] = None", "needs the package deepxde; pip install deepxde"),
        (
            "import types; dde = types.ModuleType('deepxde'); dde.backend = types.SimpleNamespace(backend_name='jax')\n"
            "sys.modules['deepxde'] = dde",
            "DeepXDE computes by jax",
        ),
    ],
)
def test_absent_or_of_another_backend(before: str, message: str) -> None:
    program = f"import sys\n{before}\nimport psinn_fast.integrations.deepxde"
    done = run_program(program)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]


@pytest.mark.trajectory
def test_discovery_from_networks_trained_by_deepxde(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from deepxde.optimizers.config import LBFGS_options

    monkeypatch.setitem(LBFGS_options, "iter_per_step", 300)
    teachers = []
    for seed in range(2):
        double.dde.config.set_random_seed(seed)
        model = laplace(double, double.FNN([2, 12, 12, 1], "tanh", "Glorot uniform"))
        double.dde.optimizers.set_LBFGS_options(maxiter=300)
        model.compile("L-BFGS", verbose=0)
        model.train(verbose=0)
        teachers.append(model.net)
    found = pf.discover(pf.Box(x=(-1, 1), y=(-1, 1)), teachers, tests="teacher")
    signs = {match.text: match.symmetry.character for match in found.group}
    assert signs == {"x -> -x": (-1,), "y -> -y": (1,), "x -> -x, y -> -y": (-1,)}
    tied = double.PsiFNN(pf.PsiMLP(found.structure, width=6, seed=0))
    model = laplace(double, tied)
    model.compile("L-BFGS", verbose=0)
    model.train(verbose=0)
    assert np.sum(model.losshistory.loss_train[-1]) < 1e-4
