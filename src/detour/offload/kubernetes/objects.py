"""Offloading's views: pods and events, which show how far a deployment has come, and what selects pods.

The Deployments that are copied or rolled back are read whole instead, as `Json`: no field may be lost.
"""

from msgspec import field

from detour.kubernetes.objects import KubernetesObject, Metadata, View
from detour.kubernetes.views import Condition, DatedMetadata
from detour.offload.kubernetes.selectors import Selector


class Dated(KubernetesObject, frozen=True):
    """An object whose age matters."""

    metadata: DatedMetadata = DatedMetadata()


class Waiting(View, frozen=True):
    """Why a container does not run yet (core/v1, ContainerStateWaiting)."""

    reason: str = ""
    message: str = ""


class Terminated(View, frozen=True):
    """How a container ended (core/v1, ContainerStateTerminated)."""

    exit_code: int | None = None


class ContainerState(View, frozen=True):
    """What a container does, or did (core/v1)."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(View, frozen=True):
    """How a container is (core/v1)."""

    name: str
    image: str = ""
    ready: bool = False
    state: ContainerState | None = None
    last_state: ContainerState | None = None

    @property
    def waiting(self) -> Waiting | None:
        """Why it does not run yet; None if it does, or if Kubernetes gives no reason."""
        found = self.state.waiting if self.state else None
        return found if found and (found.reason or found.message) else None

    @property
    def last_end(self) -> Terminated | None:
        """How it ended before it was restarted; None if it never was."""
        return self.last_state.terminated if self.last_state else None


class PodStatus(View, frozen=True):
    """How a pod is (core/v1)."""

    conditions: tuple[Condition, ...] | None = ()
    init_container_statuses: tuple[ContainerStatus, ...] | None = ()
    container_statuses: tuple[ContainerStatus, ...] | None = ()


class Container(View, frozen=True):
    """A container of a pod (core/v1)."""

    name: str


class PodSpec(View, frozen=True):
    """What a pod runs (core/v1)."""

    containers: tuple[Container, ...] = ()


class Pod(Dated, frozen=True):
    """A pod (core/v1)."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def statuses(self) -> tuple[ContainerStatus, ...]:
        """How its containers are, in the order in which they start."""
        return (*(self.status.init_container_statuses or ()), *(self.status.container_statuses or ()))

    def condition(self, kind: str) -> Condition | None:
        """Find one of its conditions."""
        return next((one for one in self.status.conditions or () if one.type == kind), None)


class Reference(View, frozen=True):
    """Which object is meant (core/v1, ObjectReference)."""

    name: str = ""


class Event(Dated, frozen=True):
    """What Kubernetes reports about an object (core/v1)."""

    type: str = ""
    reason: str = ""
    message: str = ""
    last_timestamp: str | None = None
    event_time: str | None = None
    involved: Reference = field(default=Reference(), name="involvedObject")

    @property
    def moment(self) -> str:
        """When it was last reported."""
        return self.last_timestamp or self.event_time or self.metadata.creation_timestamp or ""


class SelectingSpec(View, frozen=True):
    """Which pods an object selects; None for none."""

    selector: Selector | None = None


class Selecting(KubernetesObject, frozen=True):
    """A workload, a PodDisruptionBudget, or another object that selects pods by a LabelSelector."""

    spec: SelectingSpec = SelectingSpec()


class ScaleTarget(View, frozen=True):
    """What an autoscaler scales (autoscaling/v2, CrossVersionObjectReference)."""

    kind: str = ""
    name: str = ""


class AutoscalerSpec(View, frozen=True):
    """What an autoscaler does (autoscaling/v2)."""

    target: ScaleTarget = field(default=ScaleTarget(), name="scaleTargetRef")


class Autoscaler(KubernetesObject, frozen=True):
    """A HorizontalPodAutoscaler (autoscaling/v2)."""

    spec: AutoscalerSpec = AutoscalerSpec()

    @property
    def target(self) -> ScaleTarget:
        """What it scales."""
        return self.spec.target


class OwnerReference(View, frozen=True):
    """What owns an object (meta/v1)."""

    kind: str = ""
    name: str = ""
    controller: bool | None = None


class OwnedMetadata(Metadata, frozen=True):
    """The metadata, with the owners."""

    owner_references: tuple[OwnerReference, ...] | None = ()


class Owned(KubernetesObject, frozen=True):
    """An object that a workload may own."""

    metadata: OwnedMetadata = OwnedMetadata()

    @property
    def controller(self) -> tuple[str, str] | None:
        """The kind and name of the workload that manages it; None if none does."""
        owners = self.metadata.owner_references or ()
        return next(((one.kind, one.name) for one in owners if one.controller), None)


class EndpointConditions(View, frozen=True):
    """Whether an endpoint serves (discovery/v1); None counts as ready."""

    ready: bool | None = None


class SliceEndpoint(View, frozen=True):
    """An endpoint of a slice (discovery/v1)."""

    conditions: EndpointConditions | None = None
    target: Reference | None = field(default=None, name="targetRef")

    @property
    def is_ready(self) -> bool:
        """Whether it serves."""
        return self.conditions is None or self.conditions.ready is not False


class Slice(KubernetesObject, frozen=True):
    """An EndpointSlice (discovery/v1)."""

    endpoints: tuple[SliceEndpoint, ...] | None = ()
