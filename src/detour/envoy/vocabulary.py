"""The names on which a bootstrap and the control plane's resources must agree.

Invariant: constants only. A name that occurs both in an Envoy's static configuration and in a resource of the
control plane is defined here, once.
"""

from typing import Final

from detour.mesh import override_tokens

TYPE: Final = "type.googleapis.com/"

# The names of HTTP filters. Routes use them to enable a filter (`typed_per_filter_config`).
LUA_FILTER: Final = "envoy.filters.http.lua"
FAULT_FILTER: Final = "envoy.filters.http.fault"
FORWARD_PROXY_FILTER: Final = "envoy.filters.http.dynamic_forward_proxy"

FAULTS: Final = "faults"
FAULTS_OF_BOTH: Final = "faults-of-both"
GUARD: Final = "guard"
"""The scripts of an edge's Lua filter: faults for baggage, faults for `x-ot-span-context` as well, and one that
removes overrides. Routes refer to them by name: inline code would be a Lua state of its own for each route and
worker."""

ASK_FILTER: Final = "detour.ask"
WAY_OUT_FILTER: Final = "detour.way-out"
"""Filters of a sidecar: they wait a moment for the control plane to describe a host, and then forward the request
as without Detour. Only requests to hosts that the sidecar does not know pass them."""

OUT: Final = "out"
PLAIN: Final = "plain"
"""Request metadata: the request carries no overrides after all, and is forwarded as without Detour."""

ON_DEMAND_FILTER: Final = "envoy.filters.http.on_demand"
"""Requests the cluster that a route refers to. Edges disable it where the cluster is known from the start."""

ENTER_FILTER: Final = "detour.enter"
"""Lua that precedes all other filters, with one script, `ENTER`: it turns links into the scenario header."""

ENTER: Final = "enter"

COMMON_VALUES: Final = ("true", "false", "yes", "no", "on", "off", "null", "none", "undefined")
"""Values that applications use in parameters of their own. Like numbers, they are taken for a scenario's name only
if a scenario of that name exists."""

NO_COOKIES: Final = "-cookies"
"""Replaces a scenario's name if the browser kept no cookie; it is not a valid name."""

PAGE: Final = "page"
"""The name of routes that lead to an error page instead of a scenario."""

NAME_FILTER: Final = "detour.name"
"""Finds the scenario in a request's header or cookie, and makes the request select its route again. No Lua."""

SCENARIO_STATE: Final = "detour.scenario"
"""The filter state with the scenario's name, by which routes are looked up."""

SCENARIO_FILTER: Final = "detour.scenario"
"""Lua with one script, `ADD_SCENARIO`, for all scenarios: each route supplies its own values."""

ADD_SCENARIO: Final = "add-scenario"

TOKEN_FILTER: Final = "envoy.filters.http.jwt_authn"  # noqa: S105  no secret
"""Checks the token of a request from outside. The control plane sends its configuration and keys under this name;
Envoy stores its results under this name, too."""

VERIFIED: Final = "verified"
REFUSED: Final = "refused"
"""Keys in the request's metadata: the claims of a valid token; the reason why a token is invalid."""

OVERRIDES_HEADER: Final = "x-detour-overrides"
"""Response header: what became of the overrides that the request brought from outside, and why."""

REMOVED: Final = "removed"
"""Request metadata: the value of that header."""

LEFT: Final = "left"
"""Request metadata, and a tag of access log entries: the baggage of a request that left the mesh with overrides."""

SCENARIO_HEADER: Final = "x-detour-scenario"
"""In a request: the scenario to use; in a response: the scenario that was used."""

TUNNEL_LISTENER: Final = "tunnel"
"""The internal listener that terminates CONNECT tunnels to services of the mesh."""

TLS: Final = "tls"
"""Cluster metadata of the end of a tunnel: the cluster that TLS in the tunnel goes to, unread."""

OUTSIDE_LISTENER: Final = "outside"
"""The internal listener through which requests leave the mesh."""

UNKNOWN_LISTENER: Final = "unknown"
"""The internal listener for requests to hosts whose cluster the sidecar does not hold (yet)."""

NO_ANSWER_LISTENER: Final = "no-answer"
"""The internal listener for those whose cluster did not arrive in time."""

NO_ANSWER_CLUSTER: Final = "@no-answer"
"""The cluster that leads there. Its requests are those that a sidecar forwarded without the control plane."""

NO_ANSWER_HEADER: Final = "x-detour-no-answer"
"""The response header by which that listener informs the one before; it is removed there."""

ASKING_LISTENER: Final = "asking"
"""The internal listener that answers once the control plane has answered for a host."""

TUNNEL_QUESTION_HEADER: Final = "x-detour-tunnel"
"""The request header by which it is asked for the end of a tunnel to that host."""

RESOLVER_LISTENER: Final = "resolver"
"""The internal listener that answers whether DNS resolves a host."""

