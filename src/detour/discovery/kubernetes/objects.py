"""Kubernetes objects, as little of them as makes a mesh, read from the API's JSON.

Invariant: what is not named here is passed over unread; a namespace of thousands of pods is read in little time and
kept in little memory.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from msgspec import Raw, Struct, field

from detour.kubernetes.labels import ROLL


class _Read(Struct, frozen=True, rename="camel"):
    """An object of the API, or a part of one."""


class Metadata(_Read, frozen=True):
    """What every object has (meta/v1, ObjectMeta)."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    deletion_timestamp: str | None = None

    def label(self, name: str) -> str:
        """Return a label's value; "" if there is none."""
        return (self.labels or {}).get(name, "")

    def annotation(self, name: str) -> str:
        """Return an annotation's value; "" if there is none."""
        return (self.annotations or {}).get(name, "")


class ServicePort(_Read, frozen=True):
    """A port of a Service (core/v1)."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: int | str | None = None


class ServiceSpec(_Read, frozen=True):
    """Which pods a Service has, and at which ports (core/v1)."""

    type: str = "ClusterIP"
    selector: Mapping[str, str] | None = None
    ports: tuple[ServicePort, ...] = ()
    ip_families: tuple[str, ...] = ()
    external_name: str = ""
    publish_not_ready_addresses: bool = False


class Service(_Read, frozen=True):
    """A Service (core/v1)."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()


class Conditions(_Read, frozen=True):
    """What an endpoint is fit for (discovery/v1, EndpointConditions); unknown counts as ready."""

    ready: bool | None = None


class Reference(_Read, frozen=True):
    """Which object is meant (core/v1, ObjectReference)."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


class SliceEndpoint(_Read, frozen=True):
    """One endpoint of a slice (discovery/v1, Endpoint)."""

    addresses: tuple[str, ...] = ()
    conditions: Conditions = Conditions()
    target_ref: Reference | None = None


class SlicePort(_Read, frozen=True):
    """A port of all endpoints of a slice (discovery/v1, EndpointPort)."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class EndpointSlice(_Read, frozen=True):
    """Some endpoints of a Service (discovery/v1)."""

    metadata: Metadata
    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] | None = ()
    ports: tuple[SlicePort, ...] | None = ()


class ContainerPort(_Read, frozen=True):
    """A port that a container declares (core/v1)."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"


class Container(_Read, frozen=True):
    """A container of a pod (core/v1)."""

    ports: tuple[ContainerPort, ...] = ()


class PodSpec(_Read, frozen=True):
    """What a pod runs (core/v1)."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()


class PodCondition(_Read, frozen=True):
    """A condition of a pod (core/v1)."""

    type: str
    status: str


class PodIp(_Read, frozen=True):
    """An address of a pod (core/v1)."""

    ip: str = ""


class PodStatus(_Read, frozen=True):
    """How a pod is (core/v1)."""

    pod_ip: str = field(default="", name="podIP")
    pod_ips: tuple[PodIp, ...] = field(default=(), name="podIPs")
    conditions: tuple[PodCondition, ...] = ()


class Pod(_Read, frozen=True):
    """A pod (core/v1)."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def is_ending(self) -> bool:
        """Whether somebody has asked it to end."""
        return self.metadata.deletion_timestamp is not None

    @property
    def is_made(self) -> bool:
        """Whether it belongs to a Deployment that Detour made."""
        return bool(self.metadata.annotation(ROLL))

    @property
    def is_ready(self) -> bool:
        """Whether requests may be sent there: it is Ready, and nobody has asked it to end."""
        return not self.is_ending and any(
            condition.type == "Ready" and condition.status == "True" for condition in self.status.conditions
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its IP addresses, the main one first; none before it has one."""
        first = (self.status.pod_ip,) if self.status.pod_ip else ()
        return tuple(dict.fromkeys((*first, *(one.ip for one in self.status.pod_ips if one.ip))))

    def port(self, name: str) -> int | None:
        """Find the port that a container declares under a name."""
        containers = (*self.spec.containers, *self.spec.init_containers)
        declared = (port for container in containers for port in container.ports)
        return next((port.container_port for port in declared if port.name == name), None)


class Deployment(_Read, frozen=True):
    """A Deployment (apps/v1): of interest is who made it, and until when."""

    metadata: Metadata

    @property
    def is_ending(self) -> bool:
        """Whether somebody has asked it to end."""
        return self.metadata.deletion_timestamp is not None


Object = Service | EndpointSlice | Pod | Deployment
ObjectT = TypeVar("ObjectT", bound=Object)


class ListMetadata(_Read, frozen=True):
    """What a list is as of (meta/v1, ListMeta)."""

    resource_version: str = ""
    continue_: str = field(default="", name="continue")


class Page(_Read, Generic[ObjectT], frozen=True):
    """A list, or a page of one."""

    metadata: ListMetadata
    items: tuple[ObjectT, ...] | None = ()


class WatchEvent(_Read, frozen=True):
    """A line of a watch (meta/v1, WatchEvent); what the object is depends on the type."""

    type: str
    object: Raw


class Bookmark(_Read, frozen=True):
    """The object of a BOOKMARK: how far a watch has come."""

    metadata: Metadata


class Status(_Read, frozen=True):
    """Why the API refused something (meta/v1, Status)."""

    code: int = 0
    message: str = ""
    reason: str = ""


class Version(_Read, frozen=True):
    """What an API server says of its version."""

    major: str
    minor: str
