# %% [markdown]
# # One network for all viscosities
#
# A coefficient becomes an input, and one training gives the solutions of a whole family of
# problems.
#
# Burgers' equation
#
# $$u_t + u u_x = \nu u_{xx}, \qquad u(0, x) = -\sin(\pi x), \qquad u(t, \pm 1) = 0$$
#
# is solved for all $\nu \in [0.02, 0.2]$ at once.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import psinn_fast as pf


def hopf_cole(points):
    """The exact solution: a quotient of two integrals over y, by Gauss and Hermite."""
    y, weights = np.polynomial.hermite.hermgauss(100)
    t, x, nu = points.T[..., None]
    place = x - y * np.sqrt(4 * nu * t)
    size = weights * np.exp(-np.cos(np.pi * place) / (2 * np.pi * nu))
    return -(size * np.sin(np.pi * place)).sum(1) / size.sum(1)


box = pf.Box(t=(0, 1), x=(-1, 1), nu=(0.02, 0.2))
problem = pf.Problem(
    "burgers, all nu",
    pf.PDE("t x nu", "u", lambda u, nu: u.t + u * u.x - nu * u.xx, parameters="nu"),
    box,
    [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(
            box.boundary(15, "t_low"), u=lambda t, x, nu: -np.sin(np.pi * x), name="start"
        ),
        pf.Dirichlet(box.boundary(15, ["x_low", "x_high"]), u=0.0, name="ends"),
    ],
    exact=hopf_cole,
)

# %% [markdown]
# `parameters` says that no derivative is taken along `nu` and that its ends take no conditions. The
# ansatz has the first state and the values at the ends for every viscosity, so that 300 steps of
# Gauss-Newton train the equation alone.

# %%
ansatz = pf.Ansatz(u=lambda u, t, x: -sp.sin(sp.pi * x) + t * (1 - x**2) * u)
solution = pf.solve(problem, pf.Network(layers=[3, 20, 20, 1], ansatz=ansatz), pf.GaussNewton(300))
print(solution.status)
print(f"relative L2 error over all t, x and nu: {solution.metrics['relative_l2']:.1e}")

# %%
x = np.linspace(-1, 1, 201)
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
for nu in [0.02, 0.05, 0.1, 0.2]:
    points = np.stack([np.ones_like(x), x, np.full_like(x, nu)], axis=-1)
    (line,) = axis.plot(x, solution(points), label=f"nu = {nu}")
    axis.plot(x[::10], hopf_cole(points[::10]), ".", color=line.get_color())
axis.set(title="u at t = 1 (dots: exact)", xlabel="x", ylabel="u")
axis.legend()
plt.show()
