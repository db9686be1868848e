"""Offloaded deployments, built from the pods, Deployments and EndpointSlices with their labels."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from detour.discovery.kubernetes.objects import Deployment, EndpointSlice, Object, Pod, Service, ServicePort
from detour.discovery.kubernetes.services import endpoints_of, ports_of
from detour.kubernetes.labels import EXPIRES, OFFLOADED, OWNER
from detour.kubernetes.objects import Metadata
from detour.mesh import Endpoint, OffloadedDeployment, is_name

_ANY_PORT: Final = 0


@dataclass(slots=True)
class Deployments:
    """Collects the offloaded deployments of one service.

    Args:
        service: The service's name in the mesh.
        made_from: Its Service; None if it does not exist.
        problems: Mistakes in the objects that were added, a line each.
    """

    service: str
    made_from: Service | None
    problems: list[str] = field(default_factory=list)
    _endpoints: defaultdict[str, defaultdict[int, set[Endpoint]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )
    _metadata: dict[str, Metadata] = field(default_factory=dict)

    def add_pod(self, pod: Pod) -> None:
        """Add a pod: the deployment exists from its creation on, and has an instance while the pod is Ready."""
        if not (name := self._add("Pod", pod.metadata)):
            return
        for port in ports_of(self.made_from) if self.made_from else ():
            number = self._number(pod, port)
            found = endpoints_of(pod.addresses[:1], number) if number and pod.is_ready else ()
            self._endpoints[name][port.port].update(found)

    def add_slice(self, one: EndpointSlice) -> None:
        """Add registered endpoints: each of them serves every port."""
        if not (name := self._add("EndpointSlice", one.metadata)):
            return
        for endpoint in one.endpoints or ():
            for port in one.ports or ():
                if port.port and endpoint.conditions.ready is not False:
                    self._endpoints[name][_ANY_PORT].update(endpoints_of(endpoint.addresses[:1], port.port))

    def add_deployment(self, deployment: Deployment) -> None:
        """Add a Deployment: the offloaded deployment exists also while it has no pod."""
        if name := self._add("Deployment", deployment.metadata):
            self._metadata[name] = deployment.metadata

    def made(self) -> dict[str, OffloadedDeployment]:
        """Return the deployments by name."""
        return {name: self._made(name, metadata) for name, metadata in sorted(self._metadata.items())}

    def _add(self, kind: str, metadata: Metadata) -> str:
        name = metadata.label(OFFLOADED)
        if not is_name(name):
            where = f"{kind} {metadata.namespace}/{metadata.name}"
            self.problems.append(f"{where} has the label {OFFLOADED} without a valid name: it is ignored")
            return ""
        self._metadata.setdefault(name, metadata)
        self._endpoints.setdefault(name, defaultdict(set))
        return name

    def _number(self, pod: Pod, port: ServicePort) -> int | None:
        target = port.target_port or port.port
        number = target if isinstance(target, int) else pod.port(target)
        if number is None:
            where = f"Pod {pod.metadata.namespace}/{pod.metadata.name} of {self.service}"
            self.problems.append(f"{where} declares no port named {target}, the target port of the Service")
        return number

    def _made(self, name: str, metadata: Metadata) -> OffloadedDeployment:
        found = {port: tuple(sorted(endpoints)) for port, endpoints in self._endpoints[name].items()}
        anywhere = found.pop(_ANY_PORT, ())
        main = next(iter(found.values()), ())
        return OffloadedDeployment(
            self.service,
            name,
            anywhere or main,
            metadata.annotation(OWNER),
            self._expiry(metadata),
            MappingProxyType({} if anywhere else found),
        )

    def _expiry(self, metadata: Metadata) -> datetime | None:
        text = metadata.annotation(EXPIRES)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            where = f"{metadata.namespace}/{metadata.name}"
            self.problems.append(
                f"{where} has {text!r} as {EXPIRES}, which is not a date and time: it never expires"
            )
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def deployments_of(service: str, made_from: Service | None, members: Iterable[Object]) -> Deployments:
    """Build the offloaded deployments of a service from the objects with their labels.

    A pod that Detour made does not outlive its Deployment, though Kubernetes may take some time to end it.
    """
    members = list(members)
    there = {one.metadata.label(OFFLOADED) for one in members if isinstance(one, Deployment) and not one.is_ending}
    found = Deployments(service, made_from)
    for one in members:
        match one:
            case Pod() if one.is_ending or (one.is_made and one.metadata.label(OFFLOADED) not in there):
                continue
            case Deployment() if one.is_ending:
                continue
            case Pod():
                found.add_pod(one)
            case EndpointSlice():
                found.add_slice(one)
            case Deployment():
                found.add_deployment(one)
    return found
