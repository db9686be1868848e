"""The server's own client of the edge.

Invariant: a request goes to the address that the mesh file names and nowhere else, whatever was asked for; it takes
a bounded time, and a bounded part of its answer is kept.
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

BODY_MAX: Final = 16 * 1024
"""Bytes of an answer that are kept."""

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
"""Headers by which the request itself travels, and those that have a place of their own in what is asked for."""

_HAS_PORT = re.compile(r":[0-9]+$", re.ASCII)
_AUTHORITY = re.compile(r"(?P<host>[a-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


class SilentEdgeError(RuntimeError):
    """No edge answers at its address."""


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """A request to try.

    Args:
        overrides: What it carries.
        scenario: The scenario that it asks the edge for.
        of_scenario: The overrides that the edge adds for it.
        host: The host that it is for, if the edge serves that one.
        path: With its query.
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
    """What the edge answered.

    Args:
        url: What was asked for, by the host that the edge saw.
        host: That host, without port.
    """

    url: str
    host: str
    status: int
    seconds: float
    body: str
    truncated: bool
    headers: Mapping[str, str]


async def send(request: TrialRequest, settings: Settings, carried: Mapping[str, str]) -> Answer:
    """Send a request to the edge, and keep the beginning of its answer.

    Args:
        request: The request.
        settings: Where the edge is, and what it serves.
        carried: More headers.

    Raises:
        SilentEdgeError: No edge answers.
        TimeoutError: The answer did not come in time.
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
    except TimeoutError as error:
        raise TimeoutError(f"no answer to {request.method} {url} within {_TIMEOUT_SECONDS:g} s") from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise SilentEdgeError(
            f"no edge answers at {settings.edge_url}, which the mesh file has as edge.url: {reason}"
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
    """Read no more of an answer than is kept, as it came: who sends it compressed was not asked to."""
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
        # Whatever the answer says that it is.
        return body.decode("utf-8", "replace")


def _kept(headers: httpx.Headers) -> dict[str, str]:
    """Return an answer's headers without cookies, which are private."""
    names = [name for name in headers if name != "set-cookie"]
    return {name: headers[name][:_HEADER_MAX] for name in names[:_HEADERS_MAX]}


def service_behind(settings: Settings, host: str) -> str | None:
    """Return the service that an edge leads a host to (RouteConfiguration, "domains")."""
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
