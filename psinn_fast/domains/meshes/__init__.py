"""Domains that are meshes of triangles or tetrahedra, from files."""

from .mesh_domain import MeshDomain
from .mesh_file import read_mesh

__all__ = ["MeshDomain", "read_mesh"]
