"""Route tables (RDS v3): one for all sidecars, one for edges that trust overrides, one for edges that do not.

A sidecar's base table names no service. Its first route serves requests without overrides, which are nearly all: it
costs two header matches, and Envoy selects the cluster that the authority names. Only requests whose baggage names
a deployment or a fault run Lua. The control plane describes a cluster when a request first needs it.
"""

from collections.abc import Iterable
from typing import Final

from envoy.config.route.v3 import route_components_pb2 as components_pb2
from envoy.config.route.v3 import route_pb2
from envoy.type.matcher.v3 import metadata_pb2, value_pb2
from google.protobuf.any_pb2 import Any

from detour.envoy.lua import connect_overrides_source, connect_source, known_source
from detour.envoy.vocabulary import (
    ASK_FILTER,
    EDGE_ROUTES,
    EDGE_ROUTES_TRUSTED,
    FORWARD_PROXY_FILTER,
    LUA_FILTER,
    METADATA,
    ON_DEMAND_FILTER,
    OUT,
    OUTBOUND_ROUTES,
    TIMEOUT_FILTER,
    TUNNEL_OUT_CLUSTER,
    UNKNOWN_CLUSTER,
    WAY_OUT_FILTER,
)
from detour.mesh import Mesh, Settings
from detour.xds.edge.routes import edge
from detour.xds.messages import packed
from detour.xds.route_parts import (
    ANY_PATH,
    PLAIN_OVERRIDES,
    UNLIMITED,
    Callers,
    absent,
    answer,
    contains,
    enabled,
    lua,
    override_routes,
    plain_routes,
    route,
    specifier,
    specifier_name,
    switch_off,
    switch_on,
    with_overrides,
)
from detour.xds.switched_off import ignore_config, ignore_overrides

_NO_AT: Final = "no deployment in a host"
_KNOWN: Final = "known host"
_CONNECT: Final = "end of a tunnel"
_OVERRIDDEN_TUNNEL: Final = "end of a tunnel with overrides"
_KNOWN_TUNNEL: Final = "known tunnel"


def route_table(name: str, mesh: Mesh, caller: str = "") -> route_pb2.RouteConfiguration | None:
    """Return the route table of that name for Envoys of a namespace; None if there is none."""
    table = _table(name, mesh, caller)
    if table is not None and has_timeouts(mesh):
        table.typed_per_filter_config[TIMEOUT_FILTER].CopyFrom(packed(components_pb2.FilterConfig(config=Any())))
    return table


def has_timeouts(mesh: Mesh) -> bool:
    """Return whether any service has a timeout. In a mesh without timeouts, routes need not look them up."""
    return any(service.timeout is not None for service in mesh.services.values())


