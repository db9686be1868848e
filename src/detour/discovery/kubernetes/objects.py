"""Discovery's views of Kubernetes objects: the few fields that make a mesh."""

from collections.abc import Mapping

from msgspec import field

from detour.kubernetes.labels import ROLL
from detour.kubernetes.objects import KubernetesObject, View


class ServicePort(View, frozen=True):
    """A port of a Service (core/v1)."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: int | str | None = None


class ServiceSpec(View, frozen=True):
    """Which pods a Service has, and at which ports (core/v1)."""

    type: str = "ClusterIP"
    selector: Mapping[str, str] | None = None
    ports: tuple[ServicePort, ...] = ()
    ip_families: tuple[str, ...] = ()
    external_name: str = ""
    cluster_ip: str = field(default="", name="clusterIP")
    publish_not_ready_addresses: bool = False


class Service(KubernetesObject, frozen=True):
    """A Service (core/v1)."""

    spec: ServiceSpec = ServiceSpec()


class Conditions(View, frozen=True):
    """Whether an endpoint is ready (discovery/v1, EndpointConditions); unknown counts as ready."""

    ready: bool | None = None


class Reference(View, frozen=True):
    """Which object is meant (core/v1, ObjectReference)."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


class SliceEndpoint(View, frozen=True):
    """One endpoint of a slice (discovery/v1, Endpoint)."""

    addresses: tuple[str, ...] = ()
    conditions: Conditions = Conditions()
    target_ref: Reference | None = None


class SlicePort(View, frozen=True):
    """A port of all endpoints of a slice (discovery/v1, EndpointPort)."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class EndpointSlice(KubernetesObject, frozen=True):
    """Some endpoints of a Service (discovery/v1)."""

    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] | None = ()
    ports: tuple[SlicePort, ...] | None = ()


class ContainerPort(View, frozen=True):
    """A port that a container declares (core/v1)."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"


class Container(View, frozen=True):
    """A container of a pod (core/v1)."""

    ports: tuple[ContainerPort, ...] = ()


class PodSpec(View, frozen=True):
    """What a pod runs (core/v1)."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()


class PodCondition(View, frozen=True):
    """A condition of a pod (core/v1)."""

    type: str
    status: str


class PodIp(View, frozen=True):
    """An address of a pod (core/v1)."""

    ip: str = ""


class PodStatus(View, frozen=True):
    """How a pod is (core/v1)."""

    pod_ip: str = field(default="", name="podIP")
    pod_ips: tuple[PodIp, ...] = field(default=(), name="podIPs")
    conditions: tuple[PodCondition, ...] = ()


class Pod(KubernetesObject, frozen=True):
    """A pod (core/v1)."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def is_made(self) -> bool:
        """Whether it belongs to a Deployment that Detour created."""
        return bool(self.metadata.annotation(ROLL))

    @property
    def is_ready(self) -> bool:
        """Whether it can serve requests: it is Ready, and its deletion has not begun."""
        return not self.is_ending and any(
            condition.type == "Ready" and condition.status == "True" for condition in self.status.conditions
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its IP addresses, the main one first; empty before it has one."""
        first = (self.status.pod_ip,) if self.status.pod_ip else ()
        return tuple(dict.fromkeys((*first, *(one.ip for one in self.status.pod_ips if one.ip))))

    def port(self, name: str) -> int | None:
        """Find the port that a container declares under a name."""
        containers = (*self.spec.containers, *self.spec.init_containers)
        declared = (port for container in containers for port in container.ports)
        return next((port.container_port for port in declared if port.name == name), None)


class Deployment(KubernetesObject, frozen=True):
    """A Deployment (apps/v1); discovery needs its labels and annotations only."""


Object = Service | EndpointSlice | Pod | Deployment
