"""The kinds of overrides, in one table.

Everything else that depends on the kind of an override is derived from this table or checked against it: by the
type checker (a `match` that ends in `assert_never`), or with `sdk/vectors/kinds.json`, which a test generates from
it. The latter covers the Lua of sidecars and edges, the web page, and the SDKs in other languages. CONTRIBUTING.md
lists what a new kind needs.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from detour.overrides.values import BASELINE, Values

PREFIX: Final = "override."
"""The prefix of every override's key."""


class Subject(StrEnum):
    """What an override of a kind refers to."""

    SERVICE = "service"
    FLAG = "flag"
    REQUEST = ""
    """The whole request; the key has no subject."""


class AppliedBy(StrEnum):
    """The component that applies an override."""

    SIDECAR = "sidecar"
    """The Envoy that forwards a call: the caller's sidecar, or the edge."""
    SERVICE = "service"
    """The service itself, with an SDK."""


class Kind(StrEnum):
    """A kind of override.

    Args:
        subject: What it refers to.
        applied_by: The component that applies it, and that rejects it if it is unreadable.
        values: Its valid values.
    """

    ROUTE = "route", Subject.SERVICE, AppliedBy.SIDECAR, Values.NAME
    """The deployment that receives calls to the service."""
    DELAY = "delay", Subject.SERVICE, AppliedBy.SIDECAR, Values.DELAY
    """The delay before calls to the service are forwarded."""
    ABORT = "abort", Subject.SERVICE, AppliedBy.SIDECAR, Values.STATUS
    """The HTTP status or gRPC code that calls to the service fail with."""
    CONFIG = "config", Subject.FLAG, AppliedBy.SERVICE, Values.TEXT
    """The value of a flag."""
    LOG = "log", Subject.SERVICE, AppliedBy.SERVICE, Values.NAME
    """The log level that the service uses for this request."""
    DB = "db", Subject.SERVICE, AppliedBy.SERVICE, Values.NAME
    """The database that the service uses, out of its own list."""
    MISSING = "missing", Subject.REQUEST, AppliedBy.SIDECAR, Values.BASELINE
    """Lets the baseline answer where a deployment is missing."""

    _value_: str
    subject: Subject
    applied_by: AppliedBy
    values: Values

    def __new__(cls, name: str, subject: Subject, applied_by: AppliedBy, values: Values) -> Self:
        """Create a member from a row above."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.subject, made.applied_by, made.values = subject, applied_by, values
        return made

    @property
    def key(self) -> str:
        """The form of its keys: `override.route.<service>`, `override.missing`."""
        return f"{PREFIX}{self}.<{self.subject}>" if self.subject else f"{PREFIX}{self}"

    @property
    def expected(self) -> str:
        """The description of valid values in error messages."""
        return f"expected {self.key}={BASELINE}" if self.values is Values.BASELINE else self.values.expected


KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.value: kind for kind in Kind})

ON_CALLS: Final = tuple(
    kind for kind in Kind if kind.subject is Subject.SERVICE and kind.applied_by is AppliedBy.SIDECAR
)
"""The kinds that affect calls to a service; the service must be in the mesh."""


def key_of(kind: Kind, subject: str) -> str:
    """Return the key of an override."""
    return PREFIX + kind + "." + subject if subject else PREFIX + kind


def table() -> list[dict[str, object]]:
    """Return the table for readers in other languages, as in `sdk/vectors/kinds.json`."""
    return [
        {
            "kind": kind.value,
            "key": kind.key,
            "subject": kind.subject.value,
            "applied_by": kind.applied_by.value,
            "expected": kind.expected,
            "accepted": list(kind.values.accepted),
            "refused": list(kind.values.refused),
        }
        for kind in Kind
    ]
