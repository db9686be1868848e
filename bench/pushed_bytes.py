"""Bytes that the control plane sends to a sidecar, counted by the sidecar's Envoy as they arrive.

`cluster.control-plane.upstream_cx_rx_bytes_total` is everything that the connection brought, HTTP/2 framing,
settings and keepalive included. A keepalive ping is answered every 10 s or more; to keep those 17 bytes apart
from what a deployment causes, the measurement begins right after one and ends well before the next.
"""

import time
from typing import Final

from bench.mesh import BASELINE, Caller, bench_mesh, names, until
from bench.options import Options
from bench.report import Row
from bench.server import Server

_SERVICES: Final = 1000
_ENDPOINTS_PER_SERVICE: Final = 10
_CALLED: Final = 3
_PING_BYTES: Final = 17
_BETWEEN_PINGS_SECONDS: Final = 10


async def measure(options: Options) -> list[Row]:
    """Return the bytes that a new deployment pushes, and all that a sidecar of a large mesh receives."""
    async with bench_mesh() as mesh:
        await mesh.origin()
        services = names(_SERVICES)
        server = await mesh.server(services, _ENDPOINTS_PER_SERVICE)
        caller = await mesh.sidecar(server)
        await _call(caller, services[:: _SERVICES // _CALLED][:_CALLED])
        received = await caller.admin.received_bytes()
        sent = await _sent_bytes(server)
        pushed = await _pushed_by_deployments(server, caller, services[0], mesh.offloaded, options.times(100, 10))
    in_all = f"bytes received in all by a sidecar that calls {_CALLED} of {_SERVICES:,} services"
    # kB are 1,000 bytes, the stricter reading of the target.
    return [
        pushed,
        Row(in_all, received / 1000, "kB", 30, more={"resources alone, as the server counts, kB": sent / 1000}),
    ]


async def _call(caller: Caller, services: list[str]) -> None:
    for service in services:
        answer = await caller.call(service)
        if answer.text != BASELINE:
            raise ValueError(f"{service} answered {answer.status_code} {answer.text!r}, not {BASELINE!r}")


async def _pushed_by_deployments(server: Server, caller: Caller, service: str, endpoint: str, limit: int) -> Row:
    """Register deployments of a service that the sidecar calls, but has not used, between two pings.

    The bytes are those for all of them together.
    """
    wire = await _just_after_a_ping(caller)
    end = time.monotonic() + _BETWEEN_PINGS_SECONDS * 0.7
    sent = await _sent_bytes(server)
    registered = 0
    while registered < limit and time.monotonic() < end:
        await server.add(service, f"pr-{registered}", endpoint)
        registered += 1
    sent = await _sent_bytes(server) - sent
    pushed = await caller.admin.received_bytes() - wire
    return Row(
        "bytes pushed by a new offloaded deployment to a sidecar that never used it",
        pushed,
        "bytes",
        0,
        more={"deployments registered": registered, "resources alone, as the server counts": sent},
        note="the sidecar calls the service's baseline",
    )


async def _just_after_a_ping(caller: Caller) -> int:
    """Wait until the connection brought an answer to a ping and nothing else; return the bytes so far."""
    before = await caller.admin.received_bytes()
    after = before

    async def pinged() -> bool:
        nonlocal before, after
        before, after = after, await caller.admin.received_bytes()
        return after - before == _PING_BYTES

    await until(pinged, "an answer to a keepalive ping", 4 * _BETWEEN_PINGS_SECONDS)
    return after


async def _sent_bytes(server: Server) -> int:
    (envoy,) = await server.envoys()
    return int(envoy["sent_bytes"])
