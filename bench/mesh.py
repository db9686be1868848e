"""A real mesh for one measurement: a Detour server, an origin that plays all instances, and sidecars.

Invariant: all that was started ends with the context, also when that ends with an error or Ctrl-C.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from bench.envoys import origin_bootstrap
from bench.from_tests import from_tests
from bench.load import Load
from bench.server import Server, mesh_text
from detour.envoy import Edge, EnvoyProcess, Sidecar, edge_bootstrap, sidecar_bootstrap, start_envoy

BASELINE: Final = "baseline"
OFFLOADED: Final = "offloaded"

_READY_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02


class Admin:
    """An Envoy's admin interface.

    Args:
        port: Its port on loopback.
    """

    def __init__(self, port: int) -> None:
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)

    async def stats(self, pattern: str) -> dict[str, int]:
        """Read the counters and gauges whose whole name matches a regular expression."""
        answer = (await self._http.get("/stats", params={"filter": f"^{pattern}$"})).raise_for_status()
        return {
            name: int(number) for name, _, number in (line.partition(": ") for line in answer.text.splitlines())
        }

    async def allocated_bytes(self) -> int:
        """Read how much memory Envoy counts as allocated."""
        return int((await self._http.get("/memory")).raise_for_status().json()["allocated"])

    async def received_bytes(self) -> int:
        """Read how many bytes the control plane's connections have brought, HTTP/2 framing included."""
        return sum((await self.stats(r"cluster\.control-plane\.upstream_cx_rx_bytes_total")).values())

    async def close(self) -> None:
        """Close the client; the Envoy stays."""
        await self._http.aclose()


class Caller:
    """A sidecar (or an Envoy in its place), and a client that calls services through it."""

    def __init__(self, envoy: EnvoyProcess, port: int, admin: Admin) -> None:
        self._envoy = envoy
        self.pid = envoy.pid
        self.port = port
        self.admin = admin
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False)

    async def call(self, service: str, deployment: str = "") -> httpx.Response:
        """Call a service, or an offloaded deployment of it."""
        headers = {"host": service}
        if deployment:
            headers["baggage"] = override(service, deployment)
        return await self.get(headers)

    async def get(self, headers: Mapping[str, str]) -> httpx.Response:
        """Send a request with these headers."""
        return await self._http.get("/", headers=headers)

    async def end(self) -> None:
        """End the Envoy."""
        await self._envoy.stop()

    async def close(self) -> None:
        """Close the client; the sidecar stays."""
        await self._http.aclose()
        await self.admin.close()


class BenchMesh:
    """What a measurement starts its parts with.

    Args:
        folder: For mesh file, state and logs.
        stack: Ends what was started, the last one first.
        ready_seconds: How long an Envoy may take to start.
    """

    def __init__(self, folder: Path, stack: AsyncExitStack, ready_seconds: float) -> None:
        self._ready_seconds = ready_seconds
        self.folder = folder
        self._stack = stack
        self._started = 0
        self.baseline_port, self.offloaded_port = free_ports(2)

    @property
    def offloaded(self) -> str:
        """`ip:port` of the instance that every offloaded deployment is made of."""
        return f"127.0.0.1:{self.offloaded_port}"

    async def envoy(self, bootstrap: dict[str, Any]) -> EnvoyProcess:
        """Start an Envoy and wait until it is ready."""
        self._started += 1
        process = start_envoy(bootstrap, self.folder / f"envoy-{self._started}.log")
        self._stack.push_async_callback(process.stop)
        await process.ready(self._ready_seconds)
        return process

    async def origin(self) -> EnvoyProcess:
        """Start the Envoy that plays all instances: one port answers `baseline`, one `offloaded`."""
        bodies = {self.baseline_port: BASELINE, self.offloaded_port: OFFLOADED}
        return await self.envoy(origin_bootstrap(free_ports(1)[0], bodies))

    async def server(self, services: Iterable[str] = ("users",), endpoints: int = 1, database: str = "") -> Server:
        """Start a Detour server whose mesh file names services, each with `endpoints` endpoints of its own."""
        self._started += 1
        file = self.folder / f"mesh-{self._started}.yaml"
        addresses = self._addresses()
        named = [(service, [next(addresses) for _ in range(endpoints)]) for service in services]
        file.write_text(mesh_text(named), encoding="utf-8")
        xds, api = free_ports(2)
        return await self._started_server(Server(file, f"127.0.0.1:{xds}", f"127.0.0.1:{api}", database))

    async def server_of(self, file: Path) -> Server:
        """Start a Detour server that serves a mesh file."""
        xds, api = free_ports(2)
        return await self._started_server(Server(file, f"127.0.0.1:{xds}", f"127.0.0.1:{api}"))

    async def _started_server(self, server: Server) -> Server:
        self._stack.push_async_callback(server.stop)
        await server.start()
        return server

    async def sidecar(self, server: Server) -> Caller:
        """Start a sidecar that is connected to a server."""
        outbound, inbound, admin, app = free_ports(4)
        self._started += 1
        sidecar = Sidecar(
            service="caller",
            instance=f"caller-{self._started}",
            app_port=app,
            outbound_port=outbound,
            inbound_port=inbound,
            admin_port=admin,
            control_plane=server.xds,
        )
        return await self.caller(sidecar_bootstrap(sidecar), outbound, admin)

    async def edge(self, server: Server) -> Caller:
        """Start an edge that is connected to a server."""
        port, admin = free_ports(2)
        edge = Edge(listen=f"127.0.0.1:{port}", admin_port=admin, control_plane=server.xds)
        return await self.caller(edge_bootstrap(edge), port, admin)

    async def caller(self, bootstrap: dict[str, Any], port: int, admin_port: int) -> Caller:
        """Start an Envoy, and return a client that calls through one of its ports."""
        caller = Caller(await self.envoy(bootstrap), port, Admin(admin_port))
        self._stack.push_async_callback(caller.close)
        return caller

    async def load(self, port: int, headers: Mapping[str, str]) -> Load:
        """Start a load on a port; it waits until it is let run."""
        load = Load(port, headers)
        self._stack.callback(load.end)
        await load.run(0)
        return load

    def _addresses(self) -> Iterator[str]:
        """Give addresses at which the origin answers as baseline, each another one, 60,000 of them."""
        return (f"127.1.{n // 250}.{1 + n % 250}:{self.baseline_port}" for n in range(60_000))


@asynccontextmanager
async def bench_mesh(ready_seconds: float = _READY_SECONDS) -> AsyncIterator[BenchMesh]:
    """Give a mesh in which nothing has been started yet."""
    with tempfile.TemporaryDirectory(prefix="detour-bench-") as folder:
        async with AsyncExitStack() as stack:
            yield BenchMesh(Path(folder), stack, ready_seconds)


def free_ports(count: int) -> list[int]:
    """Return different ports that nothing listens on.

    No other process receives the port of a server while it restarts.
    """
    return [from_tests("ports").free_port() for _ in range(count)]


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 60) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: It did not hold within `seconds`; the message names the condition.
    """
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110  no other process sets an event here
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"waited {seconds:g} s in vain for {what}") from None


def override(service: str, deployment: str) -> str:
    """Return the baggage entry that sends calls of a service to a deployment."""
    return f"override.route.{service}={deployment}"


def names(count: int) -> list[str]:
    """Return names of services such as real ones have."""
    return [f"service-{number:04d}" for number in range(count)]
