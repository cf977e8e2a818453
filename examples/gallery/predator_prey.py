# %% [markdown]
# # Predators and prey
#
# A system of ordinary differential equations is a problem with one coordinate and several fields.
#
# Hares $h$ and foxes $f$ follow the equations of Lotka and Volterra,
#
# $$\dot h = h - h f, \qquad \dot f = h f - f, \qquad h(0) = 2,\ f(0) = 1.$$

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import solve_ivp

import psinn_fast as pf

line = pf.Box(t=(0, 12))
problem = pf.Problem(
    "hares and foxes",
    pf.PDE("t", "h f", lambda h, f: [h.t - h + h * f, f.t - h * f + f]),
    line,
    [pf.Residual(line.grid(300)), pf.Dirichlet([[0.0]], h=2.0, f=1.0, name="start")],
)

# %% [markdown]
# Long times are easier in windows: `pf.march` gives each a small network of its own, which begins
# where the one before it ended.

# %%
solution = pf.march(problem, pf.Network(layers=[1, 12, 12, 2]), tolerance=1e-5)
print(f"{solution.status}, in {len(solution.windows)} windows")

# %% [markdown]
# A Runge-Kutta method with a tolerance of 1e-12 says how accurate that is.

# %%
t = np.linspace(0, 12, 241)


def rates(t, state):
    hares, foxes = state
    return [hares - hares * foxes, hares * foxes - foxes]


reference = solve_ivp(rates, (0, 12), [2, 1], t_eval=t, rtol=1e-12, atol=1e-12).y.T
found = solution(t[:, None])
print(f"relative L2 error: {np.linalg.norm(found - reference) / np.linalg.norm(reference):.1e}")
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for field, name in enumerate(["hares", "foxes"]):
    (curve,) = left.plot(t, found[:, field], label=name)
    left.plot(t[::10], reference[::10, field], ".", color=curve.get_color())
left.set(title="numbers (dots: Runge-Kutta)", xlabel="t", ylabel="animals")
left.legend()
right.plot(*found.T)
right.set(title="every orbit is closed", xlabel="hares", ylabel="foxes")
plt.show()
