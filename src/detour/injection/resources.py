"""The CPU and memory that a sidecar requests and may use, and the bounds that LimitRanges of its namespace set.

Invariant: pure, and defined for all LimitRanges, readable or not. What `fitted` returns satisfies every readable
bound, so that a pod which the namespace admits is still admitted with its sidecar.

A LimitRange (core/v1) bounds the requests and limits of containers, or the sums of a pod's containers: `min` the
requests, `max` the limits, `maxLimitRequestRatio` the limit divided by the request.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from math import ceil
from typing import Any, Final

Json = dict[str, Any]

_QUANTITY: Final = re.compile(
    r"(?P<number>[0-9]{1,18}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
    r"(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<power>[+-]?[0-9]{1,2}))?",
    re.ASCII,
)
"""A non-negative quantity (Kubernetes, `resource.Quantity`)."""

_SUFFIXES: Final = {
    **{
        suffix: Fraction(10) ** power
        for suffix, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)
    },
    **{f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}

_LEAST: Final = {"cpu": Fraction(1, 1000), "memory": Fraction(32 * 2**20)}
"""A sidecar does not run with a lower limit: Kubernetes counts CPU in thousandths, and Envoy needs the memory."""

_KINDS: Final = {"requests": "request", "limits": "limit"}


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a sidecar, as Kubernetes' quantities; none is set for an empty one.

    The defaults fit a LimitRange with a maximum of 500m CPU, a minimum of 50m and a ratio of 10.
    """

    cpu_request: str = "50m"
    memory_request: str = "64Mi"
    cpu_limit: str = "500m"
    memory_limit: str = "256Mi"

    @staticmethod
    def parse(text: str) -> "Resources":
        """Read the form of the command line, such as `requests.cpu=50m,limits.memory=256Mi`.

        What is missing is not set.

        Raises:
            ValueError: A name is unknown, or a value is not a quantity.
        """
        chosen = dict.fromkeys((one.name for one in fields(Resources)), "")
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            kind, _, resource = name.strip().partition(".")
            key = f"{resource}_{_KINDS.get(kind, '')}"
            if key not in chosen:
                raise ValueError(f"{name.strip()!r} is not one of {', '.join(_names())}")
            if value and quantity(value) is None:
                raise ValueError(f"{name.strip()} is {value!r}, which is not a quantity such as 500m or 256Mi")
            chosen[key] = value.strip()
        return Resources(**chosen)

    def __str__(self) -> str:
        """Return the form that `parse` reads."""
        found = self.of_container()
        return ",".join(f"{kind}.{name}={value}" for kind in found for name, value in found[kind].items())

    def of_container(self) -> dict[str, dict[str, str]]:
        """Return them as a container has them (core/v1, ResourceRequirements)."""
        wanted = {
            "requests": {"cpu": self.cpu_request, "memory": self.memory_request},
            "limits": {"cpu": self.cpu_limit, "memory": self.memory_limit},
        }
        return {kind: {key: value for key, value in amounts.items() if value} for kind, amounts in wanted.items()}

    def consistent(self, chosen: Iterable[str] = ()) -> "Resources":
        """Return them with no request above its limit, which Kubernetes refuses.

        Args:
            chosen: The fields to keep, such as `cpu_request`: if a request is one of them and its limit is not, the
                limit is raised; otherwise the request is lowered.
        """
        chosen = frozenset(chosen)
        made = self
        for resource in ("cpu", "memory"):
            request, limit = f"{resource}_request", f"{resource}_limit"
            low, high = quantity(getattr(made, request)), quantity(getattr(made, limit))
            if low is not None and high is not None and low > high:
                is_raised = request in chosen and limit not in chosen
                changed = {limit: getattr(made, request)} if is_raised else {request: getattr(made, limit)}
                made = replace(made, **changed)
        return made


def _names() -> list[str]:
    return [f"{kind}.{resource}" for kind in _KINDS for resource in ("cpu", "memory")]


def quantity(value: object) -> Fraction | None:
    """Return the value of a quantity; None if it is not a non-negative one."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None or isinstance(value, bool):
        return None
    factor = _SUFFIXES[match["suffix"]] if match["suffix"] else Fraction(10) ** int(match["power"] or 0)
    return Fraction(match["number"].rstrip(".")) * factor


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The bounds of one resource of one container; None for no bound."""

    least: Fraction | None = None
    most: Fraction | None = None
    ratio: Fraction | None = None
    default: Fraction | None = None


def fitted(resources: Resources, ranges: Sequence[Json], containers: Sequence[Json]) -> Resources | None:
    """Return the resources within the bounds of LimitRanges; None if these leave no room for a sidecar.

    Limits above a maximum are lowered and requests below a minimum raised. Where the limit is too many times the
    request, the request is raised, because a lower limit would slow down the application's requests.

    Args:
        resources: The resources to fit.
        ranges: The LimitRanges of the namespace, as JSON.
        containers: The other containers that run beside the sidecar, for bounds of whole pods.
    """
    made = resources
    for resource in ("cpu", "memory"):
        bounds = _bounds(resource, ranges, containers)
        found = _within(resource, getattr(made, f"{resource}_request"), getattr(made, f"{resource}_limit"), bounds)
        if found is None:
            return None
        made = replace(made, **{f"{resource}_request": found[0], f"{resource}_limit": found[1]})
    return made


def _within(resource: str, request: str, limit: str, bounds: _Bounds) -> tuple[str, str] | None:
    """Return the request and the limit within the bounds; None if no limit is."""
    least = bounds.least or Fraction(0)
    if bounds.most is not None and bounds.most < max(least, _LEAST[resource]):
        return None
    low, high = quantity(request), quantity(limit)
    # Without a limit of its own, the container gets the LimitRange's default.
    given = bounds.default if high is None else high
    actual = min((one for one in (given, bounds.most) if one is not None), default=None)
    if low is None:
        # Without a request of its own, it gets the limit as its request.
        actual = None if actual is None else max(actual, least)
    else:
        low = max(low, least) if bounds.most is None else min(max(low, least), bounds.most)
        if actual is None and bounds.ratio:
            # A ratio demands a limit.
            actual = low * bounds.ratio
        if actual is not None:
            actual = max(actual, low)
            low = max(low, actual / bounds.ratio) if bounds.ratio else low
    return (
        request if low == quantity(request) else _text(resource, low),
        limit if actual == given else _text(resource, actual),
    )


def _bounds(resource: str, ranges: Sequence[Json], containers: Sequence[Json]) -> _Bounds:
    of_containers = list(_items(ranges, "Container"))
    of_pods = list(_items(ranges, "Pod"))
    used = sum((_limit_of(one, resource) for one in containers), Fraction(0))
    most = [*_values(of_containers, "max", resource), *(one - used for one in _values(of_pods, "max", resource))]
    ratios = [one for one in _values([*of_containers, *of_pods], "maxLimitRequestRatio", resource) if one]
    return _Bounds(
        least=max(_values(of_containers, "min", resource), default=None),
        most=min(most, default=None),
        ratio=min(ratios, default=None),
        default=next(_values(of_containers, "default", resource), None),
    )


def _items(ranges: Sequence[Json], kind: str) -> Iterator[Json]:
    for one in ranges:
        spec = one.get("spec")
        limits = spec.get("limits") if isinstance(spec, Mapping) else None
        for item in limits if isinstance(limits, list) else ():
            if isinstance(item, dict) and item.get("type") == kind:
                yield item


def _values(items: Iterable[Json], name: str, resource: str) -> Iterator[Fraction]:
    for item in items:
        amounts = item.get(name)
        value = quantity(amounts.get(resource)) if isinstance(amounts, Mapping) else None
        if value is not None:
            yield value


def _limit_of(container: Json, resource: str) -> Fraction:
    limits = (container.get("resources") or {}).get("limits") or {}
    return quantity(limits.get(resource)) or Fraction(0)


def _text(resource: str, value: Fraction | None) -> str:
    if value is None:
        return ""
    if resource == "cpu":
        return f"{ceil(value * 1000)}m"
    return f"{value / 2**20}Mi" if (value / 2**20).denominator == 1 else str(ceil(value))
