# %% [markdown]
# # Two solitons of the Korteweg-de Vries equation
#
# A fast wave overtakes a slow one, and both leave the collision unchanged: third derivatives are as
# simple to write as first ones.
#
# On $x \in [-10, 10]$, $t \in [-2, 2]$ we solve
#
# $$u_t + 6 u u_x + u_{xxx} = 0$$
#
# with the first state and the boundary values of two solitons, $u = 2\, \partial_x^2 \log F$ with a
# sum $F$ of exponentials (Hirota 1971), which SymPy differentiates for us.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import psinn_fast as pf

t, x = sp.symbols("t x")
slow, fast = 1.0, 1.6
first, second = (sp.exp(k * x - k**3 * t) for k in (slow, fast))
F = 1 + first + second + ((fast - slow) / (fast + slow)) ** 2 * first * second
u = 2 * sp.diff(sp.log(F), x, 2)
solitons, slope = sp.lambdify((t, x), u), sp.lambdify((t, x), sp.diff(u, x))

box = pf.Box(t=(-2, 2), x=(-10, 10))
ends = ["x_low", "x_high"]
problem = pf.Problem(
    "solitons",
    pf.PDE("t x", "u", lambda u: u.t + 6 * u * u.x + u.xxx),
    box,
    [
        pf.Residual(box.random(3000, seed=0)),
        pf.Dirichlet(box.boundary(201, "t_low"), u=solitons, name="start"),
        pf.Dirichlet(box.boundary(101, ends), u=solitons, name="values"),
        pf.Neumann(box.boundary(101, "x_high"), u=slope, name="slope"),
    ],
    exact=lambda points: solitons(*points.T),
)

# %% [markdown]
# An equation of third order takes three conditions in $x$: two values and a slope at the right end.
# Gauss-Newton, the default, would go on until it has converged; 400 steps are enough here.

# %%
solution = pf.solve(problem, pf.Network(layers=[2, 24, 24, 1]), pf.GaussNewton(400))
print(solution.status)
print(f"relative L2 error: {solution.metrics['relative_l2']:.1e}")

# %%
times, places = np.linspace(-2, 2, 161), np.linspace(-10, 10, 241)
points = np.stack(np.meshgrid(times, places, indexing="ij"), axis=-1)
found = solution(points)[..., 0]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
image = left.pcolormesh(times, places, found.T)
left.set(title="u", xlabel="t", ylabel="x")
figure.colorbar(image)
for row in [0, 80, 160]:
    (curve,) = right.plot(places, found[row], label=f"t = {times[row]:g}")
    right.plot(places[::6], solitons(times[row], places[::6]), ".", color=curve.get_color())
right.set(title="u at three times (dots: exact)", xlabel="x", ylabel="u", ylim=(None, 1.5))
right.legend(ncols=3, loc="upper center")
plt.show()
