"""Removing an installation from a cluster.

Invariant: only objects that carry Detour's labels, and are in the chart or were made by the server. Namespaces
stay, since they may hold other things, and so do offloaded deployments, which belong to their owners.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from detour.install.connection import MANAGER, connected, present
from detour.install.manifests import Choices, manifests
from detour.kubernetes.api import Api
from detour.kubernetes.config import ClusterConfig
from detour.kubernetes.kinds import DEPLOYMENTS, SECRETS, Kind, kind_of
from detour.kubernetes.labels import OFFLOADED
from detour.kubernetes.objects import KubernetesObject

_LABELS: Final = {"app.kubernetes.io/part-of": "detour", MANAGER: "detour"}

# First what pods in the making wait for; then the server, and its rights, so that it makes nothing anew.
_FIRST: Final = ("MutatingWebhookConfiguration", "Deployment", "ClusterRoleBinding", "RoleBinding")


@dataclass(frozen=True, slots=True)
class Found:
    """An object of an installation.

    Args:
        kind: Its kind.
        name: Its name.
        namespace: Its namespace; empty for one of the whole cluster.
    """

    kind: Kind
    name: str
    namespace: str

    def __str__(self) -> str:
        where = f" of namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind.name} {self.name}{where}"


async def find(config: ClusterConfig) -> tuple[list[Found], list[Found]]:
    """Return an installation's objects, in the order of removal, and the offloaded deployments, which stay.

    Raises:
        RuntimeError: Helm manages it; or the cluster refuses.
    """
    async with connected(config) as api:
        found = await present(api)
        if found and found.is_helms:
            raise RuntimeError(
                f"Helm has installed Detour in namespace {found.namespace}:"
                f" use helm uninstall -n {found.namespace} and the release's name (helm list)"
            )
        return await _installed(api), await _listed(api, DEPLOYMENTS, {OFFLOADED: None})


async def remove(config: ClusterConfig, objects: list[Found], report: Callable[[str], None]) -> None:
    """Delete the objects, if they still exist.

    Args:
        config: The cluster, and the credentials for it.
        objects: What to delete.
        report: Called with a line for each.

    Raises:
        RuntimeError: The cluster refuses; the message says why.
    """
    async with connected(config) as api:
        for one in objects:
            await api.delete(one.kind, one.name, one.namespace)
            report(f"{one} is deleted")


async def _installed(api: Api) -> list[Found]:
    found: list[Found] = []
    for kind, names in _kinds().items():
        found += [one for one in await _listed(api, kind, _LABELS) if one.name in names]
    # The server's own: no other Secret has both labels.
    return found + await _listed(api, SECRETS, _LABELS)


def _kinds() -> dict[Kind, set[str]]:
    """Return the kinds that are in the chart, in the order of removal, with the names that are in it."""
    rank = {kind: number for number, kind in enumerate(_FIRST)}
    chart = [one for one in manifests(Choices(["any"], "any", "any")) if one["kind"] != "Namespace"]
    kinds: dict[Kind, set[str]] = {}
    for one in sorted(chart, key=lambda one: rank.get(one["kind"], len(rank))):
        kinds.setdefault(kind_of(one), set()).add(one["metadata"]["name"])
    return kinds


async def _listed(api: Api, kind: Kind, labels: Mapping[str, str | None]) -> list[Found]:
    found = await api.list(kind.read_as(KubernetesObject).labelled(labels))
    return [Found(kind, one.metadata.name, one.metadata.namespace) for one in found]
