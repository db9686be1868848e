"""The names on which a bootstrap and the control plane's resources must agree.

Invariant: constants only. A name that stands in an Envoy's static configuration and again in a resource that the
control plane sends is written here, once.
"""

from typing import Final

from detour.mesh import override_tokens

TYPE: Final = "type.googleapis.com/"

# HTTP filters, by the names that routes use to switch them on (`typed_per_filter_config`).
LUA_FILTER: Final = "envoy.filters.http.lua"
FAULT_FILTER: Final = "envoy.filters.http.fault"
FORWARD_PROXY_FILTER: Final = "envoy.filters.http.dynamic_forward_proxy"

FAULTS: Final = "faults"
FAULTS_OF_BOTH: Final = "faults-of-both"
GUARD: Final = "guard"
"""The scripts that the Lua filter of an edge has: faults, for baggage, and for `x-ot-span-context` as well; and one
that takes overrides out. Routes name them: as code it would be a Lua state of its own for each route and worker."""

CLOCK_FILTER: Final = "detour.clock"
ASK_FILTER: Final = "detour.ask"
WAY_OUT_FILTER: Final = "detour.way-out"
"""Of a sidecar: they give the control plane a moment to say where a host is, and then let the request go where it
would go without Detour. Only requests to hosts that the sidecar does not know pass them."""

OUT: Final = "out"
PLAIN: Final = "plain"
"""Request metadata: the request goes where it would go without Detour; it carries no overrides after all."""

ON_DEMAND_FILTER: Final = "envoy.filters.http.on_demand"
"""Asks for the cluster that a route leads to; at an edge it is off where the cluster is known from the start."""

ENTER_FILTER: Final = "detour.enter"
"""Lua in front of everything else, with one script, `ENTER`: it turns links into a scenario into its header."""

ENTER: Final = "enter"

EVERYDAY: Final = ("true", "false", "yes", "no", "on", "off", "null", "none", "undefined")
"""Values that applications give parameters of their own. Like numbers they are taken for the name of a scenario
only where there is one of that name."""

NO_COOKIES: Final = "-cookies"
"""What stands in place of a scenario's name, and can be none, where a browser kept no cookie."""

PAGE: Final = "page"
"""The name of routes that lead into no scenario, but to a page that says why."""

NAME_FILTER: Final = "detour.name"
"""Finds which scenario a request names, in its header or its cookie, and has it choose its route anew. No Lua."""

SCENARIO_STATE: Final = "detour.scenario"
"""The filter state that says so, by which routes are looked up."""

SCENARIO_FILTER: Final = "detour.scenario"
"""Lua that has one script, `ADD_SCENARIO`, however many scenarios there are: each route brings its own values."""

ADD_SCENARIO: Final = "add-scenario"

TOKEN_FILTER: Final = "envoy.filters.http.jwt_authn"  # noqa: S105  no secret
"""Checks the token of a request from outside. The control plane sends its configuration, under this name, with the
keys; Envoy knows what it finds out under it, too."""

VERIFIED: Final = "verified"
REFUSED: Final = "refused"
"""Under which the claims of a good token, or what is wrong with a bad one, stand in the request's metadata."""

OVERRIDES_HEADER: Final = "x-detour-overrides"
"""Of a response: what became of the overrides that the request brought from outside, and why."""

REMOVED: Final = "removed"
"""Request metadata: the words of that header."""

LEFT: Final = "left"
"""Request metadata, and a tag of access log entries: the baggage of a request that left the mesh with overrides."""

SCENARIO_HEADER: Final = "x-detour-scenario"
"""Of a request: the scenario that it asks for; of a response: the one that it was in."""

TUNNEL_LISTENER: Final = "tunnel"
"""The internal listener in which a CONNECT to a service of the mesh ends."""

OUTSIDE_LISTENER: Final = "outside"
"""The internal listener through which requests leave the mesh."""

UNKNOWN_LISTENER: Final = "unknown"
"""The internal listener for requests to hosts whose cluster the sidecar does not have (yet)."""

NO_ANSWER_LISTENER: Final = "no-answer"
"""The internal listener for those of them whose host the control plane has not named in time."""

NO_ANSWER_CLUSTER: Final = "@no-answer"
"""The cluster that leads there; its requests are those that a sidecar let go without the control plane."""

NO_ANSWER_HEADER: Final = "x-detour-no-answer"
"""The response header by which the former knows about the latter; it gets no further."""

RESOLVER_LISTENER: Final = "resolver"
"""The internal listener that says whether DNS knows a host."""

OUTBOUND_MANAGER: Final = "outbound/2"
"""The connection manager of outbound listeners (ECDS), which the control plane sends. The number is that of what it
relies on in the bootstrap, and the bootstrap in it: the route table, which another listener asks for in the same
words, the clusters below, and what CONNECT notes of its host. Change it with these; a sidecar that gets no manager
works, a little slower."""

