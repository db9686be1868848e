"""Overrides as frozen values, and what makes one readable."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

HEADER_MAX: Final = 8192
"""Bytes of a header; OpenTelemetry's Python propagator drops a longer one whole."""

ENTRIES_MAX: Final = 64
"""How many entries of one header are read as overrides."""

PREFIX: Final = "override."

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_DELAY = re.compile(r"([0-9]{1,5})(ms|s)", re.ASCII)
_DELAY_MAX_MS = 60_000
_ABORT = re.compile(r"[0-9]{1,3}", re.ASCII)
_GRPC_CODE_MAX = 16
_BASELINE = "baseline"


class Kind(StrEnum):
    """What an override is about."""

    ROUTE = "route"
    DELAY = "delay"
    ABORT = "abort"
    CONFIG = "config"
    LOG = "log"
    DB = "db"
    MISSING = "missing"


KINDS: Final = frozenset(kind.value for kind in Kind)


@dataclass(frozen=True, slots=True)
class Override:
    """One instruction that a request carries.

    Args:
        kind: What it is about.
        subject: The service or flag that it is for; "" for `missing`, which is for the whole request.
        value: The deployment, `300ms`, `503`, the flag's value, the level, the database, or `baseline`.
    """

    kind: Kind
    subject: str
    value: str

    @property
    def key(self) -> str:
        """Its key in the baggage: `override.route.users`, `override.missing`."""
        return f"{PREFIX}{self.kind}.{self.subject}" if self.subject else f"{PREFIX}{self.kind}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was ignored, and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what!r} is ignored: {self.why}"


@dataclass(frozen=True, slots=True)
class Overrides:
    """The overrides of one request, one for each key.

    Args:
        by_key: In the order in which their keys first came.
    """

    by_key: Mapping[str, Override] = field(default_factory=lambda: MappingProxyType({}))

    @staticmethod
    def of(overrides: Iterable[Override]) -> "Overrides":
        """Collect overrides; of two with one key the later one wins."""
        return Overrides(MappingProxyType({override.key: override for override in overrides}))

    def __iter__(self) -> Iterator[Override]:
        return iter(self.by_key.values())

    def __len__(self) -> int:
        return len(self.by_key)

    def value(self, kind: Kind, subject: str = "") -> str | None:
        """Return the value of an override, if the request carries it."""
        found = self.by_key.get(Override(kind, subject, "").key)
        return found.value if found else None

    def route(self, service: str) -> str | None:
        """Return the deployment that calls to the service go to, if it is overridden."""
        return self.value(Kind.ROUTE, service)

    @property
    def falls_back(self) -> bool:
        """Whether the baseline serves where a deployment is missing."""
        return self.value(Kind.MISSING) == _BASELINE

    def over(self, others: "Overrides") -> "Overrides":
        """Return both, key by key; where both have one, this one's."""
        return Overrides.of((*others, *self))


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a header says, and what of it was ignored."""

    overrides: Overrides
    problems: tuple[Problem, ...] = ()


def read_entry(key: str, value: str) -> Override | Problem:
    """Read one entry, whose key begins with `override.`, as an override."""
    kind_name, dot, subject = key.removeprefix(PREFIX).partition(".")
    if kind_name not in KINDS:
        return Problem(f"{key}={value}", f"expected {PREFIX} and one of {', '.join(Kind)}")
    kind = Kind(kind_name)
    if kind is Kind.MISSING:
        is_right = not dot and value == _BASELINE
        return (
            Override(kind, "", value)
            if is_right
            else Problem(f"{key}={value}", "expected override.missing=baseline")
        )
    if not _NAME.fullmatch(subject):
        return Problem(f"{key}={value}", f"expected a name behind {PREFIX}{kind}.")
    why = _fault(kind, value)
    return Problem(f"{key}={value}", why) if why else Override(kind, subject, value)


def _fault(kind: Kind, value: str) -> str:
    """Say what is wrong with a value; "" if nothing is."""
    match kind:
        case Kind.CONFIG:
            return "expected UTF-8, percent-encoded" if "\ufffd" in value else ""
        case Kind.DELAY:
            return "" if _is_delay(value) else "expected a delay such as 300ms or 2s, at most 60s"
        case Kind.ABORT:
            return (
                "" if _is_status(value) else "expected an HTTP status from 200 to 599 or a gRPC code from 0 to 16"
            )
        case _:
            expected = "expected letters, digits, dot, dash or underscore, at most 63, the first a letter or digit"
            return "" if _NAME.fullmatch(value) else expected


def _is_delay(value: str) -> bool:
    match = _DELAY.fullmatch(value)
    return match is not None and int(match[1]) * (1000 if match[2] == "s" else 1) <= _DELAY_MAX_MS


def _is_status(value: str) -> bool:
    return _ABORT.fullmatch(value) is not None and (int(value) <= _GRPC_CODE_MAX or 200 <= int(value) < 600)
