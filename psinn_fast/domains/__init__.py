"""Where PDEs live, and the point sets on them."""

from .box import Box, PointSet, Region, region_of

__all__ = ["Box", "PointSet", "Region", "region_of"]
