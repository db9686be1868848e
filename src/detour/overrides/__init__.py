"""Overrides, and the two headers that carry them from hop to hop.

Invariant: pure, standard library only. No input raises an exception: unreadable overrides are ignored and reported.
Other baggage entries never change.
"""

from detour.overrides.baggage import (
    append_to_baggage,
    members_of,
    own_key,
    parse_baggage,
    read_entries,
    strip_baggage,
)
from detour.overrides.kinds import KINDS, ON_CALLS, PREFIX, AppliedBy, Kind, Subject
from detour.overrides.model import (
    ENTRIES_MAX,
    HEADER_MAX,
    WHOLE_HEADER,
    Override,
    OverrideProblem,
    Overrides,
    Parsed,
    read_entry,
)
from detour.overrides.opentracing import parse_opentracing, strip_opentracing, write_opentracing
from detour.overrides.values import BASELINE, Values, delay_ms
from detour.overrides.words import parse_words, word_of

__all__ = [
    "BASELINE",
    "ENTRIES_MAX",
    "HEADER_MAX",
    "KINDS",
    "ON_CALLS",
    "PREFIX",
    "WHOLE_HEADER",
    "AppliedBy",
    "Kind",
    "Override",
    "OverrideProblem",
    "Overrides",
    "Parsed",
    "Subject",
    "Values",
    "append_to_baggage",
    "delay_ms",
    "members_of",
    "own_key",
    "parse_baggage",
    "parse_opentracing",
    "parse_words",
    "read_entries",
    "read_entry",
    "strip_baggage",
    "strip_opentracing",
    "word_of",
    "write_opentracing",
]
