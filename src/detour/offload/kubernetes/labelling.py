"""The labels of a copy's pods: those of the baseline, except for as few as possible. Pure.

Invariant: no object of the namespace that selects other pods selects the copy, as far as labels can achieve that.
The labels that mark the copy never change: the copy's Deployment, discovery and its sidecar go by them.

A change gives a label another value (`users--pr-42`), removes it, or adds one. The new value is never that of
another application, because the copy would then count as one of its pods.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from detour.kubernetes.labels import OFFLOADED, SERVICE
from detour.offload.kubernetes.selectors import Labels, Operator, Requirement, Selection

_LABEL_MAX: Final = 63
_MARKS: Final = frozenset({OFFLOADED, SERVICE})


@dataclass(frozen=True, slots=True)
class CopyLabels:
    """The labels of a copy's pods.

    Args:
        values: The labels.
        selected_by: The objects that still select the copy, because no change of a label prevents it.
    """

    values: Labels
    selected_by: tuple[Selection, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    """A label's new value; None removes it."""

    key: str
    value: str | None


def labels_of_copy(labels: Labels, selections: Sequence[Selection], name: str) -> CopyLabels:
    """Change as few labels as possible so that no selector matches.

    Each round makes the change after which the fewest selectors match, and no change twice, so this ends.

    Args:
        labels: The baseline's labels, and those that mark the copy.
        selections: What selects pods in the namespace. Selectors that require the label `detour.dev/offloaded` mean
            copies, and are not avoided.
        name: The deployment's name, for the new values.
    """
    avoided = [one for one in selections if not one.selector.names(OFFLOADED)]
    values, changed = dict(labels), set[_Change]()
    while matching := _matching(avoided, values):
        wanted = {change for one in matching for change in _changes(one, values, labels, name)} - changed
        if not wanted:
            break
        best = min(wanted, key=lambda one: (len(_matching(avoided, _with(values, one))), *_cost(one)))
        values = _with(values, best)
        changed.add(best)
    return CopyLabels(values, tuple(_matching(avoided, values)))


def _matching(selections: Sequence[Selection], labels: Labels) -> list[Selection]:
    return [one for one in selections if one.selector.matches(labels)]


def _changes(selection: Selection, values: Labels, before: Labels, name: str) -> Iterator[_Change]:
    """Yield the changes after which a selector that matches does not match any more."""
    for one in selection.selector.requirements:
        if one.key not in _MARKS:
            yield from _changes_of(one, values, before, name)


def _changes_of(one: Requirement, values: Labels, before: Labels, name: str) -> Iterator[_Change]:
    match one.operator:
        case Operator.IN:
            new = shortened(f"{before[one.key]}--{name}") if before.get(one.key) else name
            if values[one.key] != new and new not in (one.values or ()):
                yield _Change(one.key, new)
            yield _Change(one.key, None)
        case Operator.EXISTS:
            yield _Change(one.key, None)
        case Operator.DOES_NOT_EXIST if one.key not in before:
            # A label that the search has removed stays removed.
            yield _Change(one.key, name)


def _cost(change: _Change) -> tuple[bool, bool, str]:
    """Order changes with the same effect: a new value says more than none, and an instance says least."""
    return change.value is None, not change.key.endswith("/instance"), change.key


def _with(labels: Mapping[str, str], change: _Change) -> dict[str, str]:
    others = {key: value for key, value in labels.items() if key != change.key}
    if change.value is None:
        return others
    # Where it was: people compare the labels with those of the baseline.
    return {**labels, change.key: change.value}


def shortened(value: str) -> str:
    """Return a value that fits into a label; a hash keeps long ones apart."""
    if len(value) <= _LABEL_MAX:
        return value
    digest = blake2b(value.encode(), digest_size=4).hexdigest()
    return f"{value[: _LABEL_MAX - len(digest) - 1]}-{digest}"
