"""The run: a mesh, clients of all kinds, and everything that changes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from random import Random
from typing import Final

import httpx

from bench.envoys import origin_bootstrap
from bench.from_tests import from_tests
from bench.mesh import bench_mesh, free_ports
from bench.options import Options
from bench.report import Row
from bench.server import Server
from bench.soak.client import Client, kinds
from bench.soak.components import Component
from bench.soak.outcome import Outcome
from bench.soak.requests import (
    BASELINE,
    CHURNING,
    EDITED,
    PREVIEWS,
    SCENARIO,
    STABLE,
    Request,
    random_request,
)

_SEED: Final = 14
_TRIES: Final = 600
_PAUSE_SECONDS: Final = 0.1
_ONLY_STABLE: Final = {"grpc", "grpc-go", "websocket", "aiohttp websocket"}
"""Clients of greeter and chat, which have no other deployment than STABLE."""
_CHANGE_SECONDS: Final = 0.2
_RESTART_SECONDS: Final = 10.0
"""Between the end of one restart and the beginning of the next."""


@dataclass(slots=True)
class _Run:
    """What the parts of a run share."""

    server: Server
    sidecars: Sequence[Component]
    edges: Sequence[Component]
    endpoints: dict[str, str]
    outcome: Outcome = field(default_factory=Outcome)


async def measure(options: Options) -> list[Row]:
    """Return how many requests reached the wrong code, and how many failed; both must be none."""
    outcome = await soak(options.times(1_000_000, 5_000))
    sent = outcome.sent.total()
    circumstances = {
        "requests": sent,
        **{f"by {client}": number for client, number in sorted(outcome.sent.items())},
        "changes": outcome.changes,
        **{f"restarts of {component}": number for component, number in sorted(outcome.restarts.items())},
    }
    examples = "; ".join(f"{times} times {example}" for example, times in sorted(outcome.examples.items())[-8:])
    setting = f"of {sent:,} requests in random order, while deployments churn and everything is restarted"
    elsewhere = {"retried because the port was closed": outcome.elsewhere}
    return [
        Row(f"{setting}: on the wrong code", outcome.wrong, "", 0, circumstances, examples),
        Row("the same: failed", outcome.failed, "", 0, elsewhere),
    ]


async def soak(requests: int) -> Outcome:
    """Send `requests` requests; return their outcome.

    Raises:
        ComponentError: A component could not be restarted.
    """
    async with _mesh() as run:
        clients = [Client(kind) for kind in kinds()]
        shares = sum(one.kind.weight for one in clients)
        try:
            for client in clients:
                await client.start()
            changing = [
                asyncio.create_task(_churn(run)),
                asyncio.create_task(_edit(run)),
                asyncio.create_task(_restart(run)),
            ]
            sending = [
                asyncio.create_task(_load(run, client, max(1, requests * client.kind.weight // shares), number))
                for number, client in enumerate(clients)
            ]
            try:
                await _all_done(sending, changing)
            finally:
                for task in (*changing, *sending):
                    task.cancel()
                await asyncio.gather(*changing, *sending, return_exceptions=True)
        finally:
            for client in clients:
                await client.end()
        return run.outcome


async def _all_done(sending: Sequence[asyncio.Task[None]], changing: Sequence[asyncio.Task[None]]) -> None:
    """Wait for those that send; what goes wrong anywhere ends the run."""
    left = set(sending)
    while left:
        done, _ = await asyncio.wait({*left, *changing}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        left -= done


async def _load(run: _Run, client: Client, requests: int, number: int) -> None:
    """Send a client's part, as many at a time as it can."""
    random, left = Random(_SEED + number), iter(range(requests))

    async def work() -> None:
        for _ in left:
            request = random_request(random, client.kind.sends)
            if client.kind.name in _ONLY_STABLE and request.missing in CHURNING:
                request = Request(False, request.url, request.headers, (), request.missing)
            run.outcome.take(client.kind.name, await _verdict(run, client, request, random))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(client.kind.concurrency):
            tasks.create_task(work())


async def _verdict(run: _Run, client: Client, request: Request, random: Random) -> str:
    """Send a request until a port accepts it; return what is wrong with the answer."""
    for _ in range(_TRIES):
        where = random.choice(run.edges if request.by_edge else run.sidecars)
        answer = await client.send(request, where.port)
        if answer.get("error") != "refused":
            return request.verdict(answer)
        run.outcome.elsewhere += 1
        await asyncio.sleep(_PAUSE_SECONDS)
    return f"the port was closed, {_TRIES} times"


