"""What a change of a large mesh costs: reading a mesh file of 20,000 services, and one endpoint in Kubernetes.

The control plane runs in this process, so that the longest step of its event loop can be seen. Kubernetes is the
tests' scripted API server, in this process too; the sidecar is a plain xDS client that has asked for one service.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bench.from_tests import from_tests
from bench.options import Options
from bench.report import Row
from detour.discovery.mesh_file import read
from detour.offload.registry import Registry
from detour.server import ControlPlane
from detour.server.cluster import Cluster, Namespaces
from detour.server.sources import MeshFile, Registered
from detour.xds.catalog import CLUSTER, ENDPOINTS

_SERVICES: Final = 20_000
_FEW: Final = 1_000
_ENDPOINTS: Final = 5
_TICK_SECONDS: Final = 0.001
_SECONDS_MAX: Final = 120


async def measure(options: Options) -> list[Row]:
    """Measure both."""
    many = options.times(_SERVICES, 2_000)
    changes = options.times(300, 20)
    file = await _mesh_file(many)
    few, large = await _kubernetes(options.times(_FEW, 100), changes), await _kubernetes(many, changes)
    growth = statistics.median(large) / statistics.median(few)
    return [
        *file,
        Row(
            f"one endpoint change among {many} services, to the response, p99",
            _percentile(large, 99),
            "ms",
            40,
            {"median": statistics.median(large), "median of few services": statistics.median(few)},
            "10 ms of it are the time in which changes are collected",
        ),
        Row(f"growth of that from {options.times(_FEW, 100)} to {many} services", growth, "times", 2),
    ]


async def _mesh_file(services: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="detour-bench-") as folder:
        path = Path(folder) / "mesh.yaml"
        path.write_text("services: {}\n", encoding="utf-8")
        with Registry(Path(folder) / "state.db") as registry:
            registered = Registered(registry)
            plane = ControlPlane([MeshFile(path, read(path)), registered], registered)
            async with _following(plane), _watched_loop() as steps:
                began = time.perf_counter()
                path.write_text(_text(services), encoding="utf-8")
                await _until(lambda: len(plane.mesh.services) == services)
                seconds = time.perf_counter() - began
            await plane.ads.stop()
    return [
        Row(
            f"a mesh file of {services} services, {services * _ENDPOINTS} endpoints: first full mesh",
            seconds,
            "s",
            5,
        ),
        Row("longest step of the event loop meanwhile", max(steps) * 1000, "ms", 100),
    ]


async def _kubernetes(services: int, changes: int) -> list[float]:
    """Return how long each change took until a subscribed sidecar had it, in ms."""
    raw_client = from_tests("raw_client")
    async with from_tests("scripted_api").scripted_api() as api:
        for number in range(services):
            await api.put("services", _service(number))
            await api.put("endpointslices", _slice(number, 0))
        cluster = Cluster(api.config, Namespaces("shop"))
        plane = ControlPlane([cluster], cluster, naming=cluster.naming)
        async with _following(plane):
            await _until(lambda: len(plane.mesh.services) == services)
            port = await plane.ads.start("127.0.0.1:0")
            async with raw_client.channel_to(port) as channel:
                client = raw_client.RawClient(channel)
                await client.send(CLUSTER, "service-00000")
                await client.read()
                await client.send(ENDPOINTS, "service-00000")
                await client.read()
                took = [await _change(api, client, number) for number in range(1, changes + 1)]
                client.abort()
            await plane.ads.stop()
    return took


async def _change(api: Any, client: Any, number: int) -> float:
    began = time.perf_counter()
    await api.put("endpointslices", _slice(0, number))
    response = await client.read()
    took = (time.perf_counter() - began) * 1000
    await client.send(response.type_url, nonce=response.nonce)
    # Between two changes the server is idle, as between two events of a cluster.
    await asyncio.sleep(0.02)
    return took


def _service(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"service-{number:05d}"},
        "spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "http"}]},
    }


def _slice(number: int, version: int) -> dict[str, Any]:
    addresses = [f"10.{number >> 8}.{number & 255}.{1 + one}" for one in range(_ENDPOINTS)]
    if version:
        addresses[0] = f"11.0.{version >> 8}.{version & 255}"
    return {
        "metadata": {
            "name": f"service-{number:05d}-x7k2p",
            "labels": {"kubernetes.io/service-name": f"service-{number:05d}"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"port": 8080, "name": "http", "protocol": "TCP"}],
    }


def _text(services: int) -> str:
    lines = ["services:"]
    for number in range(services):
        addresses = (f'"10.{number >> 8}.{number & 255}.{1 + one}:8080"' for one in range(_ENDPOINTS))
        lines.append(f"  service-{number:05d}: {{endpoints: [{', '.join(addresses)}]}}")
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def _following(plane: ControlPlane) -> AsyncIterator[None]:
    task = asyncio.create_task(plane.follow())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _watched_loop() -> AsyncIterator[list[float]]:
    """Yield a list that gets how late each tick of the event loop was, in seconds."""
    steps: list[float] = [0.0]

    async def tick() -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            steps.append(time.perf_counter() - asked - _TICK_SECONDS)

    task = asyncio.create_task(tick())
    try:
        yield steps
    finally:
        task.cancel()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SECONDS_MAX):
        while not condition():  # noqa: ASYNC110  nothing sets an event here
            await asyncio.sleep(0.01)


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]
