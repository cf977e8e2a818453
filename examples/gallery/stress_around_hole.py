# %% [markdown]
# # Stress around a hole
#
# An elastic plate under tension carries three times the stress at the edge of a hole: displacements
# in, stresses out.
#
# A quarter of the plate is enough, since it is symmetric about both axes. Displacements $u, v$ in
# plane stress satisfy
#
# $$\operatorname{div} \sigma = 0, \qquad
# \sigma_{xx} = \frac{u_x + \nu v_y}{1 - \nu^2}, \quad
# \sigma_{yy} = \frac{v_y + \nu u_x}{1 - \nu^2}, \quad
# \sigma_{xy} = \frac{u_y + v_x}{2 (1 + \nu)}.$$
#
# The hole of radius 1 is free of forces. On the outer edges we give the stresses of Kirsch's
# solution (1898) for an infinite plate under a tension of 1 along $x$, so that the answer is known.

# %%
import matplotlib.pyplot as plt
import numpy as np
import sympy as sp

import psinn_fast as pf

nu = 0.3


def stresses(u_x, u_y, v_x, v_y):
    return (
        (u_x + nu * v_y) / (1 - nu**2),
        (v_y + nu * u_x) / (1 - nu**2),
        (u_y + v_x) / (2 * (1 + nu)),
    )


def kirsch(x, y):
    r2, angle = x**2 + y**2, np.arctan2(y, x)
    double, quadruple = np.cos(2 * angle), np.cos(4 * angle)
    xx = 1 - (1.5 * double + quadruple) / r2 + 1.5 * quadruple / r2**2
    yy = -(0.5 * double - quadruple) / r2 - 1.5 * quadruple / r2**2
    xy = -(0.5 * np.sin(2 * angle) + np.sin(4 * angle)) / r2 + 1.5 * np.sin(4 * angle) / r2**2
    return xx, yy, xy


def equilibrium(u, v, x, y):
    xx, yy, xy = stresses(u.x, u.y, v.x, v.y)
    return [sp.diff(xx, x) + sp.diff(xy, y), sp.diff(xy, x) + sp.diff(yy, y)]


def forces(u, v, n_x, n_y, f_x, f_y):
    xx, yy, xy = stresses(u.x, u.y, v.x, v.y)
    return [xx * n_x + xy * n_y - f_x, xy * n_x + yy * n_y - f_y]


# %% [markdown]
# A condition may have a residual function of its own, which reads normals as `n_x`, `n_y` and any
# data by its name. Points are denser towards the hole, where the stress changes most. 150 steps of
# Gauss-Newton are enough for four digits of the stress.

# %%
plate = (pf.Box(x=(0, 4), y=(0, 4)) - pf.Disk((0, 0), 1)).renamed({"rim": "hole"})
outer = plate.boundary(200, ["x_high", "y_high"])
xx, yy, xy = kirsch(*outer.T)
n_x, n_y = outer.normals.T
bottom, left_edge = plate.boundary(100, "y_low"), plate.boundary(100, "x_low")
problem = pf.Problem(
    "plate with a hole",
    pf.PDE("x y", "u v", equilibrium),
    plate,
    [
        pf.Residual(plate.graded(3000, seed=0, part="hole")),
        pf.Residual(plate.boundary(100, "hole"), forces, f_x=0.0, f_y=0.0, name="hole"),
        pf.Residual(
            outer, forces, f_x=xx * n_x + xy * n_y, f_y=xy * n_x + yy * n_y, name="outer edges"
        ),
        pf.Dirichlet(bottom, v=0.0, name="v, symmetry about y = 0"),
        pf.Neumann(bottom, u=0.0, name="u, symmetry about y = 0"),
        pf.Dirichlet(left_edge, u=0.0, name="u, symmetry about x = 0"),
        pf.Neumann(left_edge, v=0.0, name="v, symmetry about x = 0"),
    ],
)
solution = pf.solve(problem, pf.Network(layers=[2, 20, 20, 2]), pf.GaussNewton(150))
print(solution.status)

# %%
top = solution.derivatives([0.0, 1.0], "u_x u_y v_x v_y")
highest, _, _ = stresses(top.u_x, top.u_y, top.v_x, top.v_y)
print(f"stress at the top of the hole: {highest:.4f} (exact: 3)")
line = np.linspace(0, 4, 201)
points = np.stack(np.meshgrid(line, line), axis=-1)
is_inside = np.hypot(*np.moveaxis(points, -1, 0)) >= 1
d = solution.derivatives(points[is_inside], "u_x u_y v_x v_y")
found = np.full(is_inside.shape, np.nan)
found[is_inside] = stresses(d.u_x, d.u_y, d.v_x, d.v_y)[0]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
image = left.contourf(line, line, found, 30, cmap="viridis")
left.set(title="stress along x, over the tension", xlabel="x", ylabel="y", aspect="equal")
figure.colorbar(image, ax=left)
height = np.linspace(1, 4, 61)
above = solution.derivatives(np.stack([0 * height, height], axis=-1), "u_x u_y v_x v_y")
right.plot(height, stresses(above.u_x, above.u_y, above.v_x, above.v_y)[0], label="network")
right.plot(height[::4], kirsch(0 * height, height)[0][::4], ".", label="Kirsch")
right.set(title="... above the hole", xlabel="y")
right.legend()
plt.show()
