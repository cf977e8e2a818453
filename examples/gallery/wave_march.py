# %% [markdown]
# # A vibrating string, marched in time
#
# Long times are cut into windows, and each window has a network of its own that begins exactly
# where the one before it ended.
#
# A string between two fixed ends is plucked as a narrow bump and let go:
#
# $$u_{tt} = u_{xx}, \qquad u(0, x) = e^{-25 (x - 0.3)^2}\, \sin(\pi x), \qquad u_t(0, x) = 0,
# \qquad u(t, 0) = u(t, 1) = 0.$$

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import psinn_fast as pf


def bump(t, x):
    return np.exp(-25 * (x - 0.3) ** 2) * np.sin(np.pi * x)


box = pf.Box(t=(0, 2), x=(0, 1))
start, ends = box.boundary(101, "t_low"), box.boundary(51, ["x_low", "x_high"])
problem = pf.Problem(
    "string",
    pf.PDE("t x", "u", lambda u: u.t.t - u.xx),
    box,
    [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(start, u=bump, name="shape"),
        pf.Neumann(start, u=0.0, name="at rest"),
        pf.Dirichlet(ends, u=0.0, name="ends"),
    ],
)

# %% [markdown]
# The ansatz keeps the ends fixed. The first shape is a formula, so that it holds exactly, too; what
# is left to train is the equation.

# %%
network = pf.Network(
    layers=[2, 24, 24, 1], ansatz=pf.Ansatz(u=lambda u, x: sp.sin(sp.pi * x) * u), activation="sin"
)
solution = pf.march(problem, network, windows=8, tolerance=1e-2)
print(solution.status)

# %% [markdown]
# After one period, $t = 2$, the string is back at its first shape: a check that needs no exact
# solution.

# %%
t, x = np.linspace(0, 2, 201), np.linspace(0, 1, 101)
u = solution(np.stack(np.meshgrid(t, x, indexing="ij"), axis=-1))[..., 0]
print(f"largest difference after one period: {np.abs(u[-1] - u[0]).max():.1e}")
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
image = left.pcolormesh(t, x, u.T, cmap="RdBu_r", vmin=-1, vmax=1)
for edge in solution.edges[1:-1]:
    left.axvline(edge, color="grey", linewidth=0.5)
left.set(title="u (grey: ends of windows)", xlabel="t", ylabel="x")
figure.colorbar(image)
for row in [0, 25, 50, 100]:
    right.plot(x, u[row], label=f"t = {t[row]:.2f}")
right.set(title="the string at four times", xlabel="x", ylabel="u", ylim=(-1, 1.5))
right.legend(ncols=2, fontsize="small", loc="upper right")
plt.show()
