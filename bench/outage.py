"""Requests without overrides while the control plane is down, blocked, hangs or flaps, and while pods restart.

Sidecars that find hosts by DNS are called all the time: services that they have called before, and, twice a second,
one that they never called. Each sidecar ends after a while and a new one takes its place, whatever the control
plane does at that moment. Every answer is looked at. Beside each request through a sidecar another one goes
straight to the instance; so a moment in which the whole machine stalls is not counted against Detour.

The services are called `NAME.localhost`: a resolver knows such names without a DNS server (RFC 6761, section 6.3).
"""

import asyncio
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from bench.mesh import BASELINE, BenchMesh, Caller, bench_mesh
from bench.options import Options
from bench.report import Row
from bench.server import Server, ServerError
from detour.envoy.listening import drop_beginnings, listening

_KNOWN: Final = 4
_SIDECARS: Final = 3
_LATE_SECONDS: Final = 0.1
_HELD_UP_SECONDS: Final = 0.05
"""If a request that has nothing to do with Detour takes so long, the machine is too busy to judge."""
_PAUSE_SECONDS: Final = 0.05
_FIRST_CALL_SECONDS: Final = 0.5
_PHASE_SECONDS: Final = 8.0
_POD_SECONDS: Final = 11.0
_ANSWER_SECONDS: Final = 10
_SO_DETACH_FILTER: Final = 27
"""socket(7)"""


@dataclass(slots=True)
class Outcome:
    """What happened.

    Args:
        requests: Requests without overrides, through sidecars.
        first: Those of them that were a sidecar's first to a service.
        failures: Why some of them failed, by reason.
        late: How many took longer than `_LATE_SECONDS` more than straight to the instance.
        held_up: How many were late while the machine held up others too.
        worst: The longest of those that are not counted so, in seconds.
        phases: What the control plane went through.
        pods: Sidecars that were started.
    """

    requests: int = 0
    first: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    late: int = 0
    held_up: int = 0
    worst: float = 0
    phases: Counter[str] = field(default_factory=Counter)
    pods: int = 0


async def measure(options: Options) -> list[Row]:
    """Return the requests that failed, and those that were late; both must be none."""
    outcome = await withstand_outages(options.seconds or options.times(1800, 40))
    phases = ", ".join(f"{times} times {what}" for what, times in outcome.phases.items())
    reasons = "; ".join(f"{times} times {reason}" for reason, times in outcome.failures.most_common(3))
    circumstances = {
        "requests": outcome.requests,
        "of these the first to a service": outcome.first,
        "sidecars started": outcome.pods,
        "late while the machine held up others too": outcome.held_up,
        "slowest, ms": round(outcome.worst * 1000),
    }
    failed = outcome.failures.total()
    what = f"requests without overrides, control plane {phases}"
    return [
        Row(f"{what}: failed", failed, "", 0, circumstances, reasons),
        Row("the same: delayed by more than 100 ms", outcome.late, "", 0),
    ]


async def withstand_outages(seconds: float) -> Outcome:
    """Make the control plane fail in every way for `seconds`; return what the load noticed."""
    outcome = Outcome()
    async with bench_mesh() as mesh:
        await mesh.origin()
        server = await mesh.server([_name(f"known-{n}") for n in range(_KNOWN)] + [_name("others")])
        async with _background(mesh, server, outcome):
            ends = time.monotonic() + seconds
            for what in _phases():
                if time.monotonic() >= ends:
                    break
                outcome.phases[what] += 1
                await _go_through(what, server)
    return outcome


def _name(service: str) -> str:
    return f"{service}.localhost"


def _phases() -> Iterator[str]:
    while True:
        yield from ("down", "blocked", "hanging", "flapping")


async def _go_through(what: str, server: Server) -> None:
    """Do to the server what is said, and leave it as it was, for a while each."""
    match what:
        case "down":
            await server.kill()
            await asyncio.sleep(_PHASE_SECONDS)
            await _start(server)
        case "blocked":
            with _blocked(server.pid):
                await _hang(server.pid)
        case "hanging":
            await _hang(server.pid)
        case _:
            for _ in range(4):
                await server.kill()
                await _start(server)
    await asyncio.sleep(_PHASE_SECONDS / 2)


