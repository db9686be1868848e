"""The mesh file: a mesh written down in YAML, read whole and followed as it changes.

Invariant: a file either gives a whole mesh or one `MeshFileError` with a line for each of its mistakes; half
a mesh never leaves this package.
"""

from detour.discovery.mesh_file.changes import Changed, Rejected, watch
from detour.discovery.mesh_file.mistakes import MeshFileError
from detour.discovery.mesh_file.reading import parse, read

__all__ = ["Changed", "MeshFileError", "Rejected", "parse", "read", "watch"]
