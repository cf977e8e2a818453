# %% [markdown]
# # Poisson's equation with boundary values that hold exactly
#
# A network is multiplied by a function that vanishes on the boundary, so that nothing is left of
# the boundary condition to train.
#
# On a round membrane with a round hole that is not at its middle we solve
#
# $$u_{xx} + u_{yy} + 1 = 0, \qquad u = 0 \text{ on all edges.}$$
#
# The ansatz $u = d(x, y)\, N(x, y)$, with a network $N$ and a factor $d$ that is zero on the edges,
# has these values whatever the weights are.

# %%
import matplotlib.pyplot as plt
import numpy as np

import psinn_fast as pf

membrane = pf.Disk((0, 0), 1) - pf.Disk((0.3, 0.2), 0.4)
problem = pf.Problem(
    "membrane",
    pf.PDE("x y", "u", lambda u: u.lap + 1),
    membrane,
    [
        pf.Residual(membrane.random(2000, seed=0)),
        pf.Dirichlet(membrane.boundary(400), u=0.0, name="edges"),
    ],
)

# %% [markdown]
# `pf.distance` writes such a factor in closed form for any shape that is made of lines and circles.
# The condition stays in the problem: the library sees that it holds by the ansatz, and leaves it
# out of the training.

# %%
ansatz = pf.Ansatz(u=lambda u: pf.distance(membrane) * u)
solution = pf.solve(problem, pf.Network(layers=[2, 20, 20, 1], ansatz=ansatz))
print(solution.status)
print(f"largest |u| on the edges: {np.abs(solution(membrane.boundary(1000))).max():.1e}")
print(f"relative error that the residuals allow: {solution.possible_errors['u']:.1e}")

# %%
x = np.linspace(-1, 1, 201)
points = np.stack(np.meshgrid(x, x), axis=-1)
is_inside = membrane.contains(points.reshape(-1, 2)).reshape(201, 201)
u = np.full((201, 201), np.nan)
u[is_inside] = solution(points[is_inside])[:, 0]
figure, axis = plt.subplots(figsize=(5, 4), layout="constrained")
image = axis.contourf(x, x, u, 20)
axis.set(title="deflection u of the membrane", xlabel="x", ylabel="y", aspect="equal")
figure.colorbar(image)
plt.show()
