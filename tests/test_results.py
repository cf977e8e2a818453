"""Solutions are functions of points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import psinn_fast as pf


@pytest.fixture(scope="module")
def solution() -> pf.Solution:
    return pf.solve("burgers", pf.Network("pinn", layers=[2, 6, 1], dtype="float64"), pf.Adam(2), seed=0)


def test_a_solution_is_called_with_points(solution: pf.Solution) -> None:
    points = [[0.1, 0.2], [0.3, -0.4]]
    found = solution(points)
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, solution.net.predict(points))
    assert torch.equal(solution(torch.tensor(points, dtype=torch.float64)), torch.from_numpy(found))


@pytest.mark.parametrize("activation", ["tanh", "sin"])
def test_results_say_the_activation(activation: str) -> None:
    found = pf.solve("laplace", pf.Network("pinn", layers=[2, 4, 1], activation=activation), pf.Adam(1))
    assert found.setup.activation == found.to_dict()["activation"] == activation
    assert f"by pinn, 17 parameters, {activation}, adam, float32 (ieee)" in repr(found)


def test_what_fit_gives_is_called_too() -> None:
    result = pf.fit("laplace", pf.MLP([2, 5, 1], seed=0), pf.Adam(1))
    assert np.array_equal(result([0.0, 1.0]), result.net.predict([0.0, 1.0]))


def test_derivatives_have_the_problems_names(solution: pf.Solution) -> None:
    points = np.random.default_rng(0).uniform(0, 1, (20, 2))
    assert solution.problem.pde.coords == ("t", "x")
    found = solution.derivatives(points, "u u_t u_xx")
    x = torch.tensor(points, requires_grad=True)
    u = solution.net.to_sequential()(x)
    u_t, u_x = torch.autograd.grad(u.sum(), x, create_graph=True)[0].unbind(-1)
    u_xx = torch.autograd.grad(u_x.sum(), x)[0][:, 1]
    for name, expected in (("u", u[:, 0]), ("u_t", u_t), ("u_xx", u_xx)):
        # Other orders of the same sums.
        np.testing.assert_allclose(found[name], expected.detach().numpy(), rtol=0, atol=1e-13)
    one = solution.derivatives(points[0], "u_t").u_t
    assert one.shape == ()
    np.testing.assert_allclose(one, found.u_t[0], rtol=0, atol=1e-13)
    with pytest.raises(pf.InputError, match=r"wanted: 'u_y' is no derivative of the fields \['u'\] by \['t', 'x'\]"):
        solution.derivatives(points, "u_y")
