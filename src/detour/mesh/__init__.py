"""The mesh as frozen values, and the events that change it.

Invariant: nothing here does I/O. A `Mesh` never changes; `update` and `apply` return a new one.
"""

from detour.mesh.duration import parse_duration
from detour.mesh.endpoint_rules import LOOPBACK, PRIVATE, EndpointRules, ForbiddenEndpointError, networks_of
from detour.mesh.events import (
    DeploymentApplied,
    DeploymentRemoved,
    KeysApplied,
    MeshEvent,
    ScenariosApplied,
    ServiceApplied,
    ServiceRemoved,
    SettingsApplied,
    Update,
    apply,
    difference,
    touched,
    update,
)
from detour.mesh.layers import merge, merged_events
from detour.mesh.model import (
    Carrier,
    Endpoint,
    Mesh,
    OffloadedDeployment,
    Port,
    Protocol,
    RetryPolicy,
    Scenarios,
    Service,
    Settings,
    is_name,
)
from detour.mesh.naming import Naming
from detour.mesh.override_tokens import PublicKey
from detour.mesh.text import UNPRINTABLE, is_line, is_scenario_name, is_text
from detour.mesh.trusted_proxies import TrustedProxies

__all__ = [
    "LOOPBACK",
    "PRIVATE",
    "UNPRINTABLE",
    "Carrier",
    "DeploymentApplied",
    "DeploymentRemoved",
    "Endpoint",
    "EndpointRules",
    "ForbiddenEndpointError",
    "KeysApplied",
    "Mesh",
    "MeshEvent",
    "Naming",
    "OffloadedDeployment",
    "Port",
    "Protocol",
    "PublicKey",
    "RetryPolicy",
    "Scenarios",
    "ScenariosApplied",
    "Service",
    "ServiceApplied",
    "ServiceRemoved",
    "Settings",
    "SettingsApplied",
    "TrustedProxies",
    "Update",
    "apply",
    "difference",
    "is_line",
    "is_name",
    "is_scenario_name",
    "is_text",
    "merge",
    "merged_events",
    "networks_of",
    "parse_duration",
    "touched",
    "update",
]
