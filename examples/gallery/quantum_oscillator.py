# %% [markdown]
# # An energy level of Schrödinger's equation
#
# An eigenvalue is an unknown coefficient, and the size of the eigenfunction is an integral
# condition.
#
# The anharmonic oscillator has
#
# $$-\tfrac12 \psi'' + \tfrac12 x^2 \psi + x^4 \psi = E \psi, \qquad \int \psi^2 \, dx = 1,$$
#
# with an unknown energy $E$.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import eigh_tridiagonal

import psinn_fast as pf

line = pf.Box(x=(-4, 4))
problem = pf.Problem(
    "oscillator",
    pf.PDE(
        "x",
        "psi",
        lambda psi, x, E: -psi.xx / 2 + (x**2 / 2 + x**4) * psi - E * psi,
        unknown={"E": 1.0},
    ),
    line,
    [
        pf.Residual(line.grid(300)),
        pf.Dirichlet(line.boundary(2), psi=0.0, name="ends"),
        pf.Integral(line.grid(200), lambda psi: psi**2, 1.0, name="size"),
    ],
)
solution = pf.solve(problem, pf.Network(layers=[1, 16, 16, 1]), pf.GaussNewton(100))
print(solution.status)

# %% [markdown]
# The search began at $E = 1$ and ended at the ground state within 20 of its 100 steps. Finite
# differences say how accurate it is.

# %%
x = np.linspace(-4, 4, 4001)
step = x[1] - x[0]
diagonal, beside = 1 / step**2 + x**2 / 2 + x**4, np.full(4000, -0.5 / step**2)
reference = eigh_tridiagonal(diagonal, beside, eigvals_only=True, select="i", select_range=(0, 0))[
    0
]
print(f"E = {solution.coefficients['E']:.6f}, finite differences: {reference:.6f}")

# %% [markdown]
# `show` draws what was found, where its residuals are, and how the training went.

# %%
solution.show()

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(x, np.abs(solution(x[:, None])))
left.set(title="ground state", xlabel="x", ylabel="|psi|")
right.plot(solution.history["step"], solution.history["E"])
right.set(title="energy", xlabel="step of Gauss-Newton", ylabel="E")
plt.show()
