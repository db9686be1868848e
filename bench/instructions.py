"""Instructions that Envoy executes for a request, as ratios: the same on a busy machine as on a quiet one.

Each Envoy under test runs under callgrind (Valgrind), which counts while 400 requests go through it on one
connection, behind 150 that warm it up. Only the thread that serves them counts: Envoy has one worker in these
benchmarks, and it is the thread with the most instructions. What other threads do meanwhile (timers, what the
control plane sends) depends on how long the machine takes. Requests and plain Envoys are those of `bench.cpu` and
`bench.edge`. Further plain Envoys also pass HTTP through unchanged, to separate that cost from Detour's own.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from bench import cpu, edge
from bench.features import keep_case, store_nothing, try_again
from bench.mesh import BenchMesh, Caller, bench_mesh
from bench.options import Options
from bench.report import Row, skipped
from detour.envoy import find_envoy

_WARM_UP: Final = 150
_REQUESTS: Final = 400
_READY_SECONDS: Final = 300
"""How long an Envoy may take to start under callgrind."""

_BOTH: Final = (keep_case, try_again)

_TOTAL = re.compile(r"^(?:summary|totals): (\d+)$", re.MULTILINE)
_Start = Callable[[BenchMesh], Awaitable[Caller]]


async def measure(_options: Options) -> list[Row]:
    """Return how many times the instructions of a plain Envoy a request costs."""
    missing = [program for program in ("valgrind", "callgrind_control") if shutil.which(program) is None]
    if missing:
        return [skipped("instructions per request", f"{missing[0]} is missing: apt-get install valgrind")]
    counts = await _counted()
    return [
        _row("without overrides, sidecar / plain Envoy", counts, "sidecar", "plain", 1.031),
        _row("with an override, sidecar / plain Envoy", counts, "sidecar, override", "plain, override", 1.188),
        _row("without a scenario, edge / plain Envoy", counts, "edge", "plain edge"),
        _row("with a scenario's cookie, edge / plain Envoy", counts, "cookie", "plain edge, cookie", 1.36),
        _row("keeping the case of header names, plain Envoy / without", counts, "case", "plain"),
        _row("trying again, plain Envoy / without", counts, "again", "plain"),
        _row("without overrides, sidecar / plain Envoy with both", counts, "sidecar", "both"),
        _row("with an override, sidecar / plain Envoy with both", counts, "sidecar, override", "both, override"),
        _row("without a scenario, edge / plain Envoy with both", counts, "edge", "both, edge"),
        _row("that no cache stores, plain Envoy at the edge / one that any may", counts, "unstored", "plain edge"),
        _row("with a scenario's cookie, edge / plain Envoy with all three", counts, "cookie", "all, cookie"),
    ]


def _row(what: str, counts: Mapping[str, float], above: str, below: str, at_most: float | None = None) -> Row:
    more = {"instructions": counts[above], "to": counts[below]}
    return Row(f"instructions per request {what}", counts[above] / counts[below], at_most=at_most, more=more)


async def _counted() -> dict[str, float]:
    """Return the instructions of a request, by what is measured."""
    async with bench_mesh() as lasting:
        await lasting.origin()
        server = await lasting.server()
        await server.add(edge.SERVICE, edge.DEPLOYMENT, lasting.offloaded)
        await server.save(edge.SCENARIO, route_users=edge.DEPLOYMENT, delay_payments="300ms")
        port = lasting.baseline_port
        plain, plain_edge = partial(cpu.plain_envoy, origin_port=port), partial(edge.plain_envoy, origin_port=port)
        sidecar = partial(cpu.ready_sidecar, server=server)
        wanted: dict[str, tuple[_Start, Mapping[str, str]]] = {
            "plain": (plain, cpu.BASELINE_REQUEST),
            "plain, override": (plain, cpu.OVERRIDDEN_REQUEST),
            "sidecar": (sidecar, cpu.BASELINE_REQUEST),
            "sidecar, override": (sidecar, cpu.OVERRIDDEN_REQUEST),
            "plain edge": (plain_edge, edge.BROWSER),
            "plain edge, cookie": (plain_edge, edge.WITH_COOKIE),
            "edge": (partial(edge.started, server=server), edge.BROWSER),
            "cookie": (partial(edge.started, server=server), edge.WITH_COOKIE),
            "case": (partial(plain, features=[keep_case]), cpu.BASELINE_REQUEST),
            "again": (partial(plain, features=[try_again]), cpu.BASELINE_REQUEST),
            "both": (partial(plain, features=_BOTH), cpu.BASELINE_REQUEST),
            "both, override": (partial(plain, features=_BOTH), cpu.OVERRIDDEN_REQUEST),
            "both, edge": (partial(plain_edge, features=_BOTH), edge.BROWSER),
            "unstored": (partial(plain_edge, features=[store_nothing]), edge.BROWSER),
            "all, cookie": (partial(plain_edge, features=[*_BOTH, store_nothing]), edge.WITH_COOKIE),
        }
        return {name: await _count(start, headers) for name, (start, headers) in wanted.items()}


async def _count(start: _Start, headers: Mapping[str, str]) -> float:
    with tempfile.TemporaryDirectory(prefix="detour-callgrind-") as folder:
        async with _under_callgrind(Path(folder)), bench_mesh(_READY_SECONDS) as fresh:
            caller = await start(fresh)
            await _send(caller.port, headers, _WARM_UP)
            await _control("--instr=on", caller.pid)
            # Meanwhile idle connections were closed; to make new ones is not what is counted.
            await _send(caller.port, headers, _WARM_UP)
            await _control("--zero", caller.pid)
            await _send(caller.port, headers, _REQUESTS)
            await _control("--instr=off", caller.pid)
            await _control("--dump", caller.pid)
            return _counts(Path(folder)) / _REQUESTS


def _counts(folder: Path) -> int:
    """Return the instructions of the worker, which has the most of all threads; each has a file of its own."""
    return max(int(_TOTAL.findall(file.read_text())[-1]) for file in folder.glob("callgrind.out.*.*"))


@asynccontextmanager
async def _under_callgrind(folder: Path) -> AsyncIterator[None]:
    """Have every Envoy that is started meanwhile run under callgrind, which counts nothing yet."""
    program = folder / "envoy"
    options = "--tool=callgrind --separate-threads=yes --instr-atstart=no"
    options += f" --callgrind-out-file={folder}/callgrind.out.%p"
    program.write_text(f'#!/bin/sh\nexec valgrind -q {options} {find_envoy()} "$@"\n')
    program.chmod(0o755)
    before = os.environ.get("DETOUR_ENVOY")
    os.environ["DETOUR_ENVOY"] = str(program)
    try:
        yield
    finally:
        os.environ.pop("DETOUR_ENVOY")
        if before:
            os.environ["DETOUR_ENVOY"] = before


async def _control(option: str, pid: int) -> None:
    process = await asyncio.create_subprocess_exec(
        "callgrind_control", option, str(pid), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"callgrind_control {option}: {said.decode().strip()}")


async def _send(port: int, headers: Mapping[str, str], times: int) -> None:
    """Send requests one after the other on one connection.

    Raises:
        RuntimeError: One was not answered with 200.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for _ in range(times):
        writer.write(f"GET / HTTP/1.1\r\n{lines}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if not head.startswith("http/1.1 200 "):
            raise RuntimeError(f"the Envoy under test answered {head.splitlines()[0]}")
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0))
    writer.close()
