# %% [markdown]
# # A breather of the nonlinear Schrödinger equation
#
# A complex wave is two real fields, its real and its imaginary part, and complex equations are
# split by SymPy.
#
# On $t \in [0, \pi / 2]$, $x \in [-4, 4]$ we solve
#
# $$i \psi_t + \tfrac12 \psi_{xx} + |\psi|^2 \psi = 0, \qquad \psi(0, x) = \frac{2}{\cosh x}.$$
#
# The wave contracts and widens again with the period $\pi / 2$, in a closed form that gives the
# values at the ends.

# %%
import matplotlib.pyplot as plt
import numpy as np

import psinn_fast as pf


def breather(t, x):
    top = 4 * np.exp(0.5j * t) * (np.cosh(3 * x) + 3 * np.exp(4j * t) * np.cosh(x))
    return top / (np.cosh(4 * x) + 4 * np.cosh(2 * x) + 3 * np.cos(4 * t))


def schroedinger(u, v):
    intensity = u**2 + v**2
    return [-v.t + u.xx / 2 + intensity * u, u.t + v.xx / 2 + intensity * v]


def real(t, x):
    return breather(t, x).real


def imaginary(t, x):
    return breather(t, x).imag


box = pf.Box(t=(0, np.pi / 2), x=(-4, 4))
problem = pf.Problem(
    "breather",
    pf.PDE("t x", "u v", schroedinger),
    box,
    [
        pf.Residual(box.random(4000, seed=0)),
        pf.Dirichlet(box.boundary(101, "t_low"), u=real, v=imaginary, name="start"),
        pf.Dirichlet(box.boundary(101, ["x_low", "x_high"]), u=real, v=imaginary, name="ends"),
    ],
    exact=lambda points: np.stack([real(*points.T), imaginary(*points.T)], axis=1),
)

# %% [markdown]
# Without a number of steps Gauss-Newton goes on until it has converged; 300 are enough here.

# %%
solution = pf.solve(problem, pf.Network(layers=[2, 24, 24, 2]), pf.GaussNewton(300))
print(solution.status)
for field, error in solution.metrics["relative_l2"].items():
    print(f"{field}: relative L2 error {error:.1e}")

# %%
t, x = np.linspace(0, np.pi / 2, 161), np.linspace(-4, 4, 161)
wave = solution(np.stack(np.meshgrid(t, x, indexing="ij"), axis=-1))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
image = left.pcolormesh(t, x, np.hypot(wave[..., 0], wave[..., 1]).T)
left.set(title="size of the wave", xlabel="t", ylabel="x")
figure.colorbar(image)
for row in [0, 40, 80]:
    (line,) = right.plot(x, np.hypot(*wave[row].T), label=f"t = {t[row]:.2f}")
    right.plot(x[::5], np.abs(breather(t[row], x[::5])), ".", color=line.get_color())
right.set(title="size at three times (dots: exact)", xlabel="x")
right.legend()
plt.show()
