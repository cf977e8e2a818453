# %% [markdown]
# # Laplace's equation: find the symmetry, then build it in
#
# A symmetry that nobody told the library about is found, written into the weights of a network, and
# makes it more accurate.
#
# On the square $[-1, 1]^2$ we solve
#
# $$u_{xx} + u_{yy} = 0, \qquad u = x^3 - 3 x y^2 \text{ on the boundary.}$$
#
# The solution is even in $y$ and odd in $x$. We do not say so.

# %%
import matplotlib.pyplot as plt
import numpy as np

import psinn_fast as pf


def cubic(x, y):
    return x**3 - 3 * x * y**2


box = pf.Box(x=(-1, 1), y=(-1, 1))
problem = pf.Problem(
    "laplace",
    pf.PDE("x y", "u", lambda u: u.lap),
    box,
    [pf.Residual(box.grid(41)), pf.Dirichlet(box.boundary(41), u=cubic)],
    exact=lambda points: cubic(*points.T),
)

# %% [markdown]
# `pf.discover` looks at the problem, trains teachers, distils small students from them, and weighs
# what all of them say about each reflection and exchange of the coordinates.

# %%
found = pf.discover(problem)
for evidence in found.evidence:
    print(
        f"{evidence.text:18} {'accepted' if evidence.accepted else 'rejected'}: {evidence.reason}"
    )

# %% [markdown]
# What it accepts becomes a structure: the weights of each layer as signed symbols. Equal letters
# and colours are one parameter, hatched squares carry a minus sign, white ones are zero.

# %%
pf.structure_figure(found.structure)

# %% [markdown]
# Two networks of about the same number of parameters are trained with the same 3,000 steps of Adam:
# an ordinary PINN, and the Psi-NN with the structure that was found.

# %%
pinn = pf.solve(problem, pf.Network(layers=[2, 16, 16, 1]), pf.Adam(3_000))
psi = pf.solve(problem, found.structure, pf.Adam(3_000))
networks = {"PINN": pinn, "Psi-NN": psi}
for name, solution in networks.items():
    parameters, error = solution.net.structure.n_parameters, solution.metrics["relative_l2"]
    print(f"{name}: {parameters} parameters, relative L2 error {error:.1e}")

# %%
x = np.linspace(-1, 1, 101)
points = np.stack(np.meshgrid(x, x), axis=-1)
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
image = left.pcolormesh(x, x, psi(points)[..., 0])
left.set(title="u, Psi-NN", xlabel="x", ylabel="y")
figure.colorbar(image)
image = middle.pcolormesh(
    x, x, psi(points)[..., 0] - cubic(points[..., 0], points[..., 1]), cmap="RdBu_r"
)
middle.set(title="error of u, Psi-NN", xlabel="x")
figure.colorbar(image)
for name, solution in networks.items():
    right.semilogy(solution.history["step"], solution.history["relative_l2"], label=name)
right.set(title="relative L2 error", xlabel="step of Adam")
right.legend()
plt.show()
