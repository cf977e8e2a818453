"""Domains that are meshes of triangles or tetrahedra, from files."""

from .mesh_domain import MeshDomain
from .mesh_file import opened, read_mesh

__all__ = ["MeshDomain", "opened", "read_mesh"]
