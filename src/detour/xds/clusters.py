"""Builds clusters from the mesh (CDS v3).

Invariant: every name has a cluster. A deployment that never existed, was removed or is not ready is a cluster
without endpoints: its callers get a 503 at once, and new instances arrive as an endpoint update.
"""

from datetime import timedelta
from functools import cache
from typing import Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, config_source_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.transport_sockets.internal_upstream.v3 import internal_upstream_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from google.protobuf.duration_pb2 import Duration

from detour.envoy.transparency import CONNECT_SECONDS
from detour.envoy.vocabulary import (
    CALLED,
    METADATA,
    MISSING,
    OUTSIDE_LISTENER,
    SERVICE,
    SPEAKS,
    TIMEOUT,
    TLS,
    TUNNEL_LISTENER,
)
from detour.mesh import Mesh, Port, Protocol, Service
from detour.xds.http_options import as_downstream, http_options, unlimited
from detour.xds.messages import HTTP_OPTIONS, packed
from detour.xds.names import TUNNEL, Target
from detour.xds.outside import outside_tunnel

_ENDPOINTS_TIMEOUT: Final = Duration(seconds=5)
"""How long a cluster waits for its endpoints: as long as a request waits for its cluster (`ON_DEMAND_TIMEOUT`).

A cluster whose endpoints arrive later starts without any, and its requests fail. Envoy requests no other cluster
meanwhile, but the server sends endpoints with their clusters, so only a server that has ended lets it wait."""

_HTTPS: Final = 443
_UNREAD: Final = "and Envoy cannot read the content of this tunnel (TLS, for example). Call it with http:// instead"

_SPEAKS: Final = {
    Protocol.AUTO: (
        "the protocol of the request, because the mesh declares none; the service may speak only HTTP/1.1, only"
        " HTTP/2 (gRPC), or TLS"
    ),
    Protocol.HTTP1: "HTTP/1.1, as the mesh says (protocol: http1); the service may speak HTTP/2 or TLS",
    Protocol.HTTP2: "HTTP/2, as the mesh says (protocol: http2); the service may speak only HTTP/1.1, or TLS",
    Protocol.TCP: "the protocol of the request, although the mesh says that it does not speak HTTP (protocol: tcp)",
}
"""By a service's protocol in the mesh: the protocol that Envoy calls it with, and what may be wrong with that."""

_SHOWN_MAX: Final = 200
"""Maximum number of characters shown of a name that means nothing."""


def cluster(name: str, target: Target | None, mesh: Mesh) -> cluster_pb2.Cluster:
    """Return the cluster of that name. If the name means nothing, the cluster has no endpoints."""
    if target is None:
        shown = name if len(name) <= _SHOWN_MAX else f"{name[:_SHOWN_MAX]}..."
        return _without_endpoints(name, f"{shown!r} is neither a service nor a host outside the mesh")
    service = mesh.services.get(target.host)
    if service is not None:
        return _of_service(name, target, service)
    if target.has_overrides:
        return _without_endpoints(
            name, f"overrides of {target.host} have no effect: it is outside the mesh, {_UNREAD}"
        )
    if target.deployment is None:
        return outside_tunnel(name) if target.is_tunnel else _internal(name, OUTSIDE_LISTENER, target)
    return _without_endpoints(name, f"override of {target.host}, but the mesh has no service called {target.host}")


def _of_service(name: str, target: Target, service: Service) -> cluster_pb2.Cluster:
    port = service.at(target.port)
    if port is None:
        offered = ", ".join(map(str, service.ports))
        return _without_endpoints(name, f"service {service.name} has no port {target.port} (it has {offered})")
    if target.is_tunnel and (why := _why_no_tunnel(target, service, port)):
        return _without_endpoints(name, why)
    if target.is_tunnel and port.protocol != Protocol.TCP:
        made = _internal(name, TUNNEL_LISTENER, target)
        if _may_speak_tls(target, service, port):
            made.metadata.filter_metadata[METADATA].fields[TLS].string_value = name.removeprefix(TUNNEL)
            made.transport_socket.CopyFrom(_to_internal_listener(has_metadata=True))
        return made
    return _service_cluster(name, target, service, port.protocol)


def _may_speak_tls(target: Target, service: Service, port: Port) -> bool:
    """Return whether TLS in a tunnel is passed on to the service unread; overrides would have no effect on it.

    If a service does not distinguish its ports, the port of a CONNECT says nothing about what its instances speak.
    """
    return port.protocol is Protocol.AUTO and bool(service.ports) and not target.has_overrides


