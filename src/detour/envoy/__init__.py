"""Envoy's bootstrap configuration, the Lua that Envoy runs, and the Envoy process.

Invariant: a bootstrap contains listeners and the address of the control plane, and nothing about the mesh. A
sidecar requests a service's configuration when a request first needs it.
"""

from detour.envoy.bootstrap import Edge, Sidecar, edge_bootstrap, sidecar_bootstrap
from detour.envoy.lua import connect_source, override_source, plain_source, strip_source
from detour.envoy.runner import EnvoyError, EnvoyProcess, find_envoy, start_envoy, tied_to_parent

__all__ = [
    "Edge",
    "EnvoyError",
    "EnvoyProcess",
    "Sidecar",
    "connect_source",
    "edge_bootstrap",
    "find_envoy",
    "override_source",
    "plain_source",
    "sidecar_bootstrap",
    "start_envoy",
    "strip_source",
    "tied_to_parent",
]
