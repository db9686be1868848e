"""Overrides as frozen values, and the rules for readable ones."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, assert_never

from detour.overrides.kinds import KINDS, PREFIX, Kind, key_of
from detour.overrides.values import BASELINE, is_name, is_text

HEADER_MAX: Final = 8192
"""Maximum size of a header in bytes; OpenTelemetry's Python propagator drops a longer one entirely."""

ENTRIES_MAX: Final = 64
"""Maximum number of entries of one header that are read as overrides."""

WHOLE_HEADER: Final = ""
"""Replaces a key in a problem that affects all overrides of a header."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN_MAX = 80


_NAME_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


@dataclass(frozen=True, slots=True)
class Override:
    """One instruction that a request carries. Every instance can be written and parsed again.

    Args:
        kind: Its kind.
        subject: The service or flag that it refers to; "" for `missing`, which refers to the whole request.
        value: The deployment, `300ms`, `503`, the flag's value, the log level, the database, or `baseline`.

    Raises:
        ValueError: The value is not valid; the message says what was expected.
    """

    kind: Kind
    subject: str
    value: str

    def __post_init__(self) -> None:
        if self.subject and not self.kind.subject:
            raise ValueError(self.kind.expected)
        if self.kind.subject and not is_name(self.subject):
            raise ValueError(f"expected a name behind {PREFIX}{self.kind}.")
        if not self.kind.values.has(self.value):
            raise ValueError(self.kind.expected)

    @property
    def key(self) -> str:
        """Its key in the baggage: `override.route.users`, `override.missing`."""
        return key_of(self.kind, self.subject)


@dataclass(frozen=True, slots=True)
class OverrideProblem:
    """Something that was ignored, shortened to 80 characters, and the reason.

    Args:
        what: The text.
        why: What was expected instead.
        key: The key of the affected override; `WHOLE_HEADER` if it is unknown; None if it does not matter to
            sidecars.
    """

    what: str
    why: str
    key: str | None = None

    def __post_init__(self) -> None:
        if len(self.what) > _SHOWN_MAX:
            object.__setattr__(self, "what", self.what[: _SHOWN_MAX - 1] + "…")

    def __str__(self) -> str:
        return f"{self.what!r} is ignored: {self.why}"


@dataclass(frozen=True, slots=True)
class Overrides:
    """The overrides of one request, one for each key.

    Args:
        by_key: The overrides, in the order in which their keys first occurred.
    """

    by_key: Mapping[str, Override] = field(default_factory=lambda: MappingProxyType({}))

    @staticmethod
    def collect(overrides: Iterable[Override]) -> "Overrides":
        """Collect overrides; of two with one key the later one wins."""
        return Overrides(MappingProxyType({override.key: override for override in overrides}))

    def __iter__(self) -> Iterator[Override]:
        return iter(self.by_key.values())

    def __len__(self) -> int:
        return len(self.by_key)

    def value(self, kind: Kind, subject: str = "") -> str | None:
        """Return the value of an override, if the request carries it."""
        found = self.by_key.get(key_of(kind, subject))
        return found.value if found else None

    def of(self, kind: Kind) -> Mapping[str, str]:
        """Return the overrides of one kind: subject to value."""
        return MappingProxyType({one.subject: one.value for one in self if one.kind is kind})

    def route(self, service: str) -> str | None:
        """Return the deployment that calls to the service go to, if it is overridden."""
        return self.value(Kind.ROUTE, service)

    @property
    def falls_back(self) -> bool:
        """Whether the baseline answers where a deployment is missing."""
        return self.value(Kind.MISSING) == BASELINE

    def over(self, others: "Overrides") -> "Overrides":
        """Merge with other overrides; of two with one key, this object's wins."""
        return Overrides.collect((*others, *self))


@dataclass(frozen=True, slots=True)
class Parsed:
    """The content of a header, and what was ignored.

    Args:
        overrides: The readable overrides; services read them even beyond the limits of sidecars and edges.
        problems: What is unreadable, or beyond those limits, and why.
        unread: The unreadable entries, by key; they are forwarded to the services that they are for.
    """

    overrides: Overrides
    problems: tuple[OverrideProblem, ...] = ()
    unread: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def unreadable_for(self, service: str) -> OverrideProblem | None:
        """Return the problem for which sidecars and edges reject a request to this service; None if there is none.

        Problems with overrides for other services, and with flags, log levels and databases, are not theirs to
        report.
        """
        return next((one for one in self.problems if self._concerns(one, service)), None)

    def over(self, others: "Parsed") -> "Parsed":
        """Merge with another header; of two entries with one key, this object's wins, readable or not."""
        mine = self.overrides.by_key.keys() | self.unread.keys()
        theirs = (one for one in others.overrides if one.key not in mine)
        unread = {key: text for key, text in others.unread.items() if key not in mine}
        problems = (one for one in others.problems if one.key not in mine)
        both = Overrides.collect((*self.overrides, *theirs))
        return Parsed(both, (*self.problems, *problems), {**self.unread, **unread})

    def __bool__(self) -> bool:
        """Return whether there is any override, readable or not."""
        return bool(self.overrides or self.unread)

    def _concerns(self, problem: OverrideProblem, service: str) -> bool:
        if not problem.key:
            return problem.key == WHOLE_HEADER
        rest = problem.key.removeprefix(PREFIX)
        name, _, subject = rest.partition(".")
        if not service:
            return False
        match KINDS.get(name):
            case Kind.CONFIG | Kind.LOG | Kind.DB:
                return False
            case Kind.MISSING:
                route = key_of(Kind.ROUTE, service)
                return route in self.overrides.by_key or route in self.unread
            case Kind.ROUTE | Kind.DELAY | Kind.ABORT | None:
                # Also keys that almost name this service: without a kind (override.users=pr-42), or with quotes
                # around it.
                return bare(subject) == service or rest == service
            case unknown:
                assert_never(unknown)


def bare(text: str) -> str:
    """Return a text without leading and trailing characters that names do not start or end with."""
    start = next((index for index, letter in enumerate(text) if letter in _NAME_LETTERS), len(text))
    end = next((index for index in range(len(text), start, -1) if text[index - 1] in _NAME_LETTERS), start)
    return text[start:end]


def read_entry(key: str, value: str | None) -> Override | OverrideProblem:
    """Parse an entry whose key starts with `override.`; a value of None means that `=` was missing."""
    if value is None:
        return OverrideProblem(key, "expected = and a value", key)
    name, dot, subject = key.removeprefix(PREFIX).partition(".")
    kind = KINDS.get(name)
    if kind is None:
        return OverrideProblem(f"{key}={value}", f"expected {PREFIX} and one of {', '.join(Kind)}", key)
    if dot and not kind.subject:
        return OverrideProblem(f"{key}={value}", kind.expected, key)
    try:
        return Override(kind, subject, value)
    except ValueError as error:
        return OverrideProblem(f"{key}={value}", str(error), key)


def as_text(text: str) -> str:
    """Return a text in which U+FFFD replaces bytes that are not valid UTF-8 (lone surrogates here)."""
    if is_text(text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
