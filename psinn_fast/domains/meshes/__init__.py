"""Domains that are meshes of triangles or tetrahedra, from files."""

from .changed import combined, is_mesh, moved, renamed
from .mesh_domain import MeshDomain
from .mesh_file import opened, read_mesh

__all__ = ["MeshDomain", "combined", "is_mesh", "moved", "opened", "read_mesh", "renamed"]
