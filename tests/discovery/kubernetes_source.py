"""A mesh as Kubernetes objects, for the contract: what objects there must be for it."""

from typing import Any

from detour.mesh import OffloadedDeployment, Protocol, Service
from kubernetes_objects import deployment, endpoint, endpoint_slice, pod, service

Json = dict[str, Any]
Objects = dict[tuple[str, str], Json]


def objects_of(*values: Service | OffloadedDeployment) -> Objects:
    """Return the objects of a mesh by kind (as paths call it) and name."""
    made: Objects = {}
    for value in values:
        found = _of_service(value) if isinstance(value, Service) else _of_deployment(value)
        made.update({(kind, one["metadata"]["name"]): one for kind, one in found})
    return made


def _of_service(value: Service) -> list[tuple[str, Json]]:
    number = value.endpoints[0].port if value.endpoints else 8080
    name = "grpc" if value.protocol == Protocol.HTTP2 else "http"
    pods = [
        pod(f"{value.name}-{one.address.replace('.', '-')}", one.address, app=value.name) for one in value.endpoints
    ]
    return [
        ("services", service(value.name, {"name": name, "port": 80, "targetPort": number, "protocol": "TCP"})),
        *(("pods", one) for one in pods),
        ("endpointslices", endpoint_slice(value.name, *map(endpoint, pods), port=number, port_name=name)),
    ]


def _of_deployment(value: OffloadedDeployment) -> list[tuple[str, Json]]:
    name = f"{value.service}--{value.name}"
    annotations = {"owner": value.owner, "expires": value.expires.isoformat()}
    labels = {"detour_offloaded": value.name, "detour_service": value.service}
    return [
        ("deployments", deployment(name, value.service, value.name, **annotations)),
        *(("pods", pod(f"{name}-{number}", one.address, **labels)) for number, one in enumerate(value.endpoints)),
    ]