def _why_no_tunnel(target: Target, service: Service, port: Port) -> str:
    """Return why a CONNECT cannot work, or "". gRPC clients use port 443 for plain text, too."""
    if target.has_overrides and port.protocol == Protocol.TCP:
        return f"overrides of {service.name} have no effect: the mesh says protocol: tcp, {_UNREAD}"
    if target.port == _HTTPS and port.protocol == Protocol.HTTP1 and not service.ports:
        return (
            f"service {service.name} speaks plain HTTP, but this CONNECT is for https: call"
            f" http://{service.name}/ instead, or set protocol: tcp in the mesh if the service speaks TLS itself"
        )
    return ""


def _service_cluster(name: str, target: Target, service: Service, protocol: Protocol) -> cluster_pb2.Cluster:
    ads = config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(),
        resource_api_version=config_source_pb2.V3,
        initial_fetch_timeout=_ENDPOINTS_TIMEOUT,
    )
    made = cluster_pb2.Cluster(
        name=name,
        alt_stat_name=target.label,
        type=cluster_pb2.Cluster.EDS,
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=ads),
        connect_timeout=Duration(seconds=CONNECT_SECONDS),
        circuit_breakers=unlimited(),
        typed_extension_protocol_options={HTTP_OPTIONS: http_options(service, protocol)},
    )
    _set_missing(made, _missing(target))
    if service.timeout is not None:
        milliseconds = round(service.timeout / timedelta(milliseconds=1))
        made.metadata.filter_metadata[METADATA].fields[TIMEOUT].string_value = str(milliseconds)
    _describe(made, target, _SPEAKS[protocol])
    return made


def _missing(target: Target) -> str:
    if target.deployment is None:
        return f"service {target.host} has no ready instance"
    return (
        f"no ready instance of deployment {target.deployment} of service {target.host}"
        f" (override.route.{target.host}={target.deployment})"
    )


def _internal(name: str, listener: str, target: Target) -> cluster_pb2.Cluster:
    """Return a cluster that leads to a listener of the same Envoy, with the request's own protocol."""
    internal = address_pb2.EnvoyInternalAddress(server_listener_name=listener)
    endpoint = endpoint_components_pb2.Endpoint(address=address_pb2.Address(envoy_internal_address=internal))
    made = cluster_pb2.Cluster(
        name=name,
        alt_stat_name=listener,
        type=cluster_pb2.Cluster.STATIC,
        circuit_breakers=unlimited(),
        transport_socket=_to_internal_listener(),
        typed_extension_protocol_options={HTTP_OPTIONS: as_downstream()},
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=name,
            endpoints=[
                endpoint_components_pb2.LocalityLbEndpoints(
                    lb_endpoints=[endpoint_components_pb2.LbEndpoint(endpoint=endpoint)]
                )
            ],
        ),
    )
    _describe(made, target, "HTTP")
    return made


@cache
def _to_internal_listener(*, has_metadata: bool = False) -> base_pb2.TransportSocket:
    """Pass on the original destination of a redirected connection (`detour.envoy.transparent`).

    Args:
        has_metadata: Whether to pass on the cluster's metadata, too (`detour.envoy.tunnel`).
    """
    plain = base_pb2.TransportSocket(
        name="envoy.transport_sockets.raw_buffer", typed_config=packed(raw_buffer_pb2.RawBuffer())
    )
    internal = internal_upstream_pb2.InternalUpstreamTransport(transport_socket=plain)
    if has_metadata:
        internal.passthrough_metadata.add(name=METADATA).kind.cluster.SetInParent()
    return base_pb2.TransportSocket(name="envoy.transport_sockets.internal_upstream", typed_config=packed(internal))


def _without_endpoints(name: str, why: str) -> cluster_pb2.Cluster:
    made = cluster_pb2.Cluster(name=name, alt_stat_name="unknown", type=cluster_pb2.Cluster.STATIC)
    _set_missing(made, why)
    return made


def _describe(made: cluster_pb2.Cluster, target: Target, protocol: str) -> None:
    """Store the texts that error bodies use for this cluster."""
    service = f"service {target.host}"
    called = f"deployment {target.deployment} of {service}" if target.deployment else service
    if target.falls_back:
        called += ", or its baseline,"
    fields = made.metadata.filter_metadata[METADATA].fields
    for name, text in ((CALLED, called), (SERVICE, target.host), (SPEAKS, protocol)):
        fields[name].string_value = text


def _set_missing(made: cluster_pb2.Cluster, sentence: str) -> None:
    made.metadata.filter_metadata[METADATA].fields[MISSING].string_value = sentence
