"""The tests' real cluster, with a Detour server that follows one of its namespaces.

Invariant: the calling thread is inside the node's network namespace while the cluster is there, and out of it again
afterwards; all that was started has then ended.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from bench.from_tests import from_tests
from bench.kubernetes.api import Api
from bench.kubernetes.objects import ELSEWHERE, Json
from bench.mesh import BenchMesh, bench_mesh, free_ports, until
from bench.server import Server
from detour.envoy.runner import tied_to_parent

NAMESPACE: Final = "shop"

_ADDRESSES: Final = "10.88.128.0/17"
"""Addresses of instances that the bench plays: pods' ones, which the test kubelet does not come to."""

_OF_THE_NODE: Final = ("kube-proxy", "kubelet")
_NICE: Final = -10


class ClusterServer(Server):
    """A `detour serve --kubernetes` of the namespace, with priority over all that it shares the machine with."""

    def __init__(self, folder: Path, kubeconfig: Path, namespace: str = NAMESPACE) -> None:
        xds, api = (f"127.0.0.1:{port}" for port in free_ports(2))
        super().__init__(folder / "serve.yaml", xds, api)
        self.log = folder / "serve.log"
        """What it says."""
        detour = ["nice", "-n", str(_NICE), sys.executable, "-m", "detour"]
        where = ["--kubeconfig", str(kubeconfig), "--namespace", namespace, "--xds", xds, "--api", api]
        self._command = tied_to_parent([*detour, "serve", "--kubernetes", *where])

    async def serving(self) -> None:
        """Wait until Envoys are served."""

        async def has_said() -> bool:
            return "Detour serves" in self.log.read_text(encoding="utf-8")

        await until(has_said, "the server to serve Envoys")


class BenchCluster:
    """What a measurement on the cluster uses.

    Args:
        mesh: Starts sidecars, and ends all that was started.
        cluster: The tests' `Cluster`.
        folder: For what is written.
        stack: Ends what was started, the last one first.
        namespace: Where all happens.
    """

    def __init__(
        self, mesh: BenchMesh, cluster: Any, folder: Path, stack: AsyncExitStack, namespace: str = NAMESPACE
    ) -> None:
        self.mesh = mesh
        self.namespace = namespace
        self.cluster = cluster
        self.folder = folder
        self.api = Api(cluster.kubeconfig)
        self._stack = stack
        stack.push_async_callback(self.api.close)

    @property
    def core(self) -> str:
        """The path of the namespace."""
        return f"/api/v1/namespaces/{self.namespace}"

    async def make_namespace(self) -> None:
        """Make the namespace; it ends with the cluster."""
        await self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})

        async def is_there() -> bool:
            return await self.api.find(f"{self.core}/serviceaccounts/default") is not None

        await until(is_there, f"the service account of namespace {self.namespace}")

    async def make_node(self) -> None:
        """Make the node of pods that the bench plays, and addresses for them; both end with the context."""
        give_addresses()
        await self.api.create("/api/v1/nodes", {"metadata": {"name": ELSEWHERE}})
        self._stack.push_async_callback(self.api.delete, f"/api/v1/nodes/{ELSEWHERE}")

    async def create(self, *objects: Json) -> None:
        """Create objects in the namespace."""
        for one in objects:
            group = "/apis/apps/v1" if one["kind"] == "Deployment" else "/api/v1"
            await self.api.create(f"{group}/namespaces/{self.namespace}/{one['kind'].lower()}s", one)

    async def server(self) -> ClusterServer:
        """Start a server that follows the namespace, and wait until it serves Envoys."""
        server = self.unstarted_server()
        await server.start()
        await server.serving()
        return server

    def unstarted_server(self) -> ClusterServer:
        """Return a server that is yet to be started."""
        server = ClusterServer(self.folder, self.cluster.kubeconfig, self.namespace)
        self._stack.push_async_callback(server.stop)
        return server

    def leave_alone(self) -> None:
        """End what serves real pods of the node only, and would take the machine from what is measured."""
        for name in _OF_THE_NODE:
            os.kill(self.cluster.processes[name], 9)


@asynccontextmanager
async def bench_cluster() -> AsyncIterator[BenchCluster]:
    """Run a cluster with the namespace, and addresses for instances.

    Raises:
        RuntimeError: It can't be had; the message says why.
    """
    with node():
        async with bench_mesh() as mesh, AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="detour-bench-")))
            cluster = from_tests("kubernetes.cluster").Cluster(folder)
            stack.callback(cluster.stop)
            bench = BenchCluster(mesh, cluster, folder, stack)
            await bench.make_node()
            await bench.make_namespace()
            yield bench


def give_addresses() -> None:
    """Have the addresses of instances in the node."""
    subprocess.run(["ip", "route", "replace", "local", _ADDRESSES, "dev", "lo"], check=True)


@contextmanager
def node() -> Iterator[None]:
    """Enter a node, with addresses for instances.

    Raises:
        RuntimeError: Only root can.
    """
    if os.geteuid() != 0:
        raise RuntimeError("the cluster needs a network namespace of its own: run this as root")
    with from_tests("kubernetes.cluster.node").entered():
        give_addresses()
        yield