class ServicesWithTimeouts:
    """Tracks the services that have a timeout. Scanning a large mesh on each change would cost too much.

    Args:
        mesh: The initial mesh.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._names = {name for name, service in mesh.services.items() if service.timeout is not None}

    def update(self, mesh: Mesh, names: Iterable[str]) -> bool:
        """Update the services of these names; return whether the result of `has_timeouts` changed."""
        had_some = bool(self._names)
        for name in names:
            service = mesh.services.get(name)
            if service and service.timeout is not None:
                self._names.add(name)
            else:
                self._names.discard(name)
        return had_some != bool(self._names)


def _table(name: str, mesh: Mesh, caller: str) -> route_pb2.RouteConfiguration | None:
    callers = Callers(mesh.settings.carriers, mesh.settings.naming, caller)
    if name == OUTBOUND_ROUTES:
        return _outbound(name, callers, mesh.settings)
    if name == EDGE_ROUTES_TRUSTED:
        return edge(name, mesh, callers, trusted=True)
    if name == EDGE_ROUTES:
        return edge(name, mesh, callers, trusted=False)
    return None


def with_hosts(table: route_pb2.RouteConfiguration, hosts: Iterable[str]) -> route_pb2.RouteConfiguration:
    """Add virtual hosts to a sidecar's table. The sidecar must hold the cluster of each host.

    Requests to these hosts differ from others only in the route that they take without overrides.
    """
    (everything,) = table.virtual_hosts
    for host in hosts:
        made = table.virtual_hosts.add(name=host, domains=[host])
        for one in everything.routes:
            if one.route.cluster_specifier_plugin == _KNOWN:
                made.routes.append(_route_to_known_host(one, host))
            elif one.name != _NO_AT:
                made.routes.append(one)
    return table


def _route_to_known_host(plain: components_pb2.Route, host: str) -> components_pb2.Route:
    """Return the route of requests without overrides to a known host (which cannot contain an `@`)."""
    made = components_pb2.Route()
    made.CopyFrom(plain)
    made.route.CopyFrom(components_pb2.RouteAction(cluster=host, timeout=UNLIMITED))
    del made.match.headers[:]
    made.match.headers.extend(one for one in plain.match.headers if one.name != ":authority")
    switch_off(made, ON_DEMAND_FILTER)
    return made


def _outbound(name: str, callers: Callers, settings: Settings) -> route_pb2.RouteConfiguration:
    by_authority = components_pb2.RouteAction(cluster_header=":authority")
    everything = components_pb2.VirtualHost(
        name="everything",
        domains=["*"],
        routes=[
            *plain_routes(_if_known(), callers, absent(":authority", "@")),
            _refuse_deployment_in_host(),
            *(
                [ignore_overrides(route(_if_known()))]
                if settings.overrides_off
                else override_routes(by_authority, callers, service="")
            ),
            # Last, because every preceding route costs each request. No other route matches a CONNECT: it has no
            # path.
            *(_connect(_OVERRIDDEN_TUNNEL, header) for header in with_overrides(callers)),
            _tunnel_out(),
            _connect(),
        ],
    )
    table = route_pb2.RouteConfiguration(
        name=name,
        virtual_hosts=[everything],
        cluster_specifier_plugins=[
            specifier(_KNOWN, known_source(UNKNOWN_CLUSTER)),
            specifier(_KNOWN_TUNNEL, known_source(TUNNEL_OUT_CLUSTER, "connect@")),
            specifier(_CONNECT, connect_source()),
            specifier(_OVERRIDDEN_TUNNEL, connect_overrides_source(callers.source())),
            specifier(specifier_name(""), callers.source()),
            specifier(PLAIN_OVERRIDES, callers.plain_source()),
        ],
    )
    _share_code(table, callers, settings)
    return table


def _share_code(table: route_pb2.RouteConfiguration, callers: Callers, settings: Settings) -> None:
    """Move code that several routes run to the table: each inline copy would be a Lua state of its own per host."""
    code = ignore_config(settings) if settings.overrides_off else enabled(lua(callers.source()))
    table.typed_per_filter_config[LUA_FILTER].CopyFrom(code)
    for made in table.virtual_hosts[0].routes:
        if settings.overrides_off and made.response_headers_to_add:
            continue
        if LUA_FILTER not in made.typed_per_filter_config:
            switch_off(made, LUA_FILTER)
        elif made.typed_per_filter_config[LUA_FILTER] == code:
            del made.typed_per_filter_config[LUA_FILTER]


def _refuse_deployment_in_host() -> components_pb2.Route:
    """Reserve `@` for clusters that overrides name: `Host: users@pr-42` must not choose a deployment."""
    match = components_pb2.RouteMatch(prefix=ANY_PATH, headers=[contains(":authority", "@")])
    made = answer(400, "a host name cannot contain @; to choose a deployment, use the baggage header.\n", match)
    made.name = _NO_AT
    return made


def _if_known() -> components_pb2.RouteAction:
    """Route to the cluster that the authority names if the sidecar holds it; otherwise to the lookup listener."""
    return components_pb2.RouteAction(cluster_specifier_plugin=_KNOWN)


def _connect(plugin: str = _CONNECT, *headers: components_pb2.HeaderMatcher) -> components_pb2.Route:
    """Terminate a client's CONNECT, and route the requests inside the tunnel like any others."""
    action = components_pb2.RouteAction(cluster_specifier_plugin=plugin, timeout=UNLIMITED)
    upgrade = action.upgrade_configs.add(upgrade_type="CONNECT")
    upgrade.connect_config.SetInParent()
    connect = components_pb2.RouteMatch.ConnectMatcher()
    match = components_pb2.RouteMatch(connect_matcher=connect, headers=headers)
    made = components_pb2.Route(match=match, route=action)
    # Outside hosts are resolved when the tunnel is opened. The other filters limit how long a sidecar waits for an
    # absent control plane; older sidecars lack them, and wait.
    switch_on(made, [FORWARD_PROXY_FILTER, ASK_FILTER, WAY_OUT_FILTER])
    return made


def _tunnel_out() -> components_pb2.Route:
    """Route a CONNECT for a host that the control plane does not know (yet) to the host that it names."""
    made = _connect(_KNOWN_TUNNEL)
    path = [metadata_pb2.MetadataMatcher.PathSegment(key=OUT)]
    value = value_pb2.ValueMatcher(bool_match=True)
    made.match.dynamic_metadata.append(metadata_pb2.MetadataMatcher(filter=METADATA, path=path, value=value))
    return made
