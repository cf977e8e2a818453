# %% [markdown]
# # An unknown diffusivity from noisy data
#
# A coefficient of the equation is trained beside the network, from 200 measurements with an error
# of 5 per cent.
#
# A temperature follows
#
# $$u_t = a\, u_{xx}, \qquad u(t, 0) = u(t, 1) = 0,$$
#
# with an unknown $a$. We know $u$ at 200 points of $t \in [0, 1]$, $x \in [0, 1]$, and nothing of
# the first state.

# %%
import matplotlib.pyplot as plt
import numpy as np

import psinn_fast as pf

truth = 0.1


def temperature(t, x):
    slow, fast = np.exp(-truth * np.pi**2 * t), np.exp(-truth * 4 * np.pi**2 * t)
    return slow * np.sin(np.pi * x) + 0.5 * fast * np.sin(2 * np.pi * x)


box = pf.Box(t=(0, 1), x=(0, 1))
places = box.random(200, seed=1)
measured = temperature(*places.T) + np.random.default_rng(0).normal(0, 0.05, 200)

# %% [markdown]
# `unknown` names the coefficient and says where the search for it begins. Bounds keep it positive.
# The default optimiser looks at the data, and says what it chose.

# %%
problem = pf.Problem(
    "diffusivity",
    pf.PDE("t x", "u", lambda u, a: u.t - a * u.xx, unknown={"a": 1.0}),
    box,
    [
        pf.Residual(box.random(1000, seed=0)),
        pf.Dirichlet(box.boundary(50, ["x_low", "x_high"]), u=0.0, name="ends"),
        pf.Data(places, u=measured),
    ],
    bounds={"a": (0, None)},
)
solution = pf.solve(problem, pf.Network(layers=[2, 16, 16, 1]))
print(solution.setup.chosen)
print(f"a = {solution.coefficients['a']:.4f}, the truth is {truth}")
print(f"residuals allow a relative error of {solution.possible_errors['a']:.1e}")
print(f"the truth is off by {abs(truth - solution.coefficients['a']) / truth:.1e}")

# %% [markdown]
# What residuals allow is no error bar: it says how well the network solves the equation, and
# leaves out the noise of the data. Other draws of the noise put the truth outside of it. An error
# bar, the uncertainty that the noise leaves in $a$, comes from refits on redrawn noise
# ([how](../guides/inverse.md#error-bars)).

# %%
x = np.linspace(0, 1, 101)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for t in [0.0, 0.2, 0.5, 1.0]:
    (line,) = left.plot(x, solution(np.stack([np.full_like(x, t), x], axis=-1)), label=f"t = {t}")
    left.plot(x[::5], temperature(t, x[::5]), ".", color=line.get_color())
left.set(title="u (dots: the truth)", xlabel="x", ylabel="u")
left.legend()
right.plot(solution.history["step"], solution.history["a"])
right.axhline(truth, color="grey", linestyle="--")
right.set(
    title="the diffusivity (dashed: the truth)", xlabel="step of Adam", ylabel="a", xlim=(0, 5000)
)
plt.show()
