"""Endpoints that are registered in a cluster, as EndpointSlices that belong to no Service. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from detour.kubernetes.kinds import ENDPOINT_SLICES
from detour.kubernetes.labels import EXPIRES, OFFLOADED, OWNER, SERVICE
from detour.kubernetes.objects import Json
from detour.mesh import Endpoint, OffloadedDeployment
from detour.offload.kubernetes.copying import object_name

_Group = tuple[str, int]
"""A family of addresses, and a port: those of all endpoints of one slice."""


def slices_of(deployment: OffloadedDeployment, service: str, namespace: str) -> Iterator[Json]:
    """Return the EndpointSlices of a deployment: one for each port and family of addresses.

    Args:
        deployment: What is registered.
        service: The Service's name.
        namespace: The Service's namespace.

    Raises:
        CannotCopyError: The deployment's name can't be one in Kubernetes.
    """
    annotations = {OWNER: deployment.owner}
    if deployment.expires:
        annotations[EXPIRES] = moment(deployment.expires)
    # Without endpoints there is an empty slice, so that the deployment exists.
    for (family, port), endpoints in (_grouped(deployment.endpoints) or {("IPv4", 1): []}).items():
        metadata = {
            "name": f"{object_name(service, deployment.name)}-{family.lower()}-{port}",
            "namespace": namespace,
            "labels": {SERVICE: service, OFFLOADED: deployment.name},
            "annotations": annotations,
        }
        yield ENDPOINT_SLICES.object(
            metadata,
            addressType=family,
            endpoints=[{"addresses": [one.address], "conditions": {"ready": True}} for one in endpoints],
            ports=[{"name": "", "port": port, "protocol": "TCP"}],
        )


def moment(time: datetime) -> str:
    """Write a time as annotations have it."""
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _grouped(endpoints: Iterable[Endpoint]) -> dict[_Group, Sequence[Endpoint]]:
    groups: dict[_Group, list[Endpoint]] = {}
    for endpoint in endpoints:
        family = "IPv6" if ":" in endpoint.address else "IPv4"
        groups.setdefault((family, endpoint.port), []).append(endpoint)
    return dict(groups)
