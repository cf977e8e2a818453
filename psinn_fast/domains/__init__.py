"""Where PDEs live, and the point sets on them."""

from .box import Box
from .disk import Disk
from .domain import Domain
from .pointset import PointSet, Region, common_unit, normals_of, region_of

__all__ = ["Box", "Disk", "Domain", "PointSet", "Region", "common_unit", "normals_of", "region_of"]
