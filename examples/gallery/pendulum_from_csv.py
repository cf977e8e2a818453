# %% [markdown]
# # A pendulum's length and damping from a file of measurements
#
# Two unknown numbers of an ordinary differential equation are found from a table of angles in a CSV
# file.
#
# A damped pendulum of length $L$ swings by
#
# $$\ddot\varphi + c\, \dot\varphi + \frac{g}{L} \sin\varphi = 0, \qquad g = 9.81\ \mathrm{m/s^2}.$$
#
# First we make a file as a camera might have written it: 60 angles in 6 seconds, with an error of
# 0.02 rad.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

import psinn_fast as pf

length, damping = 0.8, 0.3
times = np.linspace(0, 6, 60)


def pendulum(t, state):
    angle, velocity = state
    return [velocity, -damping * velocity - 9.81 / length * np.sin(angle)]


angles = solve_ivp(pendulum, (0, 6), [1.2, 0.0], t_eval=times, rtol=1e-8).y[0]
angles += np.random.default_rng(0).normal(0, 0.02, 60)
np.savetxt(
    "pendulum.csv",
    np.stack([times, angles], axis=1),
    delimiter=",",
    header="t,phi",
    comments="",
    fmt="%.4f",
)

# %% [markdown]
# `pf.read_table` reads columns by name and refuses what could be misread. The equation is all else
# that is known: neither the first angle nor the first velocity is given. After 200 steps of
# Gauss-Newton the errors are those of the measurements; many more would fit their noise.

# %%
table = pf.read_table("pendulum.csv")
print(table)
line = pf.Box(t=(0, 6))
problem = pf.Problem(
    "pendulum",
    pf.PDE(
        "t",
        "phi",
        lambda phi, L, c: phi.t.t + c * phi.t + 9.81 / L * sp.sin(phi),
        unknown={"L": 1.0, "c": 0.1},
    ),
    line,
    [pf.Residual(line.grid(200)), pf.Data(table.points("t"), phi=table["phi"])],
    bounds={"L": (0, None), "c": (0, None)},
)
solution = pf.solve(problem, pf.Network(layers=[1, 24, 24, 1]), pf.GaussNewton(200))
print(solution.status)
print(f"length:  {solution.coefficients['L']:.3f} m (truth: {length} m)")
print(f"damping: {solution.coefficients['c']:.3f} /s (truth: {damping} /s)")

# %%
t = np.linspace(0, 6, 301)
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
axis.plot(t, solution(t[:, None]), label="network")
axis.plot(times, angles, ".", label="measured")
axis.set(title="angle of the pendulum", xlabel="t [s]", ylabel="angle [rad]")
axis.legend()
plt.show()
