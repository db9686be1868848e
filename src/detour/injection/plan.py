"""The decision about one pod: whether it gets a sidecar, in which mode, and which warnings its owner gets.

Invariant: pure, and defined for all labels and annotations of a pod. Unreadable ones result in a warning, and the
cluster's settings apply.
"""

from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any, Final

from detour.injection.redirection import Redirection
from detour.injection.resources import Resources, fitted, quantity
from detour.injection.settings import ENVOY_IMAGE, LOG_LEVEL, LOG_LEVELS, InjectionSettings, Mode

Json = dict[str, Any]

SIDECAR: Final = "detour-sidecar"
"""The name of the sidecar's container: a pod with such a container has a sidecar."""

SIDECAR_UID: Final = 1337
INJECT_LABEL: Final = "detour.dev/inject"
MODE_ANNOTATION: Final = "detour.dev/mode"
PORTS_ANNOTATION: Final = "detour.dev/exclude-outbound-ports"
CIDRS_ANNOTATION: Final = "detour.dev/exclude-outbound-cidrs"
IMAGE_ANNOTATION: Final = "detour.dev/sidecar-image"
LOG_LEVEL_ANNOTATION: Final = "detour.dev/sidecar-log-level"
RESOURCE_ANNOTATIONS: Final = {
    "cpu_request": "detour.dev/sidecar-cpu-request",
    "cpu_limit": "detour.dev/sidecar-cpu-limit",
    "memory_request": "detour.dev/sidecar-memory-request",
    "memory_limit": "detour.dev/sidecar-memory-limit",
}
_NONE: Final = "none"
"""The value of such an annotation for no request, or no limit."""

_REFUSAL_MAX: Final = 120
"""Maximum length of an API server's reason: the rest of the warning must fit as well."""

_NO_ROOM: Final = (
    "the LimitRanges of its namespace leave no room for a sidecar beside its containers"
    f" ({', '.join(RESOURCE_ANNOTATIONS.values())} set the sidecar's resources)"
)

PROXY_NAMES: Final = frozenset({"http_proxy", "HTTP_PROXY"})


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision about one pod.

    Args:
        mode: How its requests reach its sidecar; never `auto`.
        is_auto: Whether the mode depends on what the cluster admits, because neither pod nor cluster choose one.
        skipped: Why it gets no sidecar; empty if it does, or has one already.
        has_one: Whether it has a sidecar already.
        redirection: The rules of the kernel in transparent mode.
        warnings: Warnings for its owner.
        resources: The resources of its sidecar.
        image: The sidecar's image.
        log_level: The level of the sidecar's log.
    """

    mode: Mode = Mode.EXPLICIT
    is_auto: bool = False
    skipped: str = ""
    has_one: bool = False
    redirection: Redirection = field(default_factory=Redirection)
    warnings: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    image: str = ENVOY_IMAGE
    log_level: str = LOG_LEVEL

    @property
    def injects(self) -> bool:
        """Whether the pod is changed."""
        return not (self.skipped or self.has_one)


def plan(pod: Json, settings: InjectionSettings) -> Plan:
    """Decide about a pod, or a template of pods."""
    if any(one.get("name") == SIDECAR for one in all_containers(pod)):
        return Plan(has_one=True)
    if why := _reason_to_skip(pod, settings):
        return Plan(skipped=why)
    if (resources := _resources(pod, settings)) is None:
        return Plan(skipped=_NO_ROOM)
    log_level, unknown = _log_level(pod, settings)
    chosen = _with_mode(pod, settings)
    return replace(
        chosen,
        resources=resources,
        image=str(metadata(pod, "annotations").get(IMAGE_ANNOTATION) or settings.envoy_image),
        log_level=log_level,
        warnings=(*chosen.warnings, *_bad_quantities(pod), *unknown),
    )


def _with_mode(pod: Json, settings: InjectionSettings) -> Plan:
    chosen, warnings = _mode(pod, settings)
    is_auto = chosen is Mode.AUTO
    if is_auto and settings.refusal:
        warnings = (*warnings, _explicit_because(settings.refusal))
    if chosen is Mode.EXPLICIT or (is_auto and settings.refusal):
        return Plan(Mode.EXPLICIT, is_auto, warnings=(*warnings, *_foreign_proxies(pod)))
    redirection, unreadable = _redirection(pod)
    warnings = (*warnings, *unreadable, *_same_user(pod))
    return Plan(Mode.TRANSPARENT, is_auto, redirection=redirection, warnings=warnings)


def all_containers(pod: Json) -> list[Json]:
    """Return the pod's containers and init containers."""
    spec = pod["spec"]
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def metadata(pod: Json, what: str) -> Json:
    """Return the pod's labels or annotations."""
    found: Json = (pod.get("metadata") or {}).get(what) or {}
    return found


