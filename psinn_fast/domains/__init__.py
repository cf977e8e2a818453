"""Where PDEs live, and the point sets on them."""

from .beyond import how_far
from .box import Box
from .cornered import Cornered
from .distance import distance
from .domain import Domain
from .meshes import MeshDomain, opened, read_mesh
from .plane import Disk, Ellipse, Polygon
from .pointset import PointSet, Region, normals_of, region_of
from .solids import Ball, Cylinder
from .translates import common_step, lies_on_boundary, step_of, step_to
from .unit import sobol
from .windows import check_shrunk, shrunk

__all__ = [
    "Ball",
    "Box",
    "Cornered",
    "Cylinder",
    "Disk",
    "Domain",
    "Ellipse",
    "MeshDomain",
    "PointSet",
    "Polygon",
    "Region",
    "check_shrunk",
    "common_step",
    "distance",
    "how_far",
    "lies_on_boundary",
    "normals_of",
    "opened",
    "read_mesh",
    "region_of",
    "shrunk",
    "sobol",
    "step_of",
    "step_to",
]
