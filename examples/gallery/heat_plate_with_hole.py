# %% [markdown]
# # Heat in a plate with a hole
#
# A geometry is written as one shape minus another, times an interval of time.
#
# A plate of 2 by 1 with a round hole is cold at first. Its left edge is then warmed up to $1 -
# e^{-5 t}$, its right edge stays cold, and nothing flows through the other edges and the hole:
#
# $$u_t = \tfrac{1}{2} (u_{xx} + u_{yy}), \qquad u(0, x, y) = 0, \qquad \frac{\partial u}{\partial n} = 0.$$

# %%
import matplotlib.pyplot as plt
import numpy as np

import psinn_fast as pf

plate = pf.Box(x=(0, 2), y=(0, 1)) - pf.Disk((0.8, 0.45), 0.25).renamed({"rim": "hole"})
domain = pf.Box(t=(0, 1)) * plate
print(domain.parts)

# %% [markdown]
# Each part of the boundary has a name, by which conditions ask for points on it, with their
# normals. 250 steps of Gauss-Newton, the default, are enough here; without a number it goes on
# until it has converged.

# %%
insulated = ["y_low", "y_high", "hole"]
problem = pf.Problem(
    "plate",
    pf.PDE("t x y", "u", lambda u: u.t - 0.5 * u.lap),
    domain,
    [
        pf.Residual(domain.random(3000, seed=0)),
        pf.Dirichlet(domain.boundary(400, "t_low"), u=0.0, name="start"),
        pf.Dirichlet(
            domain.boundary(300, "x_low"), u=lambda t, x, y: 1 - np.exp(-5 * t), name="warm"
        ),
        pf.Dirichlet(domain.boundary(300, "x_high"), u=0.0, name="cold"),
        pf.Neumann(domain.boundary(600, insulated), u=0.0, name="insulated"),
    ],
)
solution = pf.solve(problem, pf.Network(layers=[3, 24, 24, 1]), pf.GaussNewton(250))
print(solution.status)
print(f"relative error that the residuals allow: {solution.possible_errors['u']:.1e}")

# %%
x, y = np.meshgrid(np.linspace(0, 2, 321), np.linspace(0, 1, 161))
is_inside = plate.contains(np.stack([x, y], axis=-1).reshape(-1, 2)).reshape(x.shape)
u = np.full(x.shape, np.nan)
figure, axes = plt.subplots(1, 3, figsize=(11, 2.4), layout="constrained", sharey=True)
for axis, t in zip(axes, [0.2, 0.5, 1.0], strict=True):
    u[is_inside] = solution(np.stack([np.full_like(x, t), x, y], axis=-1)[is_inside])[:, 0]
    image = axis.pcolormesh(x, y, u, vmin=0, vmax=1, cmap="inferno", rasterized=True)
    axis.set(title=f"t = {t}", xlabel="x", aspect="equal")
axes[0].set_ylabel("y")
figure.colorbar(image, ax=axes, label="temperature u")
plt.show()