def _reason_to_skip(pod: Json, settings: InjectionSettings) -> str:
    spec = pod["spec"]
    if str(metadata(pod, "labels").get(INJECT_LABEL, "")).lower() == "false":
        return f"it is labelled {INJECT_LABEL}=false"
    if spec.get("hostNetwork"):
        return "it uses its node's network (hostNetwork), where all pods of the node share a sidecar's ports"
    if (spec.get("os") or {}).get("name") == "windows":
        return "it runs on Windows, which the sidecar's image does not"
    if not settings.native and spec.get("restartPolicy", "Always") != "Always":
        return "it runs to completion, and would never end beside an ordinary sidecar: that needs Kubernetes 1.29"
    return ""


def _resources(pod: Json, settings: InjectionSettings) -> Resources | None:
    """Return the sidecar's resources: the pod's own, and the settings' as far as LimitRanges admit them."""
    beside = pod["spec"].get("containers") or ()
    room = (
        fitted(settings.resources, settings.limit_ranges, beside) if settings.limit_ranges else settings.resources
    )
    own = {name: "" if value == _NONE else value for name, value in _quantities(pod).items() if _is_amount(value)}
    if room is None and len(own) < len(RESOURCE_ANNOTATIONS):
        return None
    return replace(room or settings.resources, **own).consistent(own)


def _quantities(pod: Json) -> dict[str, str]:
    given = metadata(pod, "annotations")
    return {name: str(given[one]).strip() for name, one in RESOURCE_ANNOTATIONS.items() if one in given}


def _is_amount(value: str) -> bool:
    return value == _NONE or quantity(value) is not None


def _bad_quantities(pod: Json) -> list[str]:
    return [
        f"{RESOURCE_ANNOTATIONS[name]} is {value!r}, not a quantity such as 500m or {_NONE}: it is ignored"
        for name, value in _quantities(pod).items()
        if not _is_amount(value)
    ]


def _log_level(pod: Json, settings: InjectionSettings) -> tuple[str, list[str]]:
    level = str(metadata(pod, "annotations").get(LOG_LEVEL_ANNOTATION) or settings.log_level)
    if level in LOG_LEVELS:
        return level, []
    known = ", ".join(LOG_LEVELS)
    return settings.log_level, [f"{LOG_LEVEL_ANNOTATION} is {level!r}, not one of {known}: it is ignored"]


def _mode(pod: Json, settings: InjectionSettings) -> tuple[Mode, tuple[str, ...]]:
    text = metadata(pod, "annotations").get(MODE_ANNOTATION, settings.mode)
    if text in list(Mode):
        return Mode(text), ()
    known = ", ".join(Mode)
    return settings.mode, (f"{MODE_ANNOTATION} is {text!r}, not one of {known}: {settings.mode} it is",)


def _explicit_because(refusal: str) -> str:
    ignored = "Clients that ignore http_proxy reach the baseline, whatever their overrides say (docs/kubernetes.md)"
    return f"explicit mode, because {refusal[:_REFUSAL_MAX]}. {ignored}"


def _foreign_proxies(pod: Json) -> list[str]:
    return [
        f"container {one.get('name')} has an {', '.join(sorted(names))} of its own: it is left, and what is sent"
        " through it does not go through the sidecar"
        for one in all_containers(pod)
        if (names := PROXY_NAMES & environment(one))
    ]


def environment(container: Json) -> set[str]:
    """Return the names of the variables that a container sets."""
    return {variable.get("name", "") for variable in container.get("env") or ()}


def _redirection(pod: Json) -> tuple[Redirection, list[str]]:
    ports, bad_ports = _listed(pod, PORTS_ANNOTATION, _is_port)
    cidrs, bad_cidrs = _listed(pod, CIDRS_ANNOTATION, _is_cidr)
    redirection = Redirection(
        exempt_uid=SIDECAR_UID, exclude_ports=tuple(int(port) for port in ports), exclude_cidrs=tuple(cidrs)
    )
    return redirection, bad_ports + bad_cidrs


def _listed(pod: Json, annotation: str, is_good: Any) -> tuple[list[str], list[str]]:
    """Return the valid items of a list with commas, and a warning for each invalid one."""
    parts = str(metadata(pod, "annotations").get(annotation) or "").split(",")
    words = list(dict.fromkeys(part.strip() for part in parts if part.strip()))
    warnings = [f"{annotation} lists {word!r}: it is left out" for word in words if not is_good(word)]
    return [word for word in words if is_good(word)], warnings


def _is_port(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 6 and 0 < int(word) < 2**16


def _is_cidr(word: str) -> bool:
    try:
        ip_network(word, strict=False)
    except ValueError:
        return False
    return True


def _same_user(pod: Json) -> list[str]:
    users = [pod["spec"], *all_containers(pod)]
    if any((one.get("securityContext") or {}).get("runAsUser") == SIDECAR_UID for one in users):
        return [f"a container runs as the sidecar's own user {SIDECAR_UID}: its connections are not redirected"]
    return []
