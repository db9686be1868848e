"""Builds the endpoints of clusters from the mesh (EDS v3).

Invariant: a baseline cluster has the service's own endpoints only, never those of a deployment.
"""

from collections.abc import Sequence

from envoy.config.core.v3 import address_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from detour.envoy.vocabulary import METADATA, SERVED_BY
from detour.mesh import Endpoint, Mesh
from detour.xds.names import Target


def load_assignment(name: str, target: Target | None, mesh: Mesh) -> endpoint_pb2.ClusterLoadAssignment:
    """Return the endpoints of the cluster of that name, possibly none."""
    served_by, endpoints = _served(target, mesh) if target else ("", ())
    made = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    if endpoints:
        made.endpoints.add().lb_endpoints.extend(_lb_endpoint(endpoint, served_by) for endpoint in endpoints)
    return made


def _served(target: Target, mesh: Mesh) -> tuple[str, Sequence[Endpoint]]:
    service = mesh.services.get(target.host)
    port = service.at(target.port) if service else None
    if service is None or port is None:
        return "", ()
    if target.deployment is None:
        return target.label, port.endpoints
    deployment = mesh.deployment(target.host, target.deployment)
    endpoints = deployment.at(service.port_number(target.port)) if deployment else ()
    if endpoints:
        return target.label, endpoints
    return (service.name, port.endpoints) if target.falls_back else ("", ())


def _lb_endpoint(endpoint: Endpoint, served_by: str) -> endpoint_components_pb2.LbEndpoint:
    socket = address_pb2.SocketAddress(address=endpoint.address, port_value=endpoint.port)
    made = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=address_pb2.Address(socket_address=socket))
    )
    made.metadata.filter_metadata[METADATA].fields[SERVED_BY].string_value = served_by
    return made
