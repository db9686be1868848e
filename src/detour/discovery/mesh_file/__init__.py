"""The mesh file: a mesh in YAML, which is read as a whole and followed as it changes.

Invariant: a file results in a whole mesh, or in one `MeshFileError` with a line for each of its mistakes; never in
half a mesh.
"""

from detour.discovery.mesh_file.changes import Changed, Rejected, watch
from detour.discovery.mesh_file.mistakes import MeshFileError
from detour.discovery.mesh_file.reading import parse, read

__all__ = ["Changed", "MeshFileError", "Rejected", "parse", "read", "watch"]
