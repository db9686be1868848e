"""The page that tells, library by library, what becomes of an override: `docs/propagation.md`."""

from collections.abc import Iterator, Mapping
from typing import Final

from propagation.rows import SECTIONS, VIA, Service

Verdicts = dict[tuple[str, str, str], str]
"""Service, client and column (`with` or `without`) to one of `propagation.driver.VERDICTS`."""

_COLUMNS: Final = ("without", "with")

_SAYS: Final[Mapping[str, str]] = {
    "kept": "kept",
    "altered": "text altered",
    "lost": "**lost**",
    "leaked": "**LEAKED**",
    "failed": "**fails**",
}

_HEAD: Final = """# Context propagation, library by library

An override enters a service; does it leave again with the calls that the service makes? Each pair of a service and
a client is a real one, with a real broker where there is a queue. It was sent requests one by one, and a hundred
that interleave (25 for OpenTelemetry alone), each with overrides of its own and some with none. The conformance
suite writes this page: `make test-propagation`.

- **kept**: every override left with the call that it belonged to, and with no other.
- **text altered**: it left, but a flag's text came out otherwise (`1+1 and more` as `1 1+and+more`).
- **lost**: it did not leave. The call reached the baseline, and nobody was told.
- **LEAKED**: another request's overrides left.
- **fails**: the request is not answered, or nothing leaves: the instrumentation breaks the library.

A service that calls on by a queue sends a message, and whoever takes it calls on in turn: what is told is what
arrived in the end. `delay > httpx` is a task that was sent by `delay`, and whose handler calls on by httpx.

What a framework runs later on behalf of a request is named before the client: `lazy body > requests`. Work that is
`outliving` its request goes on long after the response: **kept** means that it left without overrides. They end
with the response in these services (`DETOUR_AFTER_RESPONSE=0`).

"OpenTelemetry alone" is what its own instrumentations do, switched on as `opentelemetry-instrument` does it; "with
Detour" is the same service behind `detour.sdk.install()` and its likes. {count} pairs:
"""


def missing(verdicts: Verdicts) -> list[str]:
    """Name the rows that have not run."""
    return [", ".join(row) for row in _expected() if row not in verdicts]


def page(verdicts: Verdicts) -> str:
    """Write the page; every row must be there."""
    parts = [_HEAD.format(count=len(verdicts) // len(_COLUMNS))]
    for section, services in SECTIONS.items():
        parts += [
            f"\n## {section}\n",
            "\n| service | calls on by | OpenTelemetry alone | with Detour |\n|---|---|---|---|\n",
        ]
        parts += [line for service in services for line in _lines(service, verdicts)]
    return "".join(parts)


def _lines(service: Service, verdicts: Verdicts) -> Iterator[str]:
    """Give a line for all clients that fare alike."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for client in service.clients:
        fared = tuple(_SAYS[verdicts[service.name, client, column]] for column in _COLUMNS)
        alike.setdefault(fared, []).append(client)
    for fared, clients in alike.items():
        yield f"| {service.name} | {_shown(clients)} | {' | '.join(fared)} |\n"


def _shown(clients: list[str]) -> str:
    """Name clients; those behind one producer together, as `delay > requests, httpx`."""
    behind: dict[str, list[str]] = {}
    for client in clients:
        before, via, last = client.rpartition(VIA)
        behind.setdefault(before + via, []).append(last)
    return "; ".join(f"{before}{', '.join(names)}" for before, names in behind.items())


def _expected() -> Iterator[tuple[str, str, str]]:
    for services in SECTIONS.values():
        for service in services:
            for client in service.clients:
                for column in _COLUMNS:
                    yield service.name, client, column
