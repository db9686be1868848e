"""Calls HTTP services with an ordinary httpx client, which gets its sidecar from the environment (`http_proxy`)."""

from functools import partial
from time import perf_counter

import httpx

from detour.demo.call_tree import Answer, Call, Caller, elapsed_ms, from_json

_TIMEOUT_SECONDS = 10


def client() -> httpx.AsyncClient:
    """Return a client whose requests carry the baggage of the current request."""
    return httpx.AsyncClient(timeout=_TIMEOUT_SECONDS)


def caller(http: httpx.AsyncClient, to: str, url: str) -> Caller:
    """Return a caller of the service `to` at `url`."""
    return partial(call, http, to, url)


async def call(http: httpx.AsyncClient, to: str, url: str, headers: dict[str, str] | None = None) -> Call:
    """Call a service once; failures are part of the result."""
    start = perf_counter()
    try:
        response = await http.get(url, headers=headers)
    except httpx.HTTPError as error:
        return Call(to, "unreachable", "", elapsed_ms(start), f"{type(error).__name__}: {error}")
    answer, problem = _read(response)
    served_by = response.headers.get("x-detour-served-by", "")
    return Call(to, str(response.status_code), served_by, elapsed_ms(start), problem, answer)


def _read(response: httpx.Response) -> tuple[Answer | None, str]:
    if response.status_code != httpx.codes.OK:
        return None, response.text.strip()
    try:
        return from_json(response.json()), ""
    except ValueError as error:
        return None, str(error)
