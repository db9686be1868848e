"""The Detour server: sources of the mesh, the control plane and the HTTP API, in one process.

Invariant: the server always serves the last good mesh; a broken mesh file or a full disk changes only what `status`
reports.
"""

from detour.server.control_plane import ControlPlane
from detour.server.deployments import DeploymentConflictError, UnknownServiceError
from detour.server.serving import Shutdown, serve
from detour.server.sockets import Addresses

__all__ = ["Addresses", "ControlPlane", "DeploymentConflictError", "Shutdown", "UnknownServiceError", "serve"]
