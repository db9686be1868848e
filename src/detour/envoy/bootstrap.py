"""The configuration that an Envoy starts with, as plain data in Envoy's JSON form (bootstrap v3).

Invariant: pure functions. Routes come from the control plane by name, clusters and endpoints on demand, all on one
delta ADS stream. Nothing here depends on the mesh.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from detour import __version__
from detour.envoy.addresses import listener
from detour.envoy.admin import admin, admin_cluster, admin_filter
from detour.envoy.connection_manager import Json
from detour.envoy.control_plane import (
    CONTROL_PLANE,
    SIDECAR_STARTING_ADS,
    STARTING_ADS,
    ads_config,
    control_plane_cluster,
)
from detour.envoy.edge_manager import edge_manager
from detour.envoy.fail_open import (
    asking_listener,
    discovered,
    fail_open_clusters,
    fallback_options,
    no_answer_listener,
    resolver_listener,
    unknown_listener,
)
from detour.envoy.identity import ClientTls
from detour.envoy.inbound import application_cluster, inbound_manager, probe_manager
from detour.envoy.outside import outside_cluster, outside_listener
from detour.envoy.proxied import behind
from detour.envoy.reports import load_reports
from detour.envoy.routing import connect_filters, outbound_manager, routing_manager
from detour.envoy.transparency import RUNTIME
from detour.envoy.transparent import original_destination_cluster, transparent_listener
from detour.envoy.tunnel import tunnel_listener
from detour.envoy.tunnel_out import tunnel_out_listener
from detour.envoy.vocabulary import (
    EDGE_REQUEST_HEADERS,
    EDGE_RESPONSE_HEADERS,
    ROUTE_REQUEST_HEADERS,
    ROUTE_RESPONSE_HEADERS,
    TUNNEL_LISTENER,
    TYPE,
)
from detour.mesh import TrustedProxies


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The settings of a sidecar: the Envoy beside one instance.

    Args:
        service: The service that the instance belongs to.
        instance: The instance's name, unique in the mesh.
        app_port: The application's port on loopback; None if callers bypass its sidecar.
        outbound_port: The port on loopback that the application sends its requests to.
        inbound_port: The port for requests to the application.
        admin_port: The port on loopback for the read-only part of Envoy's admin interface.
        admin_socket: The file of a Unix socket with the full admin interface, for the user who runs Envoy. Without
            it, there is an abstract socket with the read-only part.
        control_plane: `ip:port` of the control plane's ADS.
        inbound_address: The IP address of the inbound listener.
        namespace: The Kubernetes namespace of the instance.
        deployment: The offloaded deployment that the instance belongs to; empty for the baseline.
        tls: The client certificate for the control plane; None for plain text.
        probe_port: The port where `GET /ready` returns 200 once every listener serves.
        probe_address: The IP address of that port; by default all IPv4 addresses.
        transparent_port: The port on loopback that the kernel redirects connections to. It replaces the outbound
            listener, because redirection covers all that the application sends.

    Addresses may be placeholders that are replaced before Envoy reads them, such as Kubernetes' `$(POD_IP)`.
    """

    service: str
    instance: str
    app_port: int | None = None
    outbound_port: int = 15001
    inbound_port: int = 15006
    admin_port: int = 15000
    control_plane: str = "127.0.0.1:15010"
    inbound_address: str = "127.0.0.1"
    namespace: str = ""
    tls: ClientTls | None = None
    probe_port: int | None = None
    probe_address: str = "0.0.0.0"
    transparent_port: int | None = None
    deployment: str = ""
    admin_socket: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """The settings of an edge: the Envoy where outside traffic enters the mesh.

    Args:
        listen: The `ip:port` to serve.
        trust_overrides: Whether overrides in requests from outside are honoured; otherwise they are removed.
        trusted_proxies: The proxies in front of the edge whose forwarding headers it trusts.
    """

    name: str = "edge"
    listen: str = "127.0.0.1:8000"
    admin_port: int = 15000
    control_plane: str = "127.0.0.1:15010"
    trust_overrides: bool = False
    admin_socket: str = ""
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)


