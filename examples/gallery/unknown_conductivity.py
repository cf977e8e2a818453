# %% [markdown]
# # An unknown function in the equation
#
# Not a number but a whole function of the place is found from measurements: it is one more field of
# the problem.
#
# The temperature of a heated rod satisfies
#
# $$(k u')' + 1 = 0, \qquad u(0) = u(1) = 0,$$
#
# with a conductivity $k(x)$ that nobody knows but at the left end. The temperature is measured at
# 40 places.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from scipy.integrate import solve_bvp

import psinn_fast as pf


def truth(x):
    return 1 + 0.5 * np.sin(2 * np.pi * x)


def rod(x, state):
    _, flux = state
    return [flux / truth(x), -np.ones_like(x)]


line = pf.Box(x=(0, 1))
places = line.grid(40)
grid = np.linspace(0, 1, 201)
reference = solve_bvp(
    rod, lambda left, right: [left[0], right[0]], grid, np.zeros((2, 201)), tol=1e-8
)
measured = reference.sol(places[:, 0])[0]

# %% [markdown]
# The equation has two fields. The second one is $q = \log k$, so that the conductivity stays
# positive; with $k$ itself the search goes astray. `sympy.diff` knows the product rule.

# %%
problem = pf.Problem(
    "rod",
    pf.PDE("x", "u q", lambda u, q, x: sp.diff(sp.exp(q) * u.x, x) + 1),
    line,
    [
        pf.Residual(line.grid(200)),
        pf.Dirichlet(line.boundary(2), u=0.0, name="ends"),
        pf.Dirichlet([[0.0]], q=0.0, name="left end"),
        pf.Data(places, u=measured),
    ],
)
solution = pf.solve(problem, pf.Network(layers=[1, 16, 16, 2]))
print(solution.status)
u, q = solution(grid[:, None]).T
print(f"largest error of k: {np.abs(np.exp(q) - truth(grid)).max():.1e}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(grid, u, label="network")
left.plot(places, measured, ".", label="measured")
left.set(title="temperature u", xlabel="x")
left.legend()
right.plot(grid, np.exp(q), label="found")
right.plot(grid[::10], truth(grid)[::10], ".", label="truth")
right.set(title="conductivity k", xlabel="x")
right.legend()
plt.show()
