# %% [markdown]
# # Flow in a lid-driven cavity
#
# The stationary Navier-Stokes equations have three fields and three equations, written as in a
# textbook.
#
# In the unit square, at a Reynolds number of 100, we look for velocities $u, v$ and a pressure $p$
# with
#
# $$u_x + v_y = 0, \qquad (u \partial_x + v \partial_y) (u, v) = -\nabla p + \tfrac{1}{100} \Delta (u, v).$$
#
# The lid at the top moves with $u = 16 x^2 (1 - x)^2$, so that nothing jumps in its corners; the
# other walls are at rest.

# %%
import matplotlib.pyplot as plt
import numpy as np

import psinn_fast as pf


def navier_stokes(u, v, p):
    return [
        u.x + v.y,
        u * u.x + v * u.y + p.x - u.lap / 100,
        u * v.x + v * v.y + p.y - v.lap / 100,
    ]


box = pf.Box(x=(0, 1), y=(0, 1))
walls = ["x_low", "x_high", "y_low"]
problem = pf.Problem(
    "cavity",
    pf.PDE("x y", "u v p", navier_stokes),
    box,
    [
        pf.Residual(box.random(3000, seed=0)),
        pf.Dirichlet(
            box.boundary(101, "y_high"), u=lambda x, y: 16 * x**2 * (1 - x) ** 2, v=0.0, name="lid"
        ),
        pf.Dirichlet(box.boundary(101, walls), u=0.0, v=0.0, name="walls"),
        pf.Mean(box.grid(30), lambda p: p, 0.0, name="level of the pressure"),
    ],
)

# %% [markdown]
# A pressure is known up to a constant, so its mean is set to zero. 200 steps of Gauss-Newton leave
# errors of about one per cent.

# %%
solution = pf.solve(problem, pf.Network(layers=[2, 24, 24, 3]), pf.GaussNewton(200))
print(solution.status)

# %% [markdown]
# The residuals that are left say how accurate each field is, without a reference.

# %%
for field, error in solution.possible_errors.items():
    print(f"{field}: relative error of up to {error:.1e}")

# %%
line = np.linspace(0, 1, 101)
u, v, p = np.moveaxis(solution(np.stack(np.meshgrid(line, line), axis=-1)), -1, 0)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
image = left.pcolormesh(line, line, np.hypot(u, v), cmap="viridis")
left.streamplot(line, line, u, v, color="white", linewidth=0.6, density=1.2, arrowsize=0.7)
left.set(
    title="speed and streamlines", xlabel="x", ylabel="y", aspect="equal", xlim=(0, 1), ylim=(0, 1)
)
figure.colorbar(image, ax=left)
image = right.contourf(line, line, p, 30, cmap="RdBu_r")
right.set(title="pressure", xlabel="x", aspect="equal")
figure.colorbar(image, ax=right)
plt.show()