def sidecar_bootstrap(sidecar: Sidecar) -> Json:
    """Return the bootstrap of a sidecar.

    In addition to outbound and inbound listeners it has internal ones, such as the end of CONNECT tunnels and the
    way out of the mesh.
    """
    is_transparent = sidecar.transparent_port is not None
    known = {"namespace": sidecar.namespace, "deployment": sidecar.deployment}
    metadata: Json = {"role": "sidecar", "version": __version__}
    metadata |= {name: value for name, value in known.items() if value}
    metadata["ports"] = _own_ports(
        sidecar.admin_port, sidecar.outbound_port, sidecar.transparent_port, sidecar.probe_port
    )
    return _bootstrap(
        node={"id": sidecar.instance, "cluster": sidecar.service, "metadata": metadata},
        admin_at=(sidecar.admin_socket, sidecar.admin_port),
        control_plane=control_plane_cluster(sidecar.control_plane, sidecar.tls),
        clusters=[
            *([application_cluster(sidecar.app_port)] if sidecar.app_port is not None else ()),
            original_destination_cluster() if is_transparent else outside_cluster(),
            *fail_open_clusters(sidecar.outbound_port, by_dns=not is_transparent),
        ],
        # Internal listeners first: they request the route table, which the connection manager of the others needs.
        listeners=[*_internal_listeners(sidecar), *_sidecar_listeners(sidecar)],
        request_headers=ROUTE_REQUEST_HEADERS,
        response_headers=ROUTE_RESPONSE_HEADERS,
    )


def _own_ports(*ports: int | None) -> list[int]:
    """Return the Envoy's own ports. The server refuses to register them as endpoints of instances."""
    return sorted({port for port in ports if port is not None})


def _sidecar_listeners(sidecar: Sidecar) -> Iterator[Json]:
    fallback = routing_manager("outbound", {}, for_tunnels=connect_filters(), **fallback_options())
    http = discovered(fallback, SIDECAR_STARTING_ADS)
    if sidecar.transparent_port is not None:
        yield transparent_listener(sidecar.transparent_port, http)
    else:
        yield listener("outbound", "127.0.0.1", sidecar.outbound_port, http)
        yield tunnel_out_listener()
    if sidecar.app_port is not None:
        yield listener("inbound", sidecar.inbound_address, sidecar.inbound_port, inbound_manager(sidecar.app_port))
    if sidecar.probe_port is not None:
        yield listener("probe", sidecar.probe_address, sidecar.probe_port, probe_manager())


def _internal_listeners(sidecar: Sidecar) -> Iterator[Json]:
    yield tunnel_listener(outbound_manager(TUNNEL_LISTENER))
    yield unknown_listener(_manager_of, sidecar.outbound_port)
    yield no_answer_listener(_manager_of, by_dns=sidecar.transparent_port is None)
    yield asking_listener()
    yield resolver_listener()
    yield outside_listener(sidecar.outbound_port, CONTROL_PLANE)


def _manager_of(stat_prefix: str, routes: Json, filters: Sequence[Json]) -> Json:
    return routing_manager(stat_prefix, routes, before_lookup=filters)


def edge_bootstrap(edge: Edge) -> Json:
    """Return the bootstrap of an edge: one listener, which serves what its route table defines."""
    address, _, port = edge.listen.rpartition(":")
    http = behind(edge.trusted_proxies, edge_manager(trust_overrides=edge.trust_overrides))
    metadata: Json = {"role": "edge", "version": __version__, "ports": _own_ports(edge.admin_port, int(port))}
    made = _bootstrap(
        node={"id": edge.name, "cluster": "edge", "metadata": metadata},
        admin_at=(edge.admin_socket, edge.admin_port),
        control_plane=control_plane_cluster(edge.control_plane),
        clusters=[],
        listeners=[listener("edge", address.strip("[]"), int(port), http)],
        request_headers=EDGE_REQUEST_HEADERS,
        response_headers=EDGE_RESPONSE_HEADERS,
    )
    # The clusters of the services behind the edge arrive before its routes, so hardly any request has to wait for
    # one.
    made["dynamic_resources"]["cds_config"] = STARTING_ADS
    return made


def _bootstrap(
    *,
    node: Json,
    admin_at: tuple[str, int],
    control_plane: Json,
    clusters: list[Json],
    listeners: list[Json],
    request_headers: Sequence[str],
    response_headers: Sequence[str],
) -> Json:
    internal_listener = TYPE + "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    return {
        "node": node,
        "admin": admin(*admin_at),
        "bootstrap_extensions": [
            {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": internal_listener}}
        ],
        "cluster_manager": load_reports(CONTROL_PLANE),
        "inline_headers": [
            *({"inline_header_name": name, "inline_header_type": "REQUEST_HEADER"} for name in request_headers),
            *({"inline_header_name": name, "inline_header_type": "RESPONSE_HEADER"} for name in response_headers),
        ],
        "layered_runtime": {"layers": [{"name": "transparency", "static_layer": RUNTIME}]},
        "dynamic_resources": {"ads_config": ads_config()},
        "static_resources": {
            "clusters": [control_plane, *clusters, admin_cluster(*admin_at)],
            "listeners": [*listeners, listener("admin", "127.0.0.1", admin_at[1], admin_filter())],
        },
    }
