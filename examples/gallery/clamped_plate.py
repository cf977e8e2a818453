# %% [markdown]
# # Bending of a clamped plate
#
# A fourth-order equation is written as the Laplacian of a Laplacian, and a number of the textbooks
# comes out in seconds.
#
# A square plate of side 1, clamped at its edges, bends under a uniform load by a deflection $w$
# with
#
# $$\Delta \Delta w = 1, \qquad w = 0 \text{ and } \frac{\partial w}{\partial n} = 0 \text{ on the edges.}$$
#
# The largest deflection is 0.00126 (Timoshenko & Woinowsky-Krieger 1959).

# %%
import matplotlib.pyplot as plt
import numpy as np

import psinn_fast as pf

plate = pf.Box(x=(0, 1), y=(0, 1))
edges = plate.boundary(50)
problem = pf.Problem(
    "clamped plate",
    pf.PDE("x y", "w", lambda w: w.lap.lap - 1),
    plate,
    [
        pf.Residual(plate.random(2000, seed=0)),
        pf.Dirichlet(edges, w=0.0, name="edges"),
        pf.Neumann(edges, w=0.0, name="clamps"),
    ],
)

# %% [markdown]
# 250 steps of Gauss-Newton, the default optimiser, are enough for moments, too, which are second
# derivatives.

# %%
solution = pf.solve(problem, pf.Network(layers=[2, 20, 20, 1]), pf.GaussNewton(250))
print(solution.status)
print(f"deflection in the middle: {solution([0.5, 0.5])[0]:.6f}")

# %% [markdown]
# Derivatives of a solution are asked for by name. The bending moment is largest in the middle of
# each edge, where plates break.

# %%
edge = solution.derivatives([0.0, 0.5], "w_xx")
print(f"bending moment there: {-edge.w_xx:.4f} (Timoshenko: -0.0513)")
line = np.linspace(0, 1, 121)
points = np.stack(np.meshgrid(line, line), axis=-1)
d = solution.derivatives(points, "w w_xx w_yy")
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
image = left.contourf(line, line, 1000 * d.w, 20)
left.set(title="1000 times the deflection w", xlabel="x", ylabel="y", aspect="equal")
figure.colorbar(image, ax=left)
image = right.contourf(
    line, line, -(d.w_xx + 0.3 * d.w_yy), np.linspace(-0.054, 0.054, 19), cmap="RdBu_r"
)
right.set(title="bending moment along x", xlabel="x", aspect="equal")
figure.colorbar(image, ax=right)
plt.show()
