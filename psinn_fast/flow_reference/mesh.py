"""Triangles that fill a channel with a cylinder, in blocks between the cylinder and straight sides.

Own blocks rather than a mesh generator's: nodes of one mesh are corners of the next, which its own curved edges allow,
and nothing has to be installed (gmsh needs system libraries, Triangle has a licence of its own).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .channel import PARTS, Channel

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# Corners of a triangle at the ends of its edges, in the order of the nodes in the edges' middles.
EDGES = ((0, 1), (1, 2), (0, 2))
# Nodes that are nearer are one.
_SAME = 1e-10


@dataclass(frozen=True)
class Mesh:
    """Quadratic triangles.

    Args:
        nodes: (N, 2), corners of triangles first.
        triangles: (T, 6), three corners in ascending order, then the nodes in the middles of `EDGES`.
        n_corners: how many of the nodes are corners.
    """

    nodes: Numbers
    triangles: Indices
    n_corners: int


def meshes(channel: Channel, n: int, levels: int) -> list[Mesh]:
    """Each mesh with the last one's nodes as corners; ``n``: of the first, edges from the axis to a wall."""
    corners, triangles = _blocks(channel, n)
    result = []
    for _ in range(levels):
        result.append(quadratic(channel, corners, triangles))
        corners, triangles = result[-1].nodes, _quarters(result[-1].triangles)
    return result


def mirrored(nodes: Numbers, triangles: Indices) -> tuple[Numbers, Indices, Indices]:
    """A half and its mirror image: nodes, those of the half first; triangles; of which old node each is an image."""
    off_axis = np.flatnonzero(nodes[:, 1] != 0)
    image = np.arange(len(nodes))
    image[off_axis] = len(nodes) + np.arange(len(off_axis))
    whole = np.concatenate([nodes, nodes[off_axis] * [1, -1]])
    return whole, np.concatenate([triangles, image[triangles]]), np.concatenate([np.arange(len(nodes)), off_axis])


def quadratic(channel: Channel, corners: Numbers, triangles: Indices) -> Mesh:
    """With nodes in the middles of edges, of those on the cylinder on the arc."""
    triangles = np.sort(triangles, axis=1)
    ends, edge = np.unique(triangles[:, EDGES].reshape(-1, 2), axis=0, return_inverse=True)
    middles = corners[ends].mean(1)
    on_circle = (channel.tags(corners) & PARTS["cylinder"]) > 0
    arcs = on_circle[ends].all(1)
    from_centre = middles[arcs] - [channel.centre, 0.0]
    middles[arcs] = [channel.centre, 0.0] + channel.radius * from_centre / np.linalg.norm(from_centre, axis=1)[:, None]
    nodes = np.concatenate([corners, middles])
    return Mesh(nodes, np.concatenate([triangles, len(corners) + edge.reshape(-1, 3)], 1), len(corners))


def _quarters(triangles: Indices) -> Indices:
    """(T, 6) -> (4 T, 3): each triangle cut through the middles of its edges."""
    a, b, c, ab, bc, ac = triangles.T
    return np.concatenate([np.stack(part, 1) for part in ((a, ab, ac), (ab, b, bc), (ac, bc, c), (ab, bc, ac))])


def _blocks(channel: Channel, n: int) -> tuple[Numbers, Indices]:
    """Corners and triangles: above the axis, and below it unless the channel is a half."""
    nodes, triangles = _upper(channel, channel.above, n)
    if channel.is_half:
        return nodes, triangles
    lower, more = _upper(channel, channel.below, n)
    return _joined([(nodes, triangles), (lower * [1, -1], more)])


def _upper(channel: Channel, height: float, n: int) -> tuple[Numbers, Indices]:
    """Rays from the cylinder to the sides of a rectangle from the inlet on, and a rectangle behind it."""
    reach = min(channel.above, channel.below or channel.above)  # one for both sides of the axis, which share its nodes
    low, high = -channel.centre, reach
    side = np.linspace(0, height, n + 1)
    top = np.linspace(high, low, round(n * (high - low) / reach) + 1)
    back = np.linspace(height, 0, n + 1)
    ends = np.concatenate([
        np.stack([np.full_like(side, high), side], 1),
        np.stack([top, np.full_like(top, height)], 1)[1:],
        np.stack([np.full_like(back, low), back], 1)[1:],
    ])  # fmt: skip
    # Even in angle near the cylinder's front, back and top, so that arcs are as long as their neighbours.
    first, last = math.atan2(height, high), math.atan2(height, low)
    angles = np.concatenate([
        np.linspace(0, first, len(side)),
        np.linspace(first, last, len(top))[1:],
        np.linspace(last, math.pi, len(back))[1:],
    ])  # fmt: skip
    starts = channel.radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    starts[-1, 1] = 0.0
    # Cells along a ray grow with their distance: as long as they are wide, if rays were those of a fan.
    rings = round(1.6 * n)
    growth = reach / channel.radius
    along = ((growth ** np.linspace(0, 1, rings + 1) - 1) / (growth - 1))[:, None, None]
    around = starts + along * (ends - starts)
    around[-1] = ends  # exactly: neighbours have the same nodes
    around[..., 0] += channel.centre
    rest = channel.length - channel.centre - high
    columns = np.linspace(channel.centre + high, channel.length, round(0.93 * n * rest / reach) + 1)
    behind = np.stack(np.meshgrid(columns, side, indexing="ij"), -1)
    return _joined([cut_cells(around), cut_cells(behind)])


def cut_cells(grid: Numbers) -> tuple[Numbers, Indices]:
    """The cells of a mapped grid (A, B, 2), each cut along its shorter diagonal."""
    rows, columns = grid.shape[:2]
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (part.ravel() for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    nodes = grid.reshape(-1, 2)
    first = np.linalg.norm(nodes[a] - nodes[c], axis=1) <= np.linalg.norm(nodes[b] - nodes[d], axis=1) + 1e-12
    halves = [np.where(first, one, other) for one, other in ((a, a), (b, b), (c, d), (a, b), (c, c), (d, d))]
    return nodes, np.concatenate([np.stack(halves[:3], 1), np.stack(halves[3:], 1)])


def _joined(parts: list[tuple[Numbers, Indices]]) -> tuple[Numbers, Indices]:
    """One list of nodes, in which equal ones are the same."""
    counts = np.cumsum([0, *(len(nodes) for nodes, _ in parts)])
    nodes = np.concatenate([nodes for nodes, _ in parts])
    triangles = np.concatenate([cells + offset for (_, cells), offset in zip(parts, counts, strict=False)])
    whole = np.round(nodes / _SAME).astype(np.int64)
    _, first, same = np.unique(whole, axis=0, return_index=True, return_inverse=True)
    return nodes[first], same.ravel()[triangles]
