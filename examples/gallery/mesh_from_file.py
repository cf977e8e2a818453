# %% [markdown]
# # A domain from a mesh file
#
# Geometries of meshing programs are read as they are, with the names that their boundaries have
# there.
#
# The torsion of a bar follows from a stress function on its cross-section,
#
# $$u_{xx} + u_{yy} + 2 = 0, \qquad u = 0 \text{ on the rim,}$$
#
# whose integral, twice, is the bar's torsion constant. The cross-section is a star with six soft
# points. First we write a file as a meshing program would: nodes, triangles, and the edges of the
# rim as a group of that name.

# %%
import matplotlib.pyplot as plt
import meshio
import numpy as np

import psinn_fast as pf

around, rings = 72, 10
angle = 2 * np.pi * np.arange(around) / around
rim = (1 + 0.1 * np.cos(6 * angle))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
nodes = np.concatenate([[[0, 0]], *(rim * ring / rings for ring in range(1, rings + 1))])
here, next_one = np.arange(around), (np.arange(around) + 1) % around
triangles = [np.stack([0 * here, 1 + here, 1 + next_one], axis=1)]
for ring in range(1, rings):
    inner, outer = 1 + (ring - 1) * around, 1 + ring * around
    triangles.append(np.stack([inner + here, outer + here, outer + next_one], axis=1))
    triangles.append(np.stack([inner + here, outer + next_one, inner + next_one], axis=1))
edges = 1 + (rings - 1) * around + np.stack([here, next_one], axis=1)
meshio.Mesh(
    np.c_[nodes, np.zeros(len(nodes))],
    [("line", edges), ("triangle", np.concatenate(triangles))],
    cell_sets={"rim": [here, np.array([], dtype=int)]},
).write("star.inp")

# %% [markdown]
# `pf.read_mesh` reads what meshio reads: gmsh, Abaqus, VTK, MED and others. What it gives is a
# domain like any other. The number of steps is given, so that Gauss-Newton does not go on until it
# has converged.

# %%
star = pf.read_mesh("star.inp")
print(star.parts, f"area {star.measure():.4f}, length of the rim {star.measure('rim'):.4f}")
problem = pf.Problem(
    "torsion",
    pf.PDE("x y", "u", lambda u: u.lap + 2),
    star,
    [
        pf.Residual(star.random(2000, seed=0)),
        pf.Dirichlet(star.boundary(300, "rim"), u=0.0, name="rim"),
    ],
)
solution = pf.solve(problem, pf.Network(layers=[2, 24, 24, 1]), pf.GaussNewton(300))
print(solution.status)
constant = 2 * star.measure() * solution(star.random(100_000, seed=1)).mean()
print(f"torsion constant: {constant:.4f}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.6), layout="constrained")
left.triplot(*nodes.T, np.concatenate(triangles), linewidth=0.4, color="grey")
left.plot(*np.append(rim, rim[:1], axis=0).T, color="black")
left.set(title="the mesh", xlabel="x", ylabel="y", aspect="equal")
image = right.tricontourf(*nodes.T, np.concatenate(triangles), solution(nodes)[:, 0], 20)
right.set(title="stress function u", xlabel="x", aspect="equal")
figure.colorbar(image)
plt.show()
