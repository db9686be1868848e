"""The names on which a bootstrap and the control plane's resources must agree.

Invariant: constants only. A name that stands in an Envoy's static configuration and again in a resource that the
control plane sends is written here, once.
"""

from typing import Final

TYPE: Final = "type.googleapis.com/"

# HTTP filters, by the names that routes use to switch them on (`typed_per_filter_config`).
LUA_FILTER: Final = "envoy.filters.http.lua"
FAULT_FILTER: Final = "envoy.filters.http.fault"
FORWARD_PROXY_FILTER: Final = "envoy.filters.http.dynamic_forward_proxy"

ENTER_FILTER: Final = "detour.enter"
"""Lua in front of everything else: it may change which route a request takes. It has the scripts `ENTER` and
`ENTER_BY_COOKIE`."""

ENTER: Final = "enter"
ENTER_BY_COOKIE: Final = "enter-by-cookie"

SCENARIO_FILTER: Final = "detour.scenario"
"""Lua that has one script, `ADD_SCENARIO`, however many scenarios there are: each route brings its own values."""

ADD_SCENARIO: Final = "add-scenario"

ENTERED_HEADER: Final = "x-detour-entered"
"""Says that Lua has looked for a scenario, and found none."""

SCENARIO_HEADER: Final = "x-detour-scenario"
"""Of a request: the scenario that it asks for; of a response: the one that it was in."""

TUNNEL_LISTENER: Final = "tunnel"
"""The internal listener in which a CONNECT to a service of the mesh ends."""

OUTSIDE_LISTENER: Final = "outside"
"""The internal listener through which requests leave the mesh."""

OUTSIDE_DNS: Final = {"name": "outside", "dns_lookup_family": "V4_PREFERRED", "max_hosts": 1024}
"""The DNS cache for hosts outside the mesh; Envoy wants it word for word the same in filter and cluster."""

METADATA: Final = "detour"
"""The filter metadata namespace of what the control plane says about clusters and endpoints."""

MISSING: Final = "missing"
"""Cluster metadata: the sentence that a caller gets when the cluster has no instance."""

SERVED_BY: Final = "served_by"
"""Endpoint metadata: `users` or `users@pr-42`, whatever cluster the endpoint was reached through."""

CLUSTER: Final = "cluster"
"""Tag of an access log entry: where a request was led to, also if there was no instance."""

SERVED_BY_HEADER: Final = "x-detour-served-by"

TRIAL: Final = "detour.try"
"""The flag (`override.config.`) that a request has while somebody tries it out; its value says which trial."""

# Route tables.
OUTBOUND_ROUTES: Final = "outbound"
EDGE_ROUTES: Final = "edge"
EDGE_ROUTES_TRUSTED: Final = "edge/trusted"
