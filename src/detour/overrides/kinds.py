"""The kinds of overrides, in one table.

Everything else that depends on the kind of an override is derived from this table, is checked against it by the
type checker (a `match` that ends in `assert_never`), or is checked against `sdk/vectors/kinds.json`, which a test
writes from it: the Lua of sidecars and edges, the web page, and the SDKs in other languages. CONTRIBUTING.md lists
what a new kind needs.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from detour.overrides.values import BASELINE, Values

PREFIX: Final = "override."
"""What the key of every override begins with."""


class Subject(StrEnum):
    """What an override of some kind is for."""

    SERVICE = "service"
    FLAG = "flag"
    REQUEST = ""
    """The whole request: its key has no subject."""


class AppliedBy(StrEnum):
    """Who makes an override take effect."""

    SIDECAR = "sidecar"
    """The Envoy that sends a call: the caller's sidecar, or the edge."""
    SERVICE = "service"
    """The service itself, with an SDK."""


class Kind(StrEnum):
    """What an override is about.

    Args:
        subject: What it is for.
        applied_by: Who makes it take effect. Only this one refuses what it cannot read.
        values: What its value may be.
    """

    ROUTE = "route", Subject.SERVICE, AppliedBy.SIDECAR, Values.NAME
    """The deployment that calls to the service go to."""
    DELAY = "delay", Subject.SERVICE, AppliedBy.SIDECAR, Values.DELAY
    """How long calls to the service are held first."""
    ABORT = "abort", Subject.SERVICE, AppliedBy.SIDECAR, Values.STATUS
    """The HTTP status or gRPC code that calls to the service fail with."""
    CONFIG = "config", Subject.FLAG, AppliedBy.SERVICE, Values.TEXT
    """The value of a flag."""
    LOG = "log", Subject.SERVICE, AppliedBy.SERVICE, Values.NAME
    """The level at which the service logs this request."""
    DB = "db", Subject.SERVICE, AppliedBy.SERVICE, Values.NAME
    """The database that the service uses, of those that it lists itself."""
    MISSING = "missing", Subject.REQUEST, AppliedBy.SIDECAR, Values.BASELINE
    """Has the baseline answer where a deployment is missing."""

    _value_: str
    subject: Subject
    applied_by: AppliedBy
    values: Values

    def __new__(cls, name: str, subject: Subject, applied_by: AppliedBy, values: Values) -> Self:
        """Make one of the rows above."""
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
        """What an error message says was expected of a value."""
        return f"expected {self.key}={BASELINE}" if self.values is Values.BASELINE else self.values.expected


KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.value: kind for kind in Kind})

ON_CALLS: Final = tuple(
    kind for kind in Kind if kind.subject is Subject.SERVICE and kind.applied_by is AppliedBy.SIDECAR
)
"""The kinds that act on calls to a service: it has to be one of the mesh."""


def key_of(kind: Kind, subject: str) -> str:
    """Return the key of an override."""
    return PREFIX + kind + "." + subject if subject else PREFIX + kind


def table() -> list[dict[str, object]]:
    """Return the table for readers in other languages, as `sdk/vectors/kinds.json` has it."""
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
