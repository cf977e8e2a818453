"""What is beyond a backend's limits, of the library's own accord or at a user's wish: who does it, and who says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small import newton, small_laplace

import psinn_fast as pf
from psinn_fast.kernels.contract import registry
from psinn_fast.kernels.cpu.extension import instruction_sets
from psinn_fast.kernels.network.plan import Plan
from psinn_fast.kernels.reference.backend import ReferenceBackend

pytestmark = pytest.mark.usefixtures("only_built_in_afterwards")

NETWORK = pf.Network("pinn", layers=[2, 8, 8, 1])
# The library's own: a random network beside it that is 16 wide, float64 in the verdict.
# Who is asked where a registered one has a limit.
NEXT = "cpu" if instruction_sets() else "reference"
EIGHT_WIDE = {"widest": 8, "deepest": 3, "most_channels": 4}


class Limited(ReferenceBackend):
    """The reference with limits, and a record of which networks it was asked about."""

    name = "limited"

    def __init__(self, **limits: int) -> None:
        self.asked: set[int] = set()
        for limit, value in limits.items():
            setattr(self, limit, value)

    def supports(self, plan: Plan, *rest: object) -> str | None:
        reason = super().supports(plan, *rest)
        if reason is None:
            self.asked.add(plan.widest)
        return reason


class Single(Limited):
    def supports(self, plan: Plan, channels: object, dtype: torch.dtype, device: object) -> str | None:
        return None if dtype == torch.float32 else "theta: float32 alone"


def registered(backend: pf.Backend, automatic: bool = False) -> pf.Options:
    pf.register_backend(backend, automatic=automatic)
    return pf.Options(backend="auto" if automatic else backend.name)


@pytest.mark.parametrize(
    "optimizer",
    [pf.Adam(8), pf.LBFGS(3), pf.SSBroyden(3), newton(steps=2, starts=1), pf.TorchOptimizer(torch.optim.AdamW, 4)],
    ids=lambda optimizer: optimizer.name,
)
def test_training_ends_with_its_verdict(optimizer: pf.Optimizer) -> None:
    """By name, too: it is not the user's network that is too wide, and nothing is said."""
    mine = Limited(**EIGHT_WIDE)
    found = pf.solve(small_laplace(7), NETWORK, optimizer, options=registered(mine))
    wanted = pf.solve(small_laplace(7), NETWORK, optimizer, options=pf.Options(backend="reference"))
    assert mine.asked == {8}
    assert found.setup.backend == found.end.backend == "limited"
    assert found.possible_errors == wanted.possible_errors != {}
    assert torch.equal(found.net.theta, wanted.net.theta)


def test_training_in_float32_alone() -> None:
    """Point orbits are found, and results are judged, in float64."""
    network = pf.Network("psi", width=2, dtype="float32")
    found = pf.solve(small_laplace(7), network, pf.Adam(8), options=registered(Single()))
    assert found.setup.backend == "limited"
    assert found.possible_errors


def test_files_and_resuming(tmp_path: Path) -> None:
    options = registered(Limited(**EIGHT_WIDE))
    pf.solve(small_laplace(7), NETWORK, pf.Adam(4), out=tmp_path, options=options)
    assert (tmp_path / "solution.png").exists()
    again = pf.Options(backend="limited", resume=True)
    assert pf.solve(small_laplace(7), NETWORK, pf.Adam(8), out=tmp_path, options=again).steps == 8


def test_the_network_that_was_asked_for() -> None:
    """By name it is refused, before any work; automatically the next one does it, as a warning and the result say."""
    options = registered(Limited(widest=7))
    with pytest.raises(pf.BackendLimit, match="takes layers up to 7 wide, got 8"):
        pf.solve(small_laplace(7), NETWORK, pf.Adam(4), options=options)
    pf.unregister_backend("limited")
    options = registered(Limited(widest=7), automatic=True)
    with pytest.warns(RuntimeWarning, match=f"'limited' is not used, but {NEXT!r}: .* 7 wide, got 8") as told:
        found = pf.solve(small_laplace(7), NETWORK, pf.Adam(4), options=options)
    assert len(told) == 1
    assert found.setup.backend == NEXT
    # The next one is within the limits: nothing is left of that.
    small = pf.Network("pinn", layers=[2, 7, 1])
    assert pf.solve(small_laplace(7), small, pf.Adam(4), options=options).setup.backend == "limited"


def test_two_at_work(tmp_path: Path) -> None:
    """Gauss-Newton goes from term to term: derivatives inside are too many, values on the boundary are not."""
    options = registered(Limited(most_channels=3), automatic=True)
    with pytest.warns(RuntimeWarning, match="takes up to 3, got 4"):
        found = pf.solve(small_laplace(7), NETWORK, newton(steps=2, starts=1), out=tmp_path, options=options)
    assert sorted(found.setup.backend.split("+")) == sorted(["limited", NEXT])
    assert (tmp_path / "solution.png").exists()


@pytest.mark.parametrize("automatic", [True, False])
def test_discovery_chooses_its_networks_itself(automatic: bool, tmp_path: Path) -> None:
    """So nothing is refused, and nothing said; the PINN of a comparison is the user's."""
    options = registered(Limited(widest=4), automatic)
    found = pf.discover(small_laplace(9), tests=["problem", "teacher"], steps=3, options=options)
    assert found.teachers
    pf.save_discovery(found, tmp_path)
    assert (tmp_path / "discovery.png").exists()


def test_networks_of_a_comparison() -> None:
    mine = Limited(widest=max(small_laplace(9).default_layers))
    rows = dict(
        pf.run_pipeline(small_laplace(9), pf.Adam(4), discovery={"tests": ["problem"]}, options=registered(mine)).rows
    )
    assert rows["PINN"].setup.backend == "limited"
    assert rows["PINN-post"].setup.backend == "reference"
    pf.unregister_backend("limited")
    with pytest.raises(pf.BackendLimit, match="takes layers up to 4 wide"):
        pf.run_pipeline(small_laplace(9), pf.Adam(4), options=registered(Limited(widest=4)))


def test_whoever_asks_for_either_gets_the_first_within_its_limits() -> None:
    mine = Limited()
    assert registry.or_reference(pf.get_backend("reference")) is pf.get_backend("reference")
    engine = registry.or_reference(registry.or_reference(mine))
    assert engine.name == registry.at_work(engine) == registry.at_work(mine) == "limited"
    assert isinstance(engine, registry.WithFallback)
    assert engine.first is mine
    with registry.networks_of_the_library():
        assert isinstance(pf.get_backend("cpu" if pf.available_backends()["cpu"] is None else "auto"), pf.Backend)
