"""Drag, pressure difference and fluxes of flows that are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import psinn_fast as pf
from psinn_fast.flow_reference import PAPER, reference_flow
from psinn_fast.networks.derivatives import Derivatives
from psinn_fast.problems.flow_quantities import drag_coefficient, flow_quantities, flux, pressure_difference

PER_FORCE = 2 / (PAPER.mean_speed**2 * 2 * PAPER.radius)


def developed(points: npt.ArrayLike, wanted: str) -> Derivatives[npt.NDArray[np.float64]]:
    """Poiseuille's flow, as if there were no cylinder."""
    x, y = np.asarray(points).T
    found = {"u": 1 - (y / 0.2) ** 2, "u_x": 0 * x, "u_y": -2 * y / 0.04, "v": 0 * x, "v_x": 0 * x, "p": (1.1 - x)}
    return Derivatives({name: found[name] for name in wanted.split()})


def strained(points: npt.ArrayLike, wanted: str) -> Derivatives[npt.NDArray[np.float64]]:
    """u = x y + (x - 0.2)^2, v = 3 x^2, p = 0: its viscous stress alone."""
    x, y = np.asarray(points).T
    found = {"u_x": y + 2 * (x - 0.2), "u_y": x, "v_x": 6 * x, "p": 0 * x}
    return Derivatives({name: found[name] for name in wanted.split()})


def test_developed_flow_has_what_its_integrals_say() -> None:
    # Stress of any smooth flow integrates to that of its divergence in the disk: -p_x + mu u_yy = 0.
    assert drag_coefficient(developed) == pytest.approx(PER_FORCE * np.pi * 0.05**2 * (1 - 2 * 0.02 / 0.04), abs=1e-12)
    assert pressure_difference(developed) == pytest.approx(0.1, rel=1e-12)
    for x in (0.0, 0.55, 1.1):
        assert flux(developed, x) == pytest.approx(2 / 3 * 0.4, rel=1e-14)


def test_drag_is_the_whole_stress_of_viscosity() -> None:
    # (2 mu u_x)_x + (mu (u_y + v_x))_y = 4 mu in the disk.
    assert drag_coefficient(strained) == pytest.approx(PER_FORCE * np.pi * 0.05**2 * 4 * PAPER.mu, rel=1e-12)


def test_references_are_those_of_the_finite_elements() -> None:
    known, found = reference_flow().quantities, flow_quantities()
    assert found["drag"].reference == known["drag"] == pytest.approx(20.570461, rel=1e-6)
    assert found["flux_middle"].reference == pytest.approx(2 / 3 * 0.4, rel=1e-12)
    at = reference_flow()
    front, back = at([[0.15, 0], [0.25, 0]])[:, 2]
    assert front - back == pytest.approx(found["pressure_difference"].reference, rel=1e-12)


def test_results_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    solution = pf.solve("cylinder", pf.Network("psi", width=2), pf.Adam(1))
    assert list(solution.quantities) == ["drag", "pressure_difference", "flux_in", "flux_middle", "flux_out"]
    assert solution.quantities == solution.problem.quantities_of(solution.net) == solution.to_dict()["quantities"]
    again = {name: q.function(solution.derivatives) for name, q in solution.problem.quantities.items()}
    assert solution.quantities == again
    assert f"drag = {solution.quantities['drag']:.6g} (reference 20.5705, " in str(solution)
    assert set(solution.metrics["part_rmse"]) == {"inlet", "outlet", "walls", "cylinder"}
    assert set(solution.metrics["part_rmse"]["walls"]) == {"u", "v", "p"}  # type: ignore[arg-type]
