"""How fast a scenario is resolved to its header, by a server with SQLite and a thousand scenarios.

The server and the load share the machine's cores. The throughput is shown as milliseconds per request, so that
less is better, as in all measurements.
"""

import asyncio
import re
from typing import Final

from bench.load import LoadError, ensure_wrk
from bench.mesh import bench_mesh
from bench.options import Options
from bench.report import Row
from bench.server import Server

_SCENARIOS: Final = 1_000
_CONNECTIONS: Final = 16
_LEAST_PER_SECOND: Final = 1_500
_P99_MS: Final = 20
_UNITS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}


async def measure(options: Options) -> list[Row]:
    """Return the time that a request takes of the server, and the 99th percentile of answers."""
    ensure_wrk()
    async with bench_mesh() as mesh:
        server = await mesh.server()
        for number in range(options.times(_SCENARIOS, 10)):
            await server.save(f"scenario-{number}", route_users="pr-42", delay_payments="300ms", config_new="on")
        said = await _load(server, options.times(20, 2))
    per_second = float(_found(r"Requests/sec:\s+([0-9.]+)", said)[1])
    p99 = _found(r"99%\s+([0-9.]+)(us|ms|s)\b", said)
    if "Non-2xx" in said or "Socket errors" in said:
        raise LoadError(f"not every request was answered well: {said}")
    more = {"requests a second": per_second, "connections": _CONNECTIONS}
    return [
        Row(
            f"milliseconds a request, resolving a scenario (at least {_LEAST_PER_SECOND:,} a second)",
            1000 / per_second,
            "ms",
            1000 / _LEAST_PER_SECOND,
            more,
        ),
        Row("99th percentile of the same", float(p99[1]) * _UNITS[p99[2]], "ms", _P99_MS),
    ]


async def _load(server: Server, seconds: int) -> str:
    url = f"{server.api.base_url}/v1/scenarios/scenario-7/resolve"
    wrk = ("wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--latency", url)
    process = await asyncio.create_subprocess_exec(*wrk, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


def _found(pattern: str, said: str) -> "re.Match[str]":
    match = re.search(pattern, said)
    if match is None:
        raise LoadError(f"wrk said something else than it used to: {said}")
    return match
