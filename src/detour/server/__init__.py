"""The Detour server: sources of the mesh, the control plane and the HTTP API, in one process.

Invariant: the mesh that is served is always the last good one; a broken mesh file or a full disk changes what
`status` says and nothing that runs.
"""

from detour.server.control_plane import ControlPlane
from detour.server.deployments import DeploymentConflictError, UnknownServiceError
from detour.server.serving import Addresses, Ending, serve

__all__ = ["Addresses", "ControlPlane", "DeploymentConflictError", "Ending", "UnknownServiceError", "serve"]
