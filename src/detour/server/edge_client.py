"""The client with which the server sends requests to the edge.

Invariant: every request goes to the address in the mesh file, whatever the caller of the API requests. Its duration
and the stored part of its response are bounded.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from detour.envoy.vocabulary import SCENARIO_HEADER
from detour.mesh import Settings
from detour.overrides import Overrides
from detour.reason import reason_of

BODY_MAX: Final = 16 * 1024
"""Maximum number of bytes of a response body that are stored."""

_TIMEOUT_SECONDS: Final = 10.0
_HEADERS_MAX: Final = 50
_HEADER_MAX: Final = 500

_OWN_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "baggage",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        SCENARIO_HEADER,
    }
)
"""Headers that callers cannot set: connection headers, and headers that have their own field in `TrialRequest`."""

_HAS_PORT = re.compile(r":[0-9]+$", re.ASCII)
_AUTHORITY = re.compile(r"(?P<host>[a-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


class EdgeUnreachableError(RuntimeError):
    """No edge answers at the address in the mesh file."""


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """The request of a trial.

    Args:
        overrides: Its overrides.
        scenario: The scenario that it enters at the edge.
        of_scenario: The overrides of that scenario, which the edge adds.
        host: Its host, if the edge serves it; otherwise, and for None, the host of the edge's URL is used.
        path: Path and query, percent-encoded.
    """

    overrides: Overrides = field(default_factory=Overrides)
    scenario: str | None = None
    of_scenario: Overrides = field(default_factory=Overrides)
    method: str = "GET"
    path: str = "/"
    host: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of the edge.

    Args:
        url: The URL of the request, with the host that the edge received.
        host: That host, without port.
        seconds: The time until the stored part was received.
        body: The first 16 kB, as text.
    """

    url: str
    host: str
    status: int
    seconds: float
    body: str
    truncated: bool
    headers: Mapping[str, str]


async def send(request: TrialRequest, settings: Settings, carried: Mapping[str, str]) -> Answer:
    """Send a request to the edge, and return the beginning of its response.

    Args:
        request: The request.
        settings: The edge's address and hosts.
        carried: Additional headers, such as the overrides.

    Raises:
        EdgeUnreachableError: No edge answers.
        TimeoutError: The response did not arrive in time.
    """
    own = {
        **{name.lower(): value for name, value in request.headers.items() if name.lower() not in _OWN_HEADERS},
        "accept-encoding": "identity",
        **({"host": request.host} if request.host and _serves(settings, request.host) else {}),
        **({SCENARIO_HEADER: request.scenario} if request.scenario else {}),
        **carried,
    }
    url = httpx.URL(settings.edge_url).copy_with(raw_path=request.path.encode("ascii"))
    authority = own.get("host", url.netloc.decode("ascii"))
    began = time.perf_counter()
    try:
        async with (
            asyncio.timeout(_TIMEOUT_SECONDS),
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_TIMEOUT_SECONDS) as client,
            client.stream(request.method, url, headers=own, content=request.body.encode() or None) as response,
        ):
            body = await _beginning(response)
    except (TimeoutError, httpx.TimeoutException) as error:
        # Both clocks run equally long; which one ends the wait is chance.
        raise TimeoutError(f"no response to {request.method} {url} within {_TIMEOUT_SECONDS:g} s") from error
    except httpx.HTTPError as error:
        reason = reason_of(error)
        raise EdgeUnreachableError(
            f"no edge answers at {settings.edge_url}, the edge.url of the mesh file: {reason}"
        ) from error
    return Answer(
        url=f"{url.scheme}://{authority}{request.path}",
        host=authority.rpartition(":")[0] if _HAS_PORT.search(authority) else authority,
        status=response.status_code,
        seconds=time.perf_counter() - began,
        body=_text(body[:BODY_MAX], response.charset_encoding or "utf-8"),
        truncated=len(body) > BODY_MAX,
        headers=_kept(response.headers),
    )


async def _beginning(response: httpx.Response) -> bytes:
    """Read only the part of a response that is stored, without decompression: none was requested."""
    read = bytearray()
    async for chunk in response.aiter_raw():
        read += chunk
        if len(read) > BODY_MAX:
            break
    return bytes(read)


def _text(body: bytes, encoding: str) -> str:
    try:
        return body.decode(encoding, "replace")
    except (LookupError, ValueError):
        # The response declares an unknown encoding.
        return body.decode("utf-8", "replace")


def _kept(headers: httpx.Headers) -> dict[str, str]:
    """Return the headers of a response, without cookies, which are private."""
    names = [name for name in headers if name != "set-cookie"]
    return {name: headers[name][:_HEADER_MAX] for name in names[:_HEADERS_MAX]}


def service_behind(settings: Settings, host: str) -> str | None:
    """Return the service to which an edge routes a host, by Envoy's rules for `domains` of virtual hosts."""
    served = {**settings.edge_hosts, **settings.edge_previews}
    below = {f".{domain}": service for domain, service in settings.edge_previews.items()}
    below |= {name[1:]: service for name, service in settings.edge_hosts.items() if name.startswith("*.")}
    if host in served:
        return served[host]
    found = [suffix for suffix in below if host.endswith(suffix)]
    return below[max(found, key=len)] if found else served.get("*")


def _serves(settings: Settings, authority: str) -> bool:
    match = _AUTHORITY.fullmatch(authority)
    return match is not None and service_behind(settings, match["host"].lower()) is not None
