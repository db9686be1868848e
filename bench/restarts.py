"""Requests without override, while the control plane is killed and deployments come and go.

Eight connections send requests without override through one real sidecar, back to back, to services that it has
called before. Meanwhile offloaded deployments of the same services are registered, called and removed all the
time, and the server is killed (SIGKILL) and started again, each time once the sidecar was connected and
deployments have changed. Every answer is looked at: one other than 200, or none, has failed; one that is not
the baseline's was served by an offloaded instance.

Apart from these, one call is begun in each outage to a service that the sidecar never called. It has to wait
for the control plane, and fails if that stays away longer than a sidecar waits (2 s); how many did is reported,
without a target.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Final

import httpx

from bench.mesh import BASELINE, OFFLOADED, BenchMesh, Caller, bench_mesh, until
from bench.options import Options
from bench.report import Row
from bench.server import Server

_SERVICES: Final = ("users", "rides", "payments", "maps")
_CONNECTIONS: Final = 8
_CHANGES_BETWEEN_KILLS: Final = 6
_ANSWER_SECONDS: Final = 10
_PAUSE_SECONDS: Final = 0.05


@dataclass(slots=True)
class Outcome:
    """What happened.

    Args:
        kills: How often the control plane was killed and came back.
        requests: Requests without override.
        failures: Why some of them failed, by reason.
        offloaded: How many of them an offloaded instance served.
        changes: Deployments registered and removed.
        overridden: Overridden requests that their deployment served.
        misled: Overridden requests that the baseline served.
        first_calls_failed: Calls of services never called before, begun in an outage, that failed.
    """

    kills: int = 0
    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    offloaded: int = 0
    changes: int = 0
    overridden: int = 0
    misled: int = 0
    first_calls_failed: int = 0

    @property
    def failed(self) -> int:
        """How many requests without override failed."""
        return self.failures.total()


async def measure(options: Options) -> list[Row]:
    """Return the failed requests, and those that an offloaded instance served; both must be none."""
    outcome = await withstand_restarts(options.times(20, 3))
    setting = f"while deployments come and go and the control plane is killed {outcome.kills} times"
    circumstances = {"requests": outcome.requests, "changes of deployments": outcome.changes}
    reasons = "; ".join(f"{times} times {reason}" for reason, times in outcome.failures.most_common(3))
    overridden = {"overridden and served": outcome.overridden, "overridden, served by the baseline": outcome.misled}
    return [
        Row(f"requests without override, {setting}: failed", outcome.failed, "", 0, circumstances, reasons),
        Row("the same: served by an offloaded instance", outcome.offloaded, "", 0, overridden),
        Row("first calls to a service, begun while the control plane is away: failed", outcome.first_calls_failed),
    ]


async def withstand_restarts(kills: int) -> Outcome:
    """Kill the control plane `kills` times under load; return what the load noticed.

    Raises:
        TimeoutError: The sidecar did not come back to the control plane, or no deployment could be registered.
    """
    outcome = Outcome()
    async with bench_mesh() as mesh:
        await mesh.origin()
        unknown = [f"new-{number}" for number in range(kills)]
        server = await mesh.server((*_SERVICES, *unknown))
        caller = await mesh.sidecar(server)
        for service in _SERVICES:
            await caller.call(service)
        async with _background(mesh, server, caller, outcome):
            for service in unknown:
                await _kill_once(server, caller, service, outcome)
    return outcome


async def _kill_once(server: Server, caller: Caller, never_called: str, outcome: Outcome) -> None:
    """Kill the server once deployments have changed with the sidecar connected; start it again."""
    enough = outcome.changes + _CHANGES_BETWEEN_KILLS

    async def changed() -> bool:
        return outcome.changes >= enough and bool(await server.envoys())

    await until(changed, "deployments to change with the sidecar connected")
    await server.kill()
    first_call = asyncio.create_task(caller.call(never_called))
    try:
        await server.start()
        outcome.kills += 1
        outcome.first_calls_failed += (await first_call).is_error
    finally:
        first_call.cancel()


@asynccontextmanager
async def _background(mesh: BenchMesh, server: Server, caller: Caller, outcome: Outcome) -> AsyncIterator[None]:
    """Keep load and changes of deployments running in the context."""
    ended = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for _, service in zip(range(_CONNECTIONS), cycle(_SERVICES), strict=False):
            tasks.create_task(_load(caller.port, service, outcome, ended))
        tasks.create_task(_come_and_go(server, caller, mesh.offloaded, outcome, ended))
        try:
            yield
        finally:
            ended.set()


async def _come_and_go(
    server: Server, caller: Caller, endpoint: str, outcome: Outcome, ended: asyncio.Event
) -> None:
    """Register, call and remove one deployment after another; what an outage interrupts is left as it is."""
    for number, service in zip(count(), cycle(_SERVICES), strict=False):
        if ended.is_set():
            return
        try:
            await server.add(service, f"pr-{number}", endpoint)
            outcome.changes += 1
            body = (await caller.call(service, f"pr-{number}")).text
            outcome.overridden += body == OFFLOADED
            outcome.misled += body == BASELINE
            await server.remove(service, f"pr-{number}")
            outcome.changes += 1
        except httpx.TransportError:
            # The server is away: no need to ask it a thousand times a second when it is back.
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _PAUSE_SECONDS)


async def _load(port: int, service: str, outcome: Outcome, ended: asyncio.Event) -> None:
    """Send requests on one connection until `ended` is set; open another one after a failure."""
    while not ended.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while not ended.is_set():
                    outcome.requests += 1
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        outcome.offloaded += await _is_offloaded(reader, writer, service)
            finally:
                writer.close()
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            outcome.failures[str(error) or type(error).__name__] += 1


async def _is_offloaded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str) -> bool:
    """Send one request; say whether an offloaded instance answered it.

    Raises:
        EOFError: The connection ended.
        ValueError: The status is not 200.
    """
    writer.write(f"GET / HTTP/1.1\r\nhost: {service}\r\nbaggage: session.id=8d0f7c5e\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    body = await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0))
    if not head.startswith("http/1.1 200 "):
        raise ValueError(f"{head.splitlines()[0]}: {body.decode(errors='replace').strip()}")
    return body.decode() != BASELINE
