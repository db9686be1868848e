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

_HEAD: Final = """# Context propagation, by library

An override arrives in a service: do the service's own calls carry it? Each row is a real service with a real
client, and with a real broker for queues. The test sent requests one by one, and a hundred interleaved requests
(25 for OpenTelemetry alone), some with their own overrides and some without. The conformance suite writes this
page: `make test-propagation`.

- **kept**: every override was in the call of its own request, and in no other.
- **text altered**: the override was in the call, but a flag's text had changed (`1+1 and more` to `1 1+and+more`).
- **lost**: the override was not in the call, which silently reached the baseline.
- **LEAKED**: the call carried overrides of another request.
- **fails**: the request got no response, or the call was not sent, because the instrumentation breaks the library.

For queues, the service sends a message, and its consumer makes a further call: the row shows what arrived
in the end. `delay > httpx` is a task that `delay` sends, and whose handler calls another service with httpx.

Code that a framework runs later for a request is shown before the client: `lazy body > requests`. `outliving` marks
work that runs long after the response: **kept** means that its calls had no overrides. In these services overrides
end with the response (`DETOUR_AFTER_RESPONSE=0`).

"OpenTelemetry alone" uses only its own instrumentations, as `opentelemetry-instrument` enables them; "with
Detour" is the same service with `detour.sdk.install()` or its equivalent. {count} pairs:
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
            "\n| service | client | OpenTelemetry alone | with Detour |\n|---|---|---|---|\n",
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
