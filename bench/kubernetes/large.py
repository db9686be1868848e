"""A large namespace on the real API server: reading it, and a rolling restart of all its pods.

1,000 Services with ten pods each; statuses are written by the bench, EndpointSlices by the real controller.
Measured:

- *first mesh*: from the server's first connection to the API server until it says that it serves Envoys; the
  time until the process got there is shown beside it. RSS is measured without load.
- *rolling restart*: every pod is asked to end, its successor made and written Ready, and itself removed, as fast
  as the API server takes it, at most 200 pods a second, all services at once. `bench.kubernetes.restart` does the
  same at exactly that rate, and says who is connected, what converged means, and how the machine is shared. The
  last event is the last line of a watch of EndpointSlices: the lag of the controller behind the pods is not
  Detour's.
"""

from bench.kubernetes.cluster import ClusterServer, bench_cluster
from bench.kubernetes.population import Population
from bench.kubernetes.restarted import PER_SECOND, Cpu, memory_row, restart_rows
from bench.kubernetes.sidecars import connected
from bench.kubernetes.startup import started
from bench.options import Options
from bench.report import Row


async def measure(options: Options) -> list[Row]:
    """Return how long reading takes and what it costs, and how a rolling restart comes through."""
    population = Population(options.times(1000, 100))
    async with bench_cluster() as bench:
        bench.leave_alone()
        await population.load(bench.api)
        server = bench.unstarted_server()
        rows = await _first_mesh(server, population)
        async with connected(bench.mesh, server, bench.folder, len(population.services)) as sidecars:
            rows.append(memory_row(server, population, "with all sidecars"))
            cpu = Cpu(server)
            async with bench.api.listening(population.slices) as heard:
                done = await population.restart(bench.api, PER_SECOND)
                cpu.stop()
                held = await sidecars.held(population.endpoints)
                last = heard()
        rows += restart_rows("as fast as the real API server takes it", done, last, held, cpu)
        rows.append(memory_row(server, population, "after the restart"))
    return rows


async def _first_mesh(server: ClusterServer, population: Population) -> list[Row]:
    start = await started(server)
    more = {
        "of that, CPU of the server, s": start.cpu_seconds,
        "before it, s: the process's own start": start.asked - start.began,
    }
    return [
        Row(f"{population}: list and first full mesh", start.served - start.asked, "s", 5, more),
        memory_row(server, population, "before the first sidecar"),
    ]
