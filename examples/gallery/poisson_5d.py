# %% [markdown]
# # Poisson's equation in five dimensions
#
# Points in a box of five coordinates cost no more than points in a plane, where a grid would have
# millions of cells.
#
# On $[0, 1]^5$ we solve
#
# $$\sum_{i=1}^{5} \frac{\partial^2 u}{\partial x_i^2} = -\frac{\pi^2}{4} \sum_{i=1}^{5} \sin \frac{\pi x_i}{2}$$
#
# with the values of $u = \sum_i \sin(\pi x_i / 2)$ on the boundary.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import psinn_fast as pf


def exact(points):
    return np.sin(np.pi / 2 * points).sum(axis=1)


coords = sp.symbols("a b c d e")
source = sum(sp.pi**2 / 4 * sp.sin(sp.pi / 2 * x) for x in coords)
box = pf.Box(a=(0, 1), b=(0, 1), c=(0, 1), d=(0, 1), e=(0, 1))
faces = box.boundary(3)
problem = pf.Problem(
    "poisson, 5 dimensions",
    pf.PDE("a b c d e", "u", lambda u: u.lap + source),
    box,
    [
        pf.Residual(box.random(2000, seed=0)),
        pf.Dirichlet(faces, u=lambda *x: exact(np.stack(x, axis=1))),
    ],
    exact=exact,
)

# %% [markdown]
# Nothing else depends on the number of coordinates. 100 steps of Gauss-Newton are enough for four
# digits.

# %%
solution = pf.solve(problem, pf.Network(layers=[5, 20, 20, 1]), pf.GaussNewton(100))
print(solution.status)
print(f"{len(faces)} points on the {len(box.parts)} faces")
print(f"relative L2 error: {solution.metrics['relative_l2']:.1e}")

# %% [markdown]
# The error is measured at points that training never saw. Below, every point is a random one of the
# whole box.

# %%
points = np.random.default_rng(1).uniform(0, 1, (2000, 5))
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot(exact(points), solution(points), ".", markersize=2)
left.set(title="2,000 random points", xlabel="exact u", ylabel="u of the network")
right.semilogy(solution.history["step"], solution.history["relative_l2"])
right.set(title="relative L2 error", xlabel="step of Gauss-Newton")
plt.show()
