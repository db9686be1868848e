"""The kinds of objects that Detour reads and writes, and their paths in the API."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic
from urllib.parse import quote

from detour.kubernetes.objects import Json, T


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object.

    Args:
        name: As in `kind: Deployment`.
        api_version: As in `apiVersion: apps/v1`.
        plural: Its name in paths.
        is_namespaced: Whether its objects belong to namespaces.
    """

    name: str
    api_version: str
    plural: str
    is_namespaced: bool = True

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of an object; that of a list without `name`, of all namespaces' without `namespace`."""
        root = "apis" if "/" in self.api_version else "api"
        place = f"namespaces/{quote(namespace, safe='')}/" if namespace and self.is_namespaced else ""
        return f"/{root}/{self.api_version}/{place}{self.plural}" + (f"/{quote(name, safe='')}" if name else "")

    def object(self, metadata: Json, **rest: Any) -> Json:
        """Return an object of this kind, to be created or applied."""
        return {"apiVersion": self.api_version, "kind": self.name, "metadata": metadata, **rest}

    def read_as(self, type_: type[T]) -> "Reading[T]":
        """Say that objects of this kind are decoded as a view."""
        return Reading(self, type_)

    @property
    def whole(self) -> "Reading[Json]":
        """Say that objects of this kind are read with all their fields."""
        return Reading(self, Json)


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What to read: a kind, the type to decode into, and which of its objects.

    Args:
        kind: The kind.
        type: The view; `Json` for whole objects.
        selector: The labels of the objects of interest (Kubernetes, "Labels and Selectors"); all if empty.
    """

    kind: Kind
    type: type[T]
    selector: str = ""

    def labelled(self, labels: Mapping[str, str | None]) -> "Reading[T]":
        """Restrict it to objects with these labels; None stands for any value."""
        terms = (key if value is None else f"{key}={value}" for key, value in labels.items())
        return replace(self, selector=",".join(terms))


_RBAC: Final = "rbac.authorization.k8s.io/v1"

AUTOSCALERS: Final = Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers")
DAEMON_SETS: Final = Kind("DaemonSet", "apps/v1", "daemonsets")
DEPLOYMENTS: Final = Kind("Deployment", "apps/v1", "deployments")
DISRUPTION_BUDGETS: Final = Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets")
ENDPOINT_SLICES: Final = Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices")
EVENTS: Final = Kind("Event", "v1", "events")
LEASES: Final = Kind("Lease", "coordination.k8s.io/v1", "leases")
LIMIT_RANGES: Final = Kind("LimitRange", "v1", "limitranges")
NAMESPACES: Final = Kind("Namespace", "v1", "namespaces", is_namespaced=False)
NETWORK_POLICIES: Final = Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies")
POD_MONITORS: Final = Kind("PodMonitor", "monitoring.coreos.com/v1", "podmonitors")
PODS: Final = Kind("Pod", "v1", "pods")
REPLICA_SETS: Final = Kind("ReplicaSet", "apps/v1", "replicasets")
ROLLOUTS: Final = Kind("Rollout", "argoproj.io/v1alpha1", "rollouts")
SECRETS: Final = Kind("Secret", "v1", "secrets")
SERVICES: Final = Kind("Service", "v1", "services")
STATEFUL_SETS: Final = Kind("StatefulSet", "apps/v1", "statefulsets")
WEBHOOKS: Final = Kind(
    "MutatingWebhookConfiguration",
    "admissionregistration.k8s.io/v1",
    "mutatingwebhookconfigurations",
    is_namespaced=False,
)

_KINDS: Final = {
    (kind.api_version, kind.name): kind
    for kind in (
        DEPLOYMENTS,
        DISRUPTION_BUDGETS,
        ENDPOINT_SLICES,
        EVENTS,
        LEASES,
        NAMESPACES,
        NETWORK_POLICIES,
        PODS,
        REPLICA_SETS,
        SECRETS,
        SERVICES,
        WEBHOOKS,
        # These belong to the installation only.
        Kind("ClusterRole", _RBAC, "clusterroles", is_namespaced=False),
        Kind("ClusterRoleBinding", _RBAC, "clusterrolebindings", is_namespaced=False),
        Kind("Role", _RBAC, "roles"),
        Kind("RoleBinding", _RBAC, "rolebindings"),
        Kind("ServiceAccount", "v1", "serviceaccounts"),
    )
}


def kind_of(one: Json) -> Kind:
    """Return the kind of an object.

    Raises:
        ValueError: It is none of those that Detour writes.
    """
    found = _KINDS.get((str(one.get("apiVersion")), str(one.get("kind"))))
    if found is None:
        raise ValueError(f"Detour does not know the kind {one.get('kind')} of {one.get('apiVersion')}")
    return found
