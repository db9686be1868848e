"""The page that tells, library by library, what becomes of an override: `docs/propagation.md`."""

from collections.abc import Iterator, Mapping
from typing import Final

from propagation.rows import LANGUAGES, Service

Verdicts = dict[tuple[str, str, str], str]
"""Service, client and column (`with` or `without`) to one of `propagation.driver.VERDICTS`."""

_SAYS: Final[Mapping[str, str]] = {
    "kept": "kept",
    "altered": "text altered",
    "lost": "**lost**",
    "leaked": "**LEAKED**",
}

_HEAD: Final = """# Context propagation, library by library

An override enters a service; does it leave again with the calls that the service makes? Each row is a real service,
with a real broker where there is one, that was sent requests one by one, and a hundred at once, each with overrides
of its own and some with none. The conformance suite writes this page: `make test-propagation`.

- **kept**: every override left with the call that it belonged to, and with no other.
- **text altered**: it left, but a flag's text came out otherwise (`1+1 and more` as `1 1+and+more`).
- **lost**: it did not leave. The call reached the baseline, and nobody was told.
- **LEAKED**: another request's overrides left.

Where a service goes on by a queue, it sends the message and takes it again; `delay > httpx` is a task that was sent
by `delay`, and whose handler calls on by httpx.

"OpenTelemetry alone" is what its own instrumentations do, switched on as `opentelemetry-instrument` does it; "with
Detour" is the same service behind `detour.sdk.install()` and its likes.
"""


def missing(verdicts: Verdicts) -> list[str]:
    """Name the rows that have not run."""
    return [", ".join(row) for row in _expected() if row not in verdicts]


def page(verdicts: Verdicts) -> str:
    """Write the page; every row must be there."""
    parts = [_HEAD]
    for language, services in LANGUAGES.items():
        parts += [
            f"\n## {language}\n",
            "\n| service | calls on by | OpenTelemetry alone | with Detour |\n|---|---|---|---|\n",
        ]
        parts += [line for service in services for line in _lines(service, verdicts)]
    return "".join(parts)


def _lines(service: Service, verdicts: Verdicts) -> Iterator[str]:
    for client in service.clients:
        alone, with_detour = (_SAYS[verdicts[service.name, client, column]] for column in ("without", "with"))
        yield f"| {service.name} | {client} | {alone} | {with_detour} |\n"


def _expected() -> Iterator[tuple[str, str, str]]:
    for services in LANGUAGES.values():
        for service in services:
            for client in service.clients:
                for column in ("without", "with"):
                    yield service.name, client, column
