"""Labels and annotations by which controllers claim objects as their own. Pure.

A copy must not have them: a controller that finds one on an object that its source does not have deletes the
object, or changes it back. This is the only list of them; a server's configuration can add to it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_KEYS: Final = (
    "addonmanager.kubernetes.io/mode",
    "app.kubernetes.io/managed-by",
    "config.k8s.io/owning-inventory",
    "configmanagement.gke.io/managed",
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubectl.kubernetes.io/restartedAt",
    "kubernetes.io/cluster-service",
    "olm.managed",
    "olm.owner",
    "olm.owner.kind",
    "olm.owner.namespace",
    "pod-template-hash",
    "rollouts-pod-template-hash",
)

_DOMAINS: Final = (
    "app.terraform.io/",
    "applyset.kubernetes.io/",
    "argocd.argoproj.io/",
    "cattle.io/",
    "cli-utils.sigs.k8s.io/",
    "config.kubernetes.io/",
    "configmanagement.gke.io/",
    "configsync.gke.io/",
    "crossplane.io/",
    "deployment.kubernetes.io/",
    "flux.weave.works/",
    "fluxcd.io/",
    "helm.sh/",
    "hnc.x-k8s.io/",
    "k14s.io/",
    "keel.sh/",
    "lifecycle.config.k8s.io/",
    "operators.coreos.com/",
    "pulumi.com/",
    "rollout.argoproj.io/",
    "skaffold.dev/",
    "spinnaker.io/",
    "tanka.dev/",
    "werf.io/",
)
"""Each stands for all keys of the domain and of its subdomains."""

INSTANCE: Final = "app.kubernetes.io/instance"
"""The label by which Argo CD recognizes its own objects, if it tracks them by labels. It looks at Deployments, not
at their pods. So pods keep the label: network policies and others select by it."""

_KEY: Final = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claims:
    """The keys of labels and annotations that a copy must not have.

    Args:
        others: Keys in addition to the list of this module. One that ends in a slash stands for all keys of that
            domain and of its subdomains.

    Raises:
        ValueError: One is not a key.
    """

    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in self.others:
            if not key or not _KEY.fullmatch(key):
                raise ValueError(f"{key!r} is not a key of labels: expected KEY, DOMAIN/KEY or DOMAIN/")

    def without(self, labels: Mapping[str, str] | None) -> dict[str, str]:
        """Return labels or annotations without those that claim an object."""
        return {key: value for key, value in (labels or {}).items() if not self._has(key)}

    def _has(self, key: str) -> bool:
        domain, slash, _ = key.partition("/")
        return (
            key in _KEYS
            or key in self.others
            or (bool(slash) and any(_is_in(f"{domain}/", one) for one in self._domains()))
        )

    def _domains(self) -> Iterable[str]:
        return (*_DOMAINS, *(one for one in self.others if one.endswith("/")))


def _is_in(domain: str, other: str) -> bool:
    return domain == other or domain.endswith(f".{other}")


KNOWN: Final = Claims()
"""The list of this module alone."""
