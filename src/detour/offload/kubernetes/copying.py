"""The offloaded deployment as a copy of the baseline's Deployment. Pure: from objects to an object.

Invariant: no Service of the namespace selects the copy's pods, whatever the baseline's labels are, nor does any
other object whose selector labels can avoid (`labelling`). The copy is otherwise equal to the baseline: its
configuration, secrets, service account, probes and containers, including fields that this version of Detour does
not know.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from detour.kubernetes.labels import COMMIT, COPY_OF, EXPIRES, KEEP, OFFLOADED, OWNER, ROLL, SERVICE
from detour.kubernetes.objects import Json
from detour.offload.kubernetes.affinity import prefer
from detour.offload.kubernetes.claims import INSTANCE, KNOWN, Claims
from detour.offload.kubernetes.errors import CannotCopyError
from detour.offload.kubernetes.labelling import labels_of_copy
from detour.offload.kubernetes.selectors import Selection
from detour.offload.kubernetes.sidecars import identify, is_sidecar

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_ABANDONED_SECONDS: Final = 600
"""A copy that is not Ready after this time has failed, if no caller waits for it any longer."""

_OWN_ROLLOUT: Final = frozenset(
    {"minReadySeconds", "paused", "progressDeadlineSeconds", "replicas", "selector", "strategy", "template"}
)
"""How a copy is rolled out does not depend on the baseline: Kubernetes refuses some combinations of these fields,
such as a deadline that is not longer than `minReadySeconds`, and a copy must not serve two versions meanwhile."""

_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The differences of the copy from the baseline.

    Args:
        service: The Service that it belongs to.
        name: The name of the deployment, a DNS label.
        image: The image of its main container.
        owner: Its owner.
        expires: When it expires.
        roll: Identifies this change among others of the same copy.
        commit: The commit that the image was built from.
        env: Environment variables to add, or to set to other values.
        replicas: The number of pods.
        command: The command and its arguments, split as a shell does; empty for the baseline's.
        pull_secret: A Secret for pulling the image, in addition to the baseline's.
        container: The main container; empty to find it by the image.
        keep: Whether it stays if it does not become Ready.
        baseline: The workload to copy, NAME or KIND/NAME; empty to find it.
    """

    service: str
    name: str
    image: str
    owner: str
    expires: datetime
    roll: str
    commit: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    command: str = ""
    pull_secret: str = ""
    container: str = ""
    keep: bool = False
    baseline: str = ""


def object_name(service: str, name: str) -> str:
    """Return the name of the copy's Deployment.

    Raises:
        CannotCopyError: The name is not a DNS label (RFC 1123), and names of pods contain it.
    """
    if not _DNS_LABEL.fullmatch(name):
        expected = "at most 63 lower-case letters, digits and dashes, the first and last not a dash"
        raise CannotCopyError(f"{name!r} cannot name a deployment in Kubernetes: expected {expected}")
    return f"{service}--{name}"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy, and what it cannot avoid.

    Args:
        deployment: The whole Deployment.
        selected_by: The objects that select its pods although they select the baseline's.
    """

    deployment: Json
    selected_by: Sequence[Selection] = ()


def make_copy(baseline: Json, selections: Sequence[Selection], wanted: Wanted, claims: Claims = KNOWN) -> Copy:
    """Return the copy of a Deployment.

    Args:
        baseline: The whole Deployment.
        selections: What selects pods in its namespace.
        wanted: The differences.
        claims: The labels and annotations to leave out.

    Raises:
        CannotCopyError: A Service would select the copy, the container for the image is ambiguous, or the command
            cannot be split into words.
    """
    labels = {OFFLOADED: wanted.name, SERVICE: wanted.service}
    template = deepcopy(baseline["spec"]["template"])
    own = labels_of_copy({**claims.without(template["metadata"].get("labels")), **labels}, selections, wanted.name)
    for one in own.selected_by:
        if one.kind == "Service":
            raise CannotCopyError(f"{one} would select the copy: let it also select by a label of the application")
    template["metadata"] = {
        "labels": dict(own.values),
        "annotations": {**claims.without(template["metadata"].get("annotations")), **_annotations(wanted)},
    }
    _change(template, wanted)
    identify(template, wanted.service, wanted.name)
    prefer(template)
    spec = {key: value for key, value in baseline["spec"].items() if key not in _OWN_ROLLOUT}
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    own_labels = claims.without(baseline["metadata"].get("labels"))
    own_labels.pop(INSTANCE, None)
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": object_name(wanted.service, wanted.name),
            "namespace": baseline["metadata"].get("namespace", ""),
            "labels": {**own_labels, **labels, **_MANAGED},
            "annotations": {
                **claims.without(baseline["metadata"].get("annotations")),
                **_annotations(wanted),
                COPY_OF: baseline["metadata"]["name"],
                **({KEEP: "true"} if wanted.keep else {}),
            },
        },
        "spec": {
            **deepcopy(spec),
            "progressDeadlineSeconds": _ABANDONED_SECONDS,
            "replicas": wanted.replicas,
            "selector": {"matchLabels": labels},
            "strategy": rolling,
            "template": template,
        },
    }
    return Copy(deployment, own.selected_by)


_MANAGED: Final = {"app.kubernetes.io/managed-by": "detour"}


def _change(template: Json, wanted: Wanted) -> None:
    container = _main_container(template, wanted)
    container["image"] = wanted.image
    if wanted.env:
        container["env"] = _environment(container.get("env") or (), wanted.env)
    if wanted.command:
        container["command"] = _words(wanted.command)
        container.pop("args", None)
    if wanted.pull_secret:
        secrets = template["spec"].get("imagePullSecrets") or []
        others = [one for one in secrets if one.get("name") != wanted.pull_secret]
        template["spec"]["imagePullSecrets"] = [*others, {"name": wanted.pull_secret}]


def _environment(own: Iterable[Json], wanted: Mapping[str, str]) -> list[Json]:
    """Change variables where they stand, and add new ones: a variable may refer to those before it (`$(NAME)`)."""
    made = {name: {"name": name, "value": value} for name, value in wanted.items()}
    kept = {one["name"]: one for one in own}
    return list({**kept, **made}.values())


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise CannotCopyError(f"the command {command!r} cannot be split into words: {error}") from error


def _main_container(template: Json, wanted: Wanted) -> Json:
    """Find the container that the image is for: the one named, or of the same repository, or the only one."""
    containers: dict[str, Json] = {
        one["name"]: one for one in template["spec"]["containers"] if not is_sidecar(one["name"])
    }
    if wanted.container:
        if wanted.container not in containers:
            raise CannotCopyError(
                f"the pod has no container {wanted.container}; its containers: {', '.join(containers)}"
            )
        return containers[wanted.container]
    annotated = containers.get((template["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER, ""))
    same = [one for one in containers.values() if _repository(one["image"]) == _repository(wanted.image)]
    candidates = same or ([annotated] if annotated else list(containers.values()))
    if len(candidates) != 1:
        raise CannotCopyError(
            f"for which container is the image? Say --container with one of {', '.join(containers)}"
        )
    return candidates[0]


def _repository(image: str) -> str:
    """Return an image's name without tag and digest; the port of a registry is not a tag."""
    name, _, _ = image.partition("@")
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name


def _annotations(wanted: Wanted) -> dict[str, str]:
    expires = wanted.expires.astimezone(UTC).isoformat(timespec="seconds")
    made = {OWNER: wanted.owner, EXPIRES: expires, ROLL: wanted.roll, COMMIT: wanted.commit}
    return {key: value for key, value in made.items() if value}
