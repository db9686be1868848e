"""A rolling restart of 10,000 pods at exactly 200 a second, with a fleet of sidecars connected.

1,000 Services with ten pods each, in the tests' scripted API server, which sends the events of a real one during a
rollout, with objects recorded from a real one (`bench.kubernetes.scripted`): a real one with its controllers
does not reach that rate on two cores (`bench.kubernetes.large`). All services roll at once, one pod at a time.

200 sidecars are connected, each using 20 of the services: four real Envoys, and 196 clients that speak delta xDS
as Envoy does. A sidecar has converged when each of its 20 services has exactly the endpoints that the API server
has. The row counts from the last event that changes any endpoint to the last sidecar; Envoys are looked at every
50 ms, so their times may be too long by that. The row also shows how long each new pod took from its endpoint's
event to each client that uses it.

How the machine is shared: all runs on the same cores; the server alone has priority (nice -10), so that what it
needs is what it gets. Its CPU is its own process's time over the time of the restart.
"""

import json
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from bench.kubernetes.cluster import ClusterServer, bench_cluster, node
from bench.kubernetes.objects import Json
from bench.kubernetes.population import Population, examples
from bench.kubernetes.restarted import PER_SECOND, Cpu, memory_row, restart_rows
from bench.kubernetes.script import Script
from bench.kubernetes.sidecars import connected
from bench.mesh import bench_mesh
from bench.options import Options
from bench.report import Row


async def measure(options: Options) -> list[Row]:
    """Return how long after the last event all sidecars have converged, and what it costs."""
    with tempfile.TemporaryDirectory(prefix="detour-bench-") as folder:
        shown = Path(folder, "examples.json")
        _write(shown, await _examples())
        return await _restart(Population(options.times(1000, 100)), Path(folder), shown)


async def _examples() -> dict[str, Json]:
    async with bench_cluster() as bench:
        bench.leave_alone()
        population = Population(1)
        await population.load(bench.api)
        return await examples(bench.api, population)


def _write(file: Path, content: object) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


async def _restart(population: Population, folder: Path, shown: Path) -> list[Row]:
    services = len(population.services)
    with node():
        async with bench_mesh() as mesh, AsyncExitStack() as stack:
            script = await stack.enter_async_context(Script.running(folder, shown, services, PER_SECOND))
            server = ClusterServer(folder, script.kubeconfig)
            stack.push_async_callback(server.stop)
            await server.start()
            await server.serving()
            sidecars = await stack.enter_async_context(connected(mesh, server, folder, services))
            cpu = Cpu(server)
            done, endpoints = await script.restart()
            cpu.stop()
            held = await sidecars.held(endpoints)
            rows = restart_rows("by a scripted API server", done, max(done.ready.values()), held, cpu)
            return [*rows, memory_row(server, population, "after that restart")]
