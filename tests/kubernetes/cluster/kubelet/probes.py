"""Probes and lifecycle hooks: one try of a handler, and the series of tries that make up a probe.

Semantics of `pkg/kubelet/prober`. HTTP and TCP are tried from the node against the pod's address. One thing is
quicker than there: until a startup or readiness probe has first succeeded, it is tried every 50 ms, and only the
tries at the probe's own period count as failures.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx

from .api import Json

_EAGER_SECONDS = 0.05
Command = Callable[[list[str], float], Awaitable[tuple[int, str]]]


@dataclass(frozen=True)
class Outcome:
    """One try that counts: `reached` when so many of its kind came in a row that the probe's threshold is met."""

    success: bool
    reached: bool
    message: str


def http_client() -> httpx.AsyncClient:
    """Make the client of all HTTP probes, which trusts every certificate and keeps no connection."""
    return httpx.AsyncClient(verify=False, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


class Handlers:
    """Tries of handlers for one container: `command` runs one in it and returns status and output."""

    def __init__(self, http: httpx.AsyncClient, address: str, container: Json, command: Command) -> None:
        self._client = http
        self._address = address
        self._ports = {port.get("name"): port["containerPort"] for port in container.get("ports") or []}
        self._command = command

    async def attempt(self, handler: Json, timeout_seconds: float) -> str:
        """Try once; return what went wrong, or nothing."""
        if "httpGet" in handler:
            return await self._http(handler["httpGet"], timeout_seconds)
        if "tcpSocket" in handler:
            return await self._tcp(handler["tcpSocket"], timeout_seconds)
        if "exec" in handler:
            status, output = await self._command(handler["exec"]["command"], timeout_seconds)
            return "" if status == 0 else output.strip() or f"command ended with status {status}"
        if "sleep" in handler:
            await asyncio.sleep(handler["sleep"]["seconds"])
            return ""
        return f"the test kubelet has no probe of the kind {sorted(handler)}"

    async def _http(self, action: Json, timeout_seconds: float) -> str:
        host, port = action.get("host") or self._address, self._port(action["port"])
        url = f"{action.get('scheme', 'HTTP').lower()}://{host}:{port}/{action.get('path', '/').lstrip('/')}"
        headers = [(each["name"], each["value"]) for each in action.get("httpHeaders") or []]
        try:
            sent = [("user-agent", "kube-probe/1.34"), ("connection", "close"), *headers]
            answer = await self._client.get(url, headers=sent, timeout=timeout_seconds)
        except httpx.HTTPError as error:
            return f'Get "{url}": {error or type(error).__name__}'
        return "" if answer.status_code < 400 else f"HTTP probe failed with statuscode: {answer.status_code}"

    async def _tcp(self, action: Json, timeout_seconds: float) -> str:
        host, port = action.get("host") or self._address, self._port(action["port"])
        try:
            async with asyncio.timeout(timeout_seconds):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            return f"dial tcp {host}:{port}: {error or 'timed out'}"
        writer.close()
        return ""

    def _port(self, port: int | str) -> int:
        return self._ports[port] if isinstance(port, str) and not port.isdigit() else int(port)


async def outcomes(handlers: Handlers, probe: Json, eager: bool) -> AsyncIterator[Outcome]:
    """Yield each try that counts, for ever. Where `eager`, others come between until one has succeeded."""
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    loop = asyncio.get_running_loop()
    period, timeout_seconds = probe.get("periodSeconds", 10), probe.get("timeoutSeconds", 1)
    wanted = {True: probe.get("successThreshold", 1), False: probe.get("failureThreshold", 3)}
    row, last, due, ever = 0, None, loop.time(), False
    while True:
        message = await handlers.attempt(probe, timeout_seconds)
        success = not message
        if success or loop.time() >= due:
            row = row + 1 if success == last else 1
            last = success
            due = loop.time() + period
            ever = ever or success
            yield Outcome(success, row >= wanted[success], message)
        await asyncio.sleep(period if ever or not eager else min(_EAGER_SECONDS, period))
