# %% [markdown]
# # Burgers' equation with a shock
#
# The field's standard test of a steep front is solved to four digits by a second-order optimiser
# and a network that knows the start.
#
# On $t \in [0, 1]$, $x \in [-1, 1]$ we solve
#
# $$u_t + u u_x = \frac{0.01}{\pi} u_{xx}, \qquad u(0, x) = -\sin(\pi x), \qquad u(t, \pm 1) = 0.$$
#
# A front forms at $t = 1 / \pi$ and is then about 0.01 wide.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import psinn_fast as pf

nu = 0.01 / np.pi


def hopf_cole(points):
    """The exact solution: a quotient of two integrals over y, by Gauss and Hermite."""
    y, weights = np.polynomial.hermite.hermgauss(100)
    t, x = points[:, :1], points[:, 1:]
    place = x - y * np.sqrt(4 * nu * t)
    size = weights * np.exp(-np.cos(np.pi * place) / (2 * np.pi * nu) + 0)
    return -(size * np.sin(np.pi * place)).sum(1) / size.sum(1)


box = pf.Box(t=(0, 1), x=(-1, 1))
problem = pf.Problem(
    "burgers",
    pf.PDE("t x", "u", lambda u: u.t + u * u.x - nu * u.xx),
    box,
    [
        pf.Residual(box.random(3000, seed=0)),
        pf.Dirichlet(box.boundary(101, "t_low"), u=lambda t, x: -np.sin(np.pi * x), name="start"),
        pf.Dirichlet(box.boundary(51, ["x_low", "x_high"]), u=0.0, name="ends"),
    ],
    exact=hopf_cole,
)

# %% [markdown]
# The ansatz $u = -\sin(\pi x) + t\,(1 - x^2)\, N(t, x)$ has the first state and the values at the
# ends, so that the equation alone is trained, by 300 steps of Gauss-Newton.

# %%
ansatz = pf.Ansatz(u=lambda u, t, x: -sp.sin(sp.pi * x) + t * (1 - x**2) * u)
solution = pf.solve(problem, pf.Network(layers=[2, 20, 20, 1], ansatz=ansatz), pf.GaussNewton(300))
print(solution.status)
print(f"relative L2 error: {solution.metrics['relative_l2']:.1e}")

# %%
t, x = np.linspace(0, 1, 101), np.linspace(-1, 1, 401)
u = solution(np.stack(np.meshgrid(t, x, indexing="ij"), axis=-1))[..., 0]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
image = left.pcolormesh(t, x, u.T, cmap="RdBu_r")
left.set(title="u", xlabel="t", ylabel="x")
figure.colorbar(image)
for time in [0.0, 0.25, 0.5, 1.0]:
    points = np.stack([np.full_like(x, time), x], axis=-1)
    (line,) = right.plot(x, solution(points), label=f"t = {time}")
    right.plot(x[::20], hopf_cole(points[::20]), ".", color=line.get_color())
right.set(title="u at four times (dots: exact)", xlabel="x", ylabel="u")
right.legend()
plt.show()
