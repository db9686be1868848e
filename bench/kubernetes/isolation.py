"""Requests without override, while offloaded deployments are made, rolled, crash and go.

A service with two real pods, and two sidecars, real Envoys. Through each of them go 100 requests a second without
override all the while, and overridden ones to every deployment while it lives. Meanwhile twelve workers take
deployments through their lives: six through Detour's API, with pods that really run, and six with pods that the
bench plays, the Service's selector matching them too (see `bench.kubernetes.cycles`). Every pod says who it is in
every answer, and every answer is looked at: who answered must be who was asked for.

A live pod whose labels change belonged to the baseline until then, and sidecars learn about the change a moment
later. The last row is the time from the API server's answer to the last request that it answered in its old role.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from bench.from_tests import from_tests
from bench.kubernetes.asking import Asking, load
from bench.kubernetes.cluster import BenchCluster, bench_cluster
from bench.kubernetes.cycles import IMAGES, USERS, Copies, Played, client_of
from bench.kubernetes.instances import addresses
from bench.kubernetes.objects import PORT, Json, service
from bench.kubernetes.witness import BASELINE, Witness
from bench.mesh import until
from bench.options import Options
from bench.report import Row
from bench.spread import spread

_SIDECARS: Final = 2
_PER_SIDECAR: Final = 100
_CONNECTIONS: Final = 4
_WORKERS: Final = 6

_BASELINE_IMAGE: Final = "registry.test/users:1"
_APP: Final = f"""
import http.server, os, signal, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        content = os.environ.get("DEPLOYMENT", "{BASELINE}").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
Server(("", {PORT}), Answer).serve_forever()
"""


async def measure(options: Options) -> list[Row]:
    """Return the requests that reached whom they should not have reached."""
    cycles = options.times(1000, 16)
    async with bench_cluster() as bench:
        witness = await withstand_cycles(bench, cycles)
    return _rows(cycles, witness)


def _rows(cycles: int, witness: Witness) -> list[Row]:
    what = f"over {cycles:,} create, roll, crash, delete cycles under load"
    asked = {"requests": witness.baseline + len(witness.leaked) + witness.failed.total()}
    late = spread([role.late * 1000 for role in witness.changes], 50, 99)
    changed = "labels of a live pod changed, to the last request that it answered as what it was before: p99"
    overridden = {
        "served": witness.overridden,
        "503: no Ready pod": witness.absent,
        "broken": witness.broken.total(),
    }
    return [
        Row(
            f"requests without override that reach an offloaded pod, {what}",
            len(witness.leaked),
            "",
            0,
            asked,
            "; ".join(witness.leaked[:3]),
        ),
        Row("the same: failed", witness.failed.total(), "", 0, note=_common(witness.failed)),
        Row("the same: overridden requests that another answered", len(witness.misled), "", 0, overridden),
        Row(changed, late["p99"], "ms", more=late),
    ]


def _common(reasons: Counter[str]) -> str:
    return "; ".join(f"{times} times {reason}" for reason, times in reasons.most_common(3))


async def withstand_cycles(bench: BenchCluster, cycles: int) -> Witness:
    """Take `cycles` deployments through their lives, half of each kind; return the observations."""
    _put_images(bench)
    await bench.create(service(USERS), _deployment())
    server = await bench.server()
    ports = [(await bench.mesh.sidecar(server)).port for _ in range(_SIDECARS)]
    await _until_served(ports)
    witness = Witness()
    connections = [Asking(port, USERS) for port in ports for _ in range(_CONNECTIONS)]
    async with (
        client_of(server) as detour,
        load(connections, _PER_SIDECAR * len(ports), witness.hear_baseline),
        asyncio.TaskGroup() as tasks,
    ):
        free = addresses()
        copies, played = (iter(range(kind, cycles, 2)) for kind in (0, 1))
        for _ in range(_WORKERS):
            tasks.create_task(_work(Copies(bench, ports, witness, detour=detour).cycle, copies))
            both = next(free), next(free)
            tasks.create_task(_work(Played(bench, ports, witness, addresses=both).cycle, played))
    return witness


async def _work(cycle: Callable[[str], Awaitable[None]], numbers: Iterator[int]) -> None:
    for number in numbers:
        await cycle(f"pr-{number}")


async def _until_served(ports: list[int]) -> None:
    for port in ports:
        connection = Asking(port, USERS)

        async def is_served(connection: Asking = connection) -> bool:
            return (await connection.ask()).status == 200

        await until(is_served, "the baseline to be served")
        connection.close()


def _put_images(bench: BenchCluster) -> None:
    image = from_tests("kubernetes.cluster").Image((sys.executable, "-S", "-E", "-c", _APP))
    for name in (_BASELINE_IMAGE, *IMAGES):
        bench.cluster.images[name] = image


def _deployment() -> Json:
    labels = {"app": USERS}
    probe = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1}
    app = {"name": "app", "image": _BASELINE_IMAGE, "readinessProbe": probe}
    spec = {"containers": [app], "terminationGracePeriodSeconds": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": USERS, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
