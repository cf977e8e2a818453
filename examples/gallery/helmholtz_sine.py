# %% [markdown]
# # Helmholtz' equation with sines as activations
#
# Waves are found by a network of waves: the activation is one word, and it decides how far training
# gets.
#
# On $[-1, 1]^2$ we solve
#
# $$u_{xx} + u_{yy} + u = q(x, y), \qquad u = 0 \text{ on the boundary,}$$
#
# with a source $q$ for which $u = \sin(\pi x) \sin(4 \pi y)$.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import psinn_fast as pf

x, y = sp.symbols("x y")
u = sp.sin(sp.pi * x) * sp.sin(4 * sp.pi * y)
source = sp.diff(u, x, 2) + sp.diff(u, y, 2) + u
exact = sp.lambdify((x, y), u)

box = pf.Box(x=(-1, 1), y=(-1, 1))
problem = pf.Problem(
    "helmholtz",
    pf.PDE("x y", "u", lambda u: u.lap + u - source),
    box,
    [pf.Residual(box.random(3000, seed=0)), pf.Dirichlet(box.boundary(101), u=0.0)],
    exact=lambda points: exact(*points.T),
)

# %% [markdown]
# The same network is trained twice by 200 steps of Gauss-Newton, with hyperbolic tangents and with
# sines.

# %%
solutions = {}
for name in ("tanh", "sin"):
    network = pf.Network(layers=[2, 20, 20, 1], activation=name)
    solutions[name] = solution = pf.solve(problem, network, pf.GaussNewton(200))
    print(f"{name}: relative L2 error {solution.metrics['relative_l2']:.1e}")

# %%
line = np.linspace(-1, 1, 161)
points = np.stack(np.meshgrid(line, line), axis=-1)
found = solutions["sin"](points)[..., 0]
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
image = left.pcolormesh(line, line, found, cmap="RdBu_r")
left.set(title="u, sines", xlabel="x", ylabel="y")
figure.colorbar(image)
image = middle.pcolormesh(line, line, found - exact(points[..., 0], points[..., 1]), cmap="RdBu_r")
middle.set(title="error of u, sines", xlabel="x")
figure.colorbar(image)
for name, solution in solutions.items():
    right.semilogy(solution.history["step"], solution.history["relative_l2"], label=name)
right.set(title="relative L2 error", xlabel="step of Gauss-Newton")
right.legend()
plt.show()