async def _churn(run: _Run) -> None:
    """Let deployments of users come and go."""
    for name in cycle(CHURNING):
        await _while_it_answers(run, run.server.add("users", name, run.endpoints[name]))
        await asyncio.sleep(_CHANGE_SECONDS)
        await _while_it_answers(run, run.server.remove("users", name))
        await asyncio.sleep(_CHANGE_SECONDS)


async def _edit(run: _Run) -> None:
    """Let a scenario lead elsewhere, and back."""
    for number in count():
        overrides = {"route_users": STABLE} if number % 2 else {"delay_users": "1ms"}
        await _while_it_answers(run, run.server.save(EDITED, **overrides))
        await asyncio.sleep(_CHANGE_SECONDS)


async def _while_it_answers(run: _Run, change: Awaitable[None]) -> None:
    """Change something; what a restart of the server interrupts is left as it is."""
    try:
        await change
        run.outcome.changes += 1
    except httpx.HTTPError:
        await asyncio.sleep(_PAUSE_SECONDS)


async def _restart(run: _Run) -> None:
    """Restart one component after the other, in good order."""
    for component in cycle((*run.sidecars, None, *run.edges)):
        await asyncio.sleep(_RESTART_SECONDS)
        if component is None:
            await run.server.restart()
        else:
            await component.restart()
        run.outcome.restarts[component.name if component else "server"] += 1


@asynccontextmanager
async def _mesh() -> AsyncIterator[_Run]:
    """Run users, greeter (gRPC) and chat (WebSocket), a server, two sidecars and two edges."""
    parts = from_tests("parts")
    async with bench_mesh() as mesh, AsyncExitStack() as stack:
        names = [BASELINE, STABLE, *CHURNING]
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        await mesh.envoy(origin_bootstrap(free_ports(1)[0], {port: name for name, port in ports.items()}))
        endpoints = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        start = stack.enter_async_context
        greeter = [await start(parts.grpc_instance(name)) for name in (BASELINE, STABLE)]
        chat = [await start(parts.http_instance(name)) for name in (BASELINE, STABLE)]
        file = mesh.folder / "mesh.yaml"
        file.write_text(
            f'edge: {{hosts: {{"*": users}}, previews: {{{PREVIEWS}: users}}}}\n'
            f"services:\n{_service('users', [endpoints[BASELINE], endpoints[STABLE]])}"
            f"{_service('greeter', greeter, 'http2')}{_service('chat', chat)}",
            encoding="utf-8",
        )
        server = await mesh.server_of(file)
        await server.save(SCENARIO, route_users=STABLE)
        await server.save(EDITED, route_users=STABLE)
        sidecars = [_sidecar(server, number, mesh.folder) for number in range(2)]
        edges = [_edge(server, number, mesh.folder) for number in range(2)]
        for one in (*sidecars, *edges):
            await one.start()
            stack.push_async_callback(one.end)
        yield _Run(server, sidecars, edges, endpoints)


def _service(name: str, instances: Sequence[object], protocol: str = "http1") -> str:
    baseline, stable = instances
    deployments = f"{{{STABLE}: {{endpoints: [{stable}]}}}}"
    return f"  {name}: {{protocol: {protocol}, endpoints: [{baseline}], deployments: {deployments}}}\n"


def _sidecar(server: Server, number: int, folder: Path) -> Component:
    outbound, inbound, app, admin = free_ports(4)
    arguments = ["sidecar", "--service", "caller", "--instance", f"caller-{number}", "--app-port", str(app)]
    arguments += ["--outbound-port", str(outbound), "--inbound-port", str(inbound), "--admin-port", str(admin)]
    arguments += ["--control-plane", server.xds]
    return Component("sidecar", outbound, arguments, folder / f"sidecar-{number}.log")


def _edge(server: Server, number: int, folder: Path) -> Component:
    port, admin = free_ports(2)
    arguments = ["edge", "--name", f"edge-{number}", "--listen", f"127.0.0.1:{port}", "--admin-port", str(admin)]
    return Component("edge", port, [*arguments, "--control-plane", server.xds], folder / f"edge-{number}.log")
