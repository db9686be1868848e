"""The mesh's services, built from Kubernetes Services and their EndpointSlices."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final

from detour import mesh
from detour.discovery.kubernetes.objects import EndpointSlice, Service, ServicePort, SliceEndpoint
from detour.discovery.kubernetes.protocols import protocol_of
from detour.mesh import Endpoint, Port, Protocol, is_name

_FAMILIES: Final = ("IPv4", "IPv6")


def why_not(name: str, service: Service) -> str:
    """Return why a Service cannot be part of the mesh; "" if it can.

    Args:
        name: Its name in the mesh.
        service: The Service.
    """
    where = f"Service {service.metadata.namespace}/{service.metadata.name}"
    if service.spec.type == "ExternalName":
        outside = service.spec.external_name
        return f"{where} is an ExternalName: calls to it leave the mesh for {outside}, and cannot be overridden"
    if not ports_of(service):
        return f"{where} has no TCP port: no call to it passes a sidecar, and none can be overridden"
    if not is_name(name):
        return f"{where} would be called {name}, which is longer than 63 characters: give it a shorter name"
    return ""


def ports_of(service: Service) -> tuple[ServicePort, ...]:
    """Return the ports that a sidecar can serve, the main one first: the first HTTP port if there is one."""
    ports = [port for port in service.spec.ports if port.protocol == "TCP"]
    return tuple(sorted(ports, key=lambda port: protocol_of(port) == Protocol.TCP))


def service_of(
    name: str, service: Service, slices: Iterable[EndpointSlice], serves: Callable[[SliceEndpoint], bool]
) -> mesh.Service:
    """Build a service of the mesh.

    Args:
        name: Its name in the mesh.
        service: The Service.
        slices: Its EndpointSlices.
        serves: Returns whether an endpoint is a ready instance of the baseline.
    """
    family = service.spec.ip_families[0] if service.spec.ip_families else ""
    found = [one for one in slices if one.address_type in _FAMILIES and family in {"", one.address_type}]
    ports = {port.port: Port(protocol_of(port), _endpoints(port, found, serves)) for port in ports_of(service)}
    main = next(iter(ports.values()))
    return mesh.Service(name, main.endpoints, main.protocol, ports=MappingProxyType(ports))


def endpoints_of(addresses: Iterable[str], port: int) -> Sequence[Endpoint]:
    """Return the endpoints at a port; addresses that are not IP addresses are left out."""
    made = []
    for address in addresses:
        with suppress(ValueError):
            made.append(Endpoint(address, port))
    return made


def _endpoints(
    port: ServicePort, slices: Iterable[EndpointSlice], serves: Callable[[SliceEndpoint], bool]
) -> tuple[Endpoint, ...]:
    # An endpoint may stand in two slices for a moment, while it moves from one to another (KEP-752).
    found = {
        endpoint
        for one in slices
        for number in _numbers(port, one)
        for instance in one.endpoints or ()
        if serves(instance)
        for endpoint in endpoints_of(instance.addresses[:1], number)
    }
    return tuple(sorted(found))


def _numbers(port: ServicePort, one: EndpointSlice) -> Iterable[int]:
    """Return the port numbers in a slice for a port of the Service; both have the same name."""
    return [at.port for at in one.ports or () if at.port and (at.name or "") == port.name and at.protocol != "UDP"]