async def _hang(pid: int) -> None:
    """Have a process do nothing for a while; the kernel goes on taking connections and data for it."""
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(_PHASE_SECONDS)
    os.kill(pid, signal.SIGCONT)


@contextmanager
def _blocked(pid: int) -> Iterator[None]:
    """Have no new connection to a process come about, as behind a firewall that drops packets.

    Raises:
        OSError: The kernel does not allow it.
    """
    with listening(pid) as sockets:
        if not sockets:
            raise OSError("the kernel does not let this process block the server's ports")
        for one in sockets:
            drop_beginnings(one)
        yield
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


async def _start(server: Server) -> None:
    """Start the server; on a busy machine that may take more than one try, and the outage lasts meanwhile."""
    while True:
        try:
            return await server.start()
        except ServerError:
            await server.kill()


@asynccontextmanager
async def _background(mesh: BenchMesh, server: Server, outcome: Outcome) -> AsyncIterator[None]:
    """Keep pods and their load running in the context."""
    ended, names = asyncio.Event(), count()
    async with asyncio.TaskGroup() as tasks:
        for number in range(_SIDECARS):
            tasks.create_task(_pods(mesh, server, outcome, ended, (names, number * _POD_SECONDS / _SIDECARS)))
        try:
            yield
        finally:
            ended.set()


async def _pods(
    mesh: BenchMesh, server: Server, outcome: Outcome, ended: asyncio.Event, which: tuple[Iterator[int], float]
) -> None:
    """Run one sidecar after the other, the first one after a moment."""
    names, begin = which
    await _pause(ended, begin)
    while not ended.is_set():
        caller = await mesh.sidecar(server)
        outcome.pods += 1
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number in range(_KNOWN):
                tasks.create_task(_load(mesh, caller, _name(f"known-{number}"), outcome, over))
            tasks.create_task(_first_calls(mesh, caller, names, outcome, over))
            await _pause(ended, _POD_SECONDS)
            over.set()
        await caller.end()


async def _load(mesh: BenchMesh, caller: Caller, host: str, outcome: Outcome, over: asyncio.Event) -> None:
    """Call a service, on new connections each time: what a client makes of old ones is not looked at."""
    while not over.is_set():
        await _compare(mesh, caller, host, outcome)
        await _pause(over, _PAUSE_SECONDS)


async def _first_calls(
    mesh: BenchMesh, caller: Caller, names: Iterator[int], outcome: Outcome, over: asyncio.Event
) -> None:
    while not over.is_set():
        outcome.first += 1
        await _compare(mesh, caller, _name(f"new-{next(names)}"), outcome)
        await _pause(over, _FIRST_CALL_SECONDS)


async def _compare(mesh: BenchMesh, caller: Caller, host: str, outcome: Outcome) -> None:
    """Send a request through a sidecar, and one straight to the instance."""
    host = f"{host}:{mesh.baseline_port}"
    outcome.requests += 1
    through, straight = await asyncio.gather(
        _seconds(caller.port, host, outcome.failures), _seconds(mesh.baseline_port, host, Counter())
    )
    if through is None or straight is None:
        return
    if through - straight <= _LATE_SECONDS:
        outcome.worst = max(outcome.worst, through)
    elif straight > _HELD_UP_SECONDS:
        outcome.held_up += 1
    else:
        outcome.late += 1
        outcome.worst = max(outcome.worst, through)


async def _seconds(port: int, host: str, failures: Counter[str]) -> float | None:
    """Send a request; return how long it took, None if it failed."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(
                    f"GET / HTTP/1.1\r\nhost: {host}\r\nbaggage: a=b\r\nconnection: close\r\n\r\n".encode()
                )
                answer = await _answer(reader)
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError) as error:
        failures[str(error) or type(error).__name__] += 1
        return None
    if not (answer.startswith("HTTP/1.1 200 ") and answer.endswith(BASELINE)):
        failures[answer.partition("\r\n")[0] + ": " + answer.rpartition("\r\n\r\n")[2].strip()] += 1
        return None
    return time.perf_counter() - began


async def _answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
    return head + (await reader.readexactly(int(length or 0))).decode(errors="replace")


async def _pause(ended: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), seconds)
