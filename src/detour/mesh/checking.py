"""Checks whether overrides can take effect in a mesh, and suggests the most similar names.

Overrides have no effect on services that do not exist, and on ports that sidecars cannot read. Everything that
accepts overrides checks them here.

Invariant: pure. Overrides are checked against one state of the mesh; syntax is checked in `detour.overrides`. A
mesh without services accepts all names.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from detour.mesh.model import Mesh
from detour.overrides import ON_CALLS, PREFIX, Kind, Override, Subject, read_entry, word_of

_LISTED_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Mistake:
    """An override that cannot take effect in the current mesh.

    Args:
        key: The override's key, without the prefix `override.`.
        value: Its value.
        why: What is wrong.
        instead: The most similar valid override, as a person types it; empty if there is none.
    """

    key: str
    value: str
    why: str
    instead: str = ""

    def __str__(self) -> str:
        return f"{self.why}; did you mean {self.instead}?" if self.instead else self.why


def mistakes(overrides: Iterable[Override], mesh: Mesh) -> list[Mistake]:
    """Return the mistakes in overrides, in order."""
    return [found for one in overrides if (found := _mistake(one, mesh)) is not None] if mesh.services else []


def limits(overrides: Iterable[Override], mesh: Mesh) -> list[Mistake]:
    """Return the overrides that apply to some ports of their service only, in order."""
    return [_of(one, why, "") for one in overrides if one.kind in ON_CALLS and (why := _why_limited(one, mesh))]


def _why_limited(one: Override, mesh: Mesh) -> str:
    service = mesh.services.get(mesh.settings.naming.canonical(one.subject))
    return service.why_partly_unread if service else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most similar to a name; empty if none is similar."""
    by_lower = {one.lower(): one for one in sorted(known, reverse=True)}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def _mistake(one: Override, mesh: Mesh) -> Mistake | None:
    if one.kind.subject is not Subject.SERVICE:
        return None
    known = {*mesh.services, *(service for service, _ in mesh.deployments)}
    service = mesh.settings.naming.canonical(one.subject)
    if service not in known:
        return _unknown_service(one, known)
    if one.kind in ON_CALLS and (made := mesh.services.get(service)) and made.is_unread:
        return _of(one, made.why_unread, "")
    if one.kind is Kind.ROUTE and mesh.deployment(service, one.value) is None:
        return _unknown_deployment(one, service, [name for of, name in mesh.deployments if of == service])
    return None


def _unknown_service(one: Override, known: set[str]) -> Mistake | None:
    instead = _as_another_kind(one, known) or _with(one, subject=nearest(one.subject, known))
    if one.kind not in ON_CALLS and not instead:
        # A service without callers, such as a worker, applies these, too.
        return None
    listed = "" if instead else _listed(known, "it has")
    return _of(one, f"the mesh has no service {one.subject}{listed}", instead)


def _as_another_kind(one: Override, known: set[str]) -> str:
    """Interpret `dely.users=3s`, formally a route of a service called `dely.users`, as what was probably meant."""
    first, _, rest = one.subject.partition(".")
    if one.kind is not Kind.ROUTE or not rest:
        return ""
    kind = nearest(first, Kind)
    subject = rest if rest in known or kind == Kind.CONFIG else nearest(rest, known)
    read = read_entry(f"{PREFIX}{kind}.{subject}", one.value)
    return word_of(read) if isinstance(read, Override) else ""


def _unknown_deployment(one: Override, service: str, known: list[str]) -> Mistake:
    instead = _with(one, value=nearest(one.value, known))
    listed = "" if instead else _listed(known, "it has") or ": it has none"
    return _of(one, f"{service} has no deployment {one.value}{listed}", instead)


def _of(one: Override, why: str, instead: str) -> Mistake:
    return Mistake(one.key.removeprefix(PREFIX), one.value, why, instead)


def _with(one: Override, *, subject: str | None = None, value: str | None = None) -> str:
    if not (subject if subject is not None else value):
        return ""
    return word_of(Override(one.kind, subject or one.subject, value or one.value))


def _listed(known: Iterable[str], verb: str) -> str:
    names = sorted(known)
    return (
        f": {verb} {', '.join(names[:_LISTED_MAX])}{', ...' if len(names) > _LISTED_MAX else ''}" if names else ""
    )


def explained(found: Iterable[Mistake]) -> Iterator[str]:
    """Describe mistakes for people, each with its override."""
    for one in found:
        word = word_of(read) if isinstance(read := read_entry(PREFIX + one.key, one.value), Override) else one.key
        yield f"{word}: {one}"