OUTBOUND_MANAGERS: Final = (OUTBOUND_MANAGER, "outbound/1")
"""All that sidecars may ask for; to older ones the one manager is as good."""

# Clusters of a sidecar's own. Nothing that a request says makes a cluster's name that begins with "@"
# (`detour.xds.names`): no Host leads to one of these, and a service may have any name.
UNKNOWN_CLUSTER: Final = "@unknown"
TUNNEL_OUT_CLUSTER: Final = "@tunnel-out"
"""Connects to the host and port that a CONNECT names, wherever DNS says that it is."""

TUNNEL_OUT_LISTENER: Final = "tunnel-out"
"""The internal listener that it leads to."""

TUNNEL_BYTES_CLUSTER: Final = "@tunnel-bytes"
"""The cluster of a tunnel that is no HTTP: to the host that it names."""

OUTSIDE_DNS: Final = {
    "name": "outside",
    "dns_lookup_family": "V4_PREFERRED",
    "max_hosts": 100_000,
    "dns_cache_circuit_breaker": {"max_pending_requests": 100_000},
}
"""The DNS cache for hosts outside the mesh; Envoy wants it word for word the same in filter and cluster."""

METADATA: Final = "detour"
"""The filter metadata namespace of what the control plane says about clusters and endpoints."""

TIMEOUT_FILTER: Final = "detour.timeout"
"""Gives a request the timeout of the cluster that it goes to. Only where a service of the mesh has one is it on."""

TIMEOUT: Final = "timeout"
"""Cluster metadata: that timeout, in milliseconds."""

MISSING: Final = "missing"
"""Cluster metadata: the sentence that a caller gets when the cluster has no instance."""

CALLED: Final = "called"
SERVICE: Final = "service"
SPEAKS: Final = "speaks"
"""Cluster metadata for errors: `deployment pr-42 of service users`, `users`, and what it is to speak."""

SERVED_BY: Final = "served_by"
"""Endpoint metadata: `users` or `users@pr-42`, whatever cluster the endpoint was reached through."""

CLUSTER: Final = "cluster"
"""Tag of an access log entry: where a request was led to, also if there was no instance."""

SERVED_BY_HEADER: Final = "x-detour-served-by"

FAULT_HEADER: Final = "x-detour-fault"
"""Of a response that an override made up: which one."""

SCENARIO_COOKIE: Final = "detour"
SCENARIO: Final = "scenario"
"""Request metadata: what that cookie says."""

TRIAL: Final = "detour.try"
"""The flag (`override.config.`) that a request has while somebody tries it out; its value says which trial."""

TOKEN_HEADER: Final = override_tokens.HEADER

FROM_OUTSIDE: Final = ("x-ot-span-context", SERVED_BY_HEADER)
ADDED_BY_ENVOY: Final = ("x-envoy-external-address", "x-envoy-internal")
"""What the connection manager of an edge adds to requests; removed from them by its routes."""
ENVOYS_OWN: Final = "x-envoy-"
"""Internal headers, and how the names of others begin, that are removed from requests from outside, whatever
address they come from."""

CONDITIONS: Final = ("if-none-match", "if-modified-since")
"""Of a request in a scenario: a 304 to these (RFC 9110, section 13.1) would have a cache show what it has stored of
another version, for several may have files of one date, or one tag."""

CACHES_OWN: Final = (
    "surrogate-control",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "akamai-cache-control",
    "edge-control",
    "x-accel-expires",
    "x-litespeed-cache-control",
)
"""Of a response: headers by which some caches go before they look at `cache-control` (RFC 9213, and vendors')."""

LOOKED_AT: Final = ("baggage", "x-ot-span-context")
LOOKED_AT_BY_EDGES: Final = (
    "baggage",
    "cookie",
    "origin",
    "referer",
    SCENARIO_HEADER,
    TOKEN_HEADER,
    *FROM_OUTSIDE,
    *CONDITIONS,
)
"""The request headers that routes look at or remove. Each has a slot of its own in Envoy: at the first look at one
that has none Envoy makes a dictionary of all headers, for each request."""

TOLD: Final = (SERVED_BY_HEADER, SCENARIO_HEADER, OVERRIDES_HEADER)
TOLD_BY_EDGES: Final = (*TOLD, "cache-control", *CACHES_OWN)
"""The response headers that routes set or remove; the same holds of them."""

# Route tables.
OUTBOUND_ROUTES: Final = "outbound"
EDGE_ROUTES: Final = "edge"
EDGE_ROUTES_TRUSTED: Final = "edge/trusted"
