"""Gets from the control plane what an edge needs for its bootstrap (delta ADS)."""

import asyncio

import grpc
from envoy.config.core.v3.base_pb2 import Node
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from detour.mesh import TrustedProxies
from detour.xds.catalog import FILTERS
from detour.xds.edge.settings import EDGE_SETTINGS, trusted_proxies

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
_PATIENCE_SECONDS = 5


def proxies_of_mesh(control_plane: str, edge: str) -> TrustedProxies | None:
    """Return the proxies that the mesh trusts in front of its edges; None if the control plane does not answer."""
    try:
        return asyncio.run(_ask(control_plane, edge))
    except (TimeoutError, grpc.RpcError):
        return None


async def _ask(control_plane: str, edge: str) -> TrustedProxies | None:
    node = Node(id=edge, cluster="edge")
    node.metadata.update({"role": "edge"})
    request = DeltaDiscoveryRequest(node=node, type_url=FILTERS, resource_names_subscribe=[EDGE_SETTINGS])
    async with asyncio.timeout(_PATIENCE_SECONDS), grpc.aio.insecure_channel(control_plane) as channel:
        call = channel.stream_stream(
            _METHOD,
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )(wait_for_ready=True)
        await call.write(request)
        response = await call.read()
        call.cancel()
    for resource in response.resources if response else ():
        return trusted_proxies(TypedExtensionConfig.FromString(resource.resource.value))
    # An older server without this resource: no proxy is trusted.
    return TrustedProxies() if response else None
