"""The short notation of the command line: `users=pr-42`, `delay.payments=300ms`, `missing=baseline`."""

from collections.abc import Iterable

from detour.overrides.kinds import KINDS, PREFIX, Kind
from detour.overrides.model import Override, Overrides, read_entry


def parse_words(words: Iterable[str]) -> Overrides:
    """Parse overrides that a person typed.

    Raises:
        ValueError: A word is not an override; the message says which, and what was expected.
    """
    return Overrides.collect(_override(word) for word in words)


def word_of(override: Override) -> str:
    """Return an override in the notation of `parse_words`."""
    key = override.key.removeprefix(PREFIX)
    short = key.removeprefix(f"{Kind.ROUTE}.")
    # A service may have the name of a kind.
    return f"{key if short.partition('.')[0] in KINDS else short}={override.value}"


def _override(word: str) -> Override:
    key, equals, value = word.removeprefix(PREFIX).partition("=")
    if not equals:
        raise ValueError(f"{word!r} is not an override: expected SERVICE=DEPLOYMENT, such as users=pr-42")
    if key.partition(".")[0] not in KINDS:
        key = f"{Kind.ROUTE}.{key}"
    read = read_entry(PREFIX + key, value)
    if isinstance(read, Override):
        return read
    service = f"; for a service called {key}: {Kind.ROUTE}.{key}={value}" if key in KINDS else ""
    raise ValueError(f"{word!r} is not an override: {read.why}{service}")
