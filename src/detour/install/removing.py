"""Taking an installation out of a cluster.

Invariant: only what carries Detour's labels, and is in the chart or was made by the server. Namespaces stay, since
other things may be in them, and so do offloaded deployments, which are people's own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from lightkube import ApiError, Client
from lightkube.codecs import from_dict
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.resource import GlobalResource
from lightkube.operators import exists
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Secret
from lightkube.types import CascadeType

from detour.install.asking import MANAGER, asking, present
from detour.install.manifests import Choices, manifests
from detour.kubernetes.labels import OFFLOADED

_LABELS: Final = {"app.kubernetes.io/part-of": "detour", MANAGER: "detour"}

# First what pods in the making wait for; then the server, and its rights, so that it makes nothing anew.
_FIRST: Final = ("MutatingWebhookConfiguration", "Deployment", "ClusterRoleBinding", "RoleBinding")


@dataclass(frozen=True, slots=True)
class Found:
    """An object of an installation.

    Args:
        resource: Its kind, as lightkube has it.
        name: Its name.
        namespace: Its namespace; None for one of the whole cluster.
    """

    resource: Any
    name: str
    namespace: str | None

    def __str__(self) -> str:
        where = f" of namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource.__name__} {self.name}{where}"


def find(config: SingleConfig) -> tuple[list[Found], list[Found]]:
    """Return what an installation consists of, in the order of removal, and the offloaded deployments that stay.

    Raises:
        RuntimeError: It is Helm's; or the cluster refuses.
    """
    with asking(Client(config, trust_env=False), config) as client:
        found = present(client)
        if found and found.is_helms:
            raise RuntimeError(
                f"Helm has installed Detour in namespace {found.namespace}:"
                f" use helm uninstall -n {found.namespace} and the release's name (helm list)"
            )
        return list(_installed(client)), list(_listed(client, Deployment, {OFFLOADED: exists()}))


def remove(config: SingleConfig, objects: list[Found], told: Callable[[str], None]) -> None:
    """Delete the objects; one that is gone already is no mistake.

    Raises:
        RuntimeError: The cluster refuses; the message says why.
    """
    with asking(Client(config, trust_env=False), config) as client:
        for one in objects:
            _delete(client, one)
            told(f"{one} is deleted")


def _installed(client: Client) -> Iterator[Found]:
    for resource, names in _kinds().items():
        yield from (one for one in _listed(client, resource, _LABELS) if one.name in names)
    # The server's own: no other Secret has both labels.
    yield from _listed(client, Secret, _LABELS)


def _kinds() -> dict[Any, set[str]]:
    """Return the kinds that are in the chart, in the order of removal, with the names that are in it."""
    rank = {kind: number for number, kind in enumerate(_FIRST)}
    chart = [one for one in manifests(Choices(["any"], "any", "any")) if one["kind"] != "Namespace"]
    kinds: dict[Any, set[str]] = {}
    for one in sorted(chart, key=lambda one: rank.get(one["kind"], len(rank))):
        kinds.setdefault(type(from_dict(one)), set()).add(one["metadata"]["name"])
    return kinds


def _listed(client: Client, resource: Any, labels: dict[str, Any]) -> Iterator[Found]:
    everywhere = None if issubclass(resource, GlobalResource) else "*"
    for one in client.list(resource, namespace=everywhere, labels=labels):
        yield Found(resource, one.metadata.name, one.metadata.namespace)


def _delete(client: Client, one: Found) -> None:
    try:
        client.delete(one.resource, one.name, namespace=one.namespace, cascade=CascadeType.BACKGROUND)
    except ApiError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise
