"""Label selectors, and the objects of a namespace that select pods by them. Pure.

Invariant: a selector matches exactly what Kubernetes matches (meta/v1, LabelSelector); a requirement with an
unknown operator is never met.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from detour.kubernetes.objects import Json, View

Labels = Mapping[str, str]


class Operator(StrEnum):
    """How a requirement compares (meta/v1, LabelSelectorRequirement)."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(View, frozen=True):
    """What a selector requires of one label (meta/v1, LabelSelectorRequirement)."""

    key: str
    operator: str
    values: tuple[str, ...] | None = ()

    def is_met_by(self, labels: Labels) -> bool:
        """Return whether labels meet it."""
        match self.operator:
            case Operator.IN:
                return self.key in labels and labels[self.key] in (self.values or ())
            case Operator.NOT_IN:
                return self.key not in labels or labels[self.key] not in (self.values or ())
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels
        return False


class Selector(View, frozen=True):
    """A label selector (meta/v1, LabelSelector); an empty one matches everything."""

    match_labels: Mapping[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None

    @property
    def requirements(self) -> Sequence[Requirement]:
        """Everything that it requires."""
        equal = (Requirement(key, Operator.IN, (value,)) for key, value in (self.match_labels or {}).items())
        return [*equal, *(self.match_expressions or ())]

    def matches(self, labels: Labels) -> bool:
        """Return whether it selects a pod with these labels."""
        return all(one.is_met_by(labels) for one in self.requirements)

    def names(self, key: str) -> bool:
        """Return whether it selects only pods that have a label of that name."""
        return any(one.key == key and one.operator in {Operator.IN, Operator.EXISTS} for one in self.requirements)


@dataclass(frozen=True, slots=True)
class Selection:
    """An object that selects pods.

    Args:
        kind: Its kind.
        name: Its name.
        selector: What it selects.
    """

    kind: str
    name: str
    selector: Selector

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def equals(labels: Labels) -> Selector:
    """Return the selector of pods that have all these labels."""
    return Selector(match_labels=dict(labels))


def of_services(services: Iterable[Json]) -> list[Selection]:
    """Return what Services select: one without a selector, or with an empty one, selects nothing (core/v1)."""
    selectors = ((one["metadata"]["name"], one["spec"].get("selector")) for one in services)
    return [Selection("Service", name, equals(selector)) for name, selector in selectors if selector]
