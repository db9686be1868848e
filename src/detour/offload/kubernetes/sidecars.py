"""The sidecars in the pods of a baseline. Pure.

A webhook adds Detour's sidecar to each pod, so that a copy's pods get their own. `detour inject` adds it to the
Deployment instead, and a copy would have the baseline's: its calls would count as calls of the baseline.

Invariant: the sidecar of a copy differs from that of the baseline only in its identity.
"""

import json
from collections.abc import Iterator
from typing import Final

from detour.kubernetes.objects import Json
from detour.offload.kubernetes.errors import CannotCopyError

_OWN: Final = "detour-sidecar"
_SIDECARS: Final = frozenset({_OWN, "istio-proxy", "linkerd-proxy", "queue-proxy"})
_CONFIG: Final = "--config-yaml"


def is_sidecar(container: str) -> bool:
    """Return whether a container of that name is the sidecar of a mesh, or Knative's proxy."""
    return container in _SIDECARS


def identify(template: Json, service: str, deployment: str) -> None:
    """Give the sidecar in a template of pods the identity of an offloaded deployment, if it has one.

    Args:
        template: The template; this changes it.
        service: The Service that the deployment belongs to.
        deployment: Its name.

    Raises:
        CannotCopyError: The sidecar has a configuration that Detour cannot read.
    """
    for container in _own_sidecars(template["spec"]):
        try:
            at = container["args"].index(_CONFIG) + 1
            config = json.loads(container["args"][at])
            node = config["node"]
            metadata = {**node.get("metadata", {}), "deployment": deployment}
            config["node"] = {**node, "cluster": service, "metadata": metadata}
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise CannotCopyError(
                "the baseline's sidecar has a configuration that Detour cannot read, so the copy would act as the"
                " baseline: run detour inject on the baseline's manifest again"
            ) from error
        container["args"][at] = json.dumps(config, separators=(",", ":"))


def _own_sidecars(spec: Json) -> Iterator[Json]:
    for one in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if one["name"] == _OWN:
            yield one