OUTBOUND_MANAGER: Final = "outbound/2"
"""The connection manager of outbound listeners (ECDS), which the control plane sends. The number is the version of
what the manager and the bootstrap rely on in each other: the route table, which another listener requests with the
same config source; the clusters below; and the metadata that CONNECT filters set. Increase it when these change; a
sidecar that receives no manager still works, a little slower."""

OUTBOUND_MANAGERS: Final = (OUTBOUND_MANAGER, "outbound/1")
"""All managers that sidecars may request; older ones receive the same manager."""

# A sidecar's own clusters. No request produces a cluster name that starts with "@" (`detour.xds.names`), so no Host
# leads to one of these, and services may have any name.
UNKNOWN_CLUSTER: Final = "@unknown"
TUNNEL_OUT_CLUSTER: Final = "@tunnel-out"
"""Connects to the host and port of a CONNECT, as resolved by DNS."""

TUNNEL_OUT_LISTENER: Final = "tunnel-out"
"""The internal listener that it leads to."""

TUNNEL_BYTES_CLUSTER: Final = "@tunnel-bytes"
"""The cluster of tunnels that do not contain HTTP; it connects to the tunnel's host."""

OUTSIDE_DNS: Final = {
    "name": "outside",
    "dns_lookup_family": "V4_PREFERRED",
    "max_hosts": 100_000,
    "dns_cache_circuit_breaker": {"max_pending_requests": 100_000},
}
"""The DNS cache for hosts outside the mesh. Envoy requires identical settings in filter and cluster."""

METADATA: Final = "detour"
"""The filter metadata namespace of what the control plane says about clusters and endpoints."""

TIMEOUT_FILTER: Final = "detour.timeout"
"""Applies the timeout of a request's cluster. Enabled only if a service of the mesh has a timeout."""

TIMEOUT: Final = "timeout"
"""Cluster metadata: that timeout, in milliseconds."""

MISSING: Final = "missing"
"""Cluster metadata: the error for callers if the cluster has no instance."""

CALLED: Final = "called"
SERVICE: Final = "service"
SPEAKS: Final = "speaks"
"""Cluster metadata for errors: `deployment pr-42 of service users`, `users`, and the protocol to speak."""

SERVED_BY: Final = "served_by"
"""Endpoint metadata: `users` or `users@pr-42`, whatever cluster leads to the endpoint."""

CLUSTER: Final = "cluster"
"""Tag of an access log entry: the request's cluster, even if it has no instance."""

SERVED_BY_HEADER: Final = "x-detour-served-by"

FAULT_HEADER: Final = "x-detour-fault"
"""Response header: the override that caused this response."""

SCENARIO_COOKIE: Final = "detour"
SCENARIO: Final = "scenario"
"""Request metadata: the value of that cookie."""

TRIAL: Final = "detour.try"
"""The flag (`override.config.`) of requests that belong to a trial; its value is the trial's id."""

TOKEN_HEADER: Final = override_tokens.HEADER

FROM_OUTSIDE: Final = ("x-ot-span-context", SERVED_BY_HEADER)
ADDED_BY_ENVOY: Final = ("x-envoy-external-address", "x-envoy-internal")
"""Headers that an edge's connection manager adds to requests, and that its routes remove."""
ENVOY_HEADER_PREFIX: Final = "x-envoy-"
"""Internal headers, and the prefix of others, that are removed from requests from outside, whatever their
address."""

CONDITIONAL_HEADERS: Final = ("if-none-match", "if-modified-since")
"""Headers of conditional requests. In a scenario, a 304 (RFC 9110, section 13.1) could make a cache serve a stored
response of another version, because several versions may have files with the same date or tag."""

CACHE_HEADERS: Final = (
    "surrogate-control",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "akamai-cache-control",
    "edge-control",
    "x-accel-expires",
    "x-litespeed-cache-control",
)
"""Response headers that some caches prefer over `cache-control` (RFC 9213, and vendors' own)."""

ROUTE_REQUEST_HEADERS: Final = ("baggage", "x-ot-span-context")
EDGE_REQUEST_HEADERS: Final = (
    "baggage",
    "cookie",
    "origin",
    "referer",
    SCENARIO_HEADER,
    TOKEN_HEADER,
    *FROM_OUTSIDE,
    *CONDITIONAL_HEADERS,
)
"""The request headers that routes match or remove. Each gets an inline slot in Envoy: otherwise the first lookup
makes Envoy build a dictionary of all headers, for each request."""

ROUTE_RESPONSE_HEADERS: Final = (SERVED_BY_HEADER, SCENARIO_HEADER, OVERRIDES_HEADER)
EDGE_RESPONSE_HEADERS: Final = (*ROUTE_RESPONSE_HEADERS, "cache-control", *CACHE_HEADERS)
"""The response headers that routes set or remove, for the same reason."""

# Route tables.
OUTBOUND_ROUTES: Final = "outbound"
EDGE_ROUTES: Final = "edge"
EDGE_ROUTES_TRUSTED: Final = "edge/trusted"
