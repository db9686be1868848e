"""One pod on the node: its sandbox, its containers in order, its status, and its end.

Order as the real kubelet keeps it: sandbox and volumes; init containers one after the other, native sidecars among
them until started; then all containers. At the end the containers first, then the native sidecars in reverse; then
the pod is removed from the API server.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from kubernetes.cluster import node

from .api import Api, ApiError, Json
from .container import Container
from .containers import Process, Runtime
from .events import Events, now
from .network import Network
from .place import Place
from .sources import ConfigError, Sources
from .status import Progress, is_sidecar, pod_status
from .volumes import Volumes

_RETRY_SECONDS = 0.2
_SIDECAR_SECONDS = 2


@dataclass(frozen=True)
class Parts:
    """What all pods of the node share. `folder` is in memory; `logs` stays."""

    api: Api
    runtime: Runtime
    network: Network
    sources: Sources
    events: Events
    http: httpx.AsyncClient
    registry: Path
    folder: Path
    logs: Path
    services: Callable[[str], dict[str, str]]


class PodWorker:
    """Runs one pod until it is gone."""

    def __init__(self, pod: Json, parts: Parts) -> None:
        self._pod = pod
        self._parts = parts
        self.key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        about, spec = pod["metadata"], pod["spec"]
        self._path = f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}"
        self._folder = parts.folder / about["uid"]
        self._logs = parts.logs / f"{about['namespace']}_{about['name']}_{about['uid']}"
        self._begun = now()
        policy = spec.get("restartPolicy", "Always")
        once = "Never" if policy == "Never" else "OnFailure"
        self.first = [
            Container(each, "Always" if is_sidecar(each) else once) for each in spec.get("initContainers") or []
        ]
        self.containers = [Container(each, policy) for each in spec["containers"]]
        for each in [*self.first, *self.containers]:
            each.state = {"waiting": {"reason": "PodInitializing" if self.first else "ContainerCreating"}}
        self._address = ""
        self._initialised = False
        self._init_failed = False
        self._dirty = asyncio.Event()
        self._written: Json = {}
        self._leave = asyncio.Event()
        self._gone = False
        self._sandbox: asyncio.Task[Process] | None = None
        self._volumes = Volumes(pod, self._folder / "volumes", parts.sources)

    def update(self, pod: Json) -> None:
        """Take a newer version of the pod: new labels, readiness gates, that it is to end."""
        labels = (self._pod["metadata"].get("labels"), self._pod["metadata"].get("annotations"))
        self._pod = pod
        if (pod["metadata"].get("labels"), pod["metadata"].get("annotations")) != labels:
            self.refresh("pod", "")
        if pod["metadata"].get("deletionTimestamp"):
            self._leave.set()
        if pod["spec"].get("readinessGates"):
            self._dirty.set()

    def removed(self) -> None:
        """It is gone from the API server: nothing of it may go on."""
        self._gone = True
        self._leave.set()

    def refresh(self, kind: str, name: str) -> None:
        """Write volumes anew that have something of a changed `configMap`, `secret` or of the pod."""
        if self._address:
            self._refreshing = asyncio.create_task(self._refresh(kind, name))

    async def _refresh(self, kind: str, name: str) -> None:
        try:
            await self._volumes.update(self._pod, self._address, kind, name)
        except ConfigError as error:
            self._tell("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")

    async def run(self) -> None:
        """Run it to its end."""
        reporting = asyncio.create_task(self._report())
        living, leaving = asyncio.create_task(self._live()), asyncio.create_task(self._leave.wait())
        try:
            await asyncio.wait({living, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                living.result()
            else:
                living.cancel()
                await asyncio.gather(living, return_exceptions=True)
            await self._end()
            await leaving
        finally:
            reporting.cancel()
            leaving.cancel()
            await asyncio.gather(reporting, leaving, return_exceptions=True)
        await self._remove()

    def container(self, name: str) -> Container | None:
        """Return the container of this name."""
        return next((each for each in [*self.first, *self.containers] if each.name == name), None)

    async def _live(self) -> None:
        place = await self._prepare()
        for container in self.first:
            if not await self._initialise(container, place):
                self._init_failed = True
                self._dirty.set()
                return
        self._initialised = True
        self._dirty.set()
        # Unlike gather, wait leaves them running when the pod's end cancels this.
        ended, _ = await asyncio.wait([each.begin(place) for each in self.containers])
        for task in ended:
            task.result()

    async def _initialise(self, container: Container, place: Place) -> bool:
        task = container.begin(place)
        if not is_sidecar(container.spec):
            ended = await asyncio.shield(task) == 0
            container.ready = ended
            return ended
        await container.started.wait()
        return True

    async def _prepare(self) -> Place:
        self._dirty.set()
        spec = self._pod["spec"]
        self._folder.mkdir(parents=True)
        host = spec.get("hostNetwork", False)
        name = spec.get("hostname") or self._pod["metadata"]["name"]
        self._sandbox = asyncio.create_task(
            self._parts.runtime.start("sandbox", hostname=name[:63], host_network=host)
        )
        sandbox = await asyncio.shield(self._sandbox)
        address = node.ADDRESS if host else await self._parts.network.connect(sandbox)
        self._address = address
        self._dirty.set()
        self._write_files(name, address)
        await self._make_volumes()
        return Place(
            pod=self._pod,
            folder=self._folder,
            logs=self._logs,
            address=address,
            sandbox=sandbox,
            volumes=self._volumes,
            runtime=self._parts.runtime,
            registry=self._parts.registry,
            sources=self._parts.sources,
            events=self._parts.events,
            http=self._parts.http,
            services=self._services,
            changed=self._dirty.set,
        )

    def _services(self) -> dict[str, str]:
        return self._parts.services(self._pod["metadata"]["namespace"])

    async def _make_volumes(self) -> None:
        while True:
            try:
                return await self._volumes.make(self._address)
            except ConfigError as error:
                self._tell("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")
                await asyncio.sleep(_RETRY_SECONDS)

    def _write_files(self, name: str, address: str) -> None:
        namespace = self._pod["metadata"]["namespace"]
        aliases = [
            f"{each['ip']} {' '.join(each['hostnames'])}" for each in self._pod["spec"].get("hostAliases") or []
        ]
        hosts = ["127.0.0.1 localhost", "::1 localhost ip6-localhost", f"{address} {name}", *aliases]
        (self._folder / "hosts").write_text("\n".join(hosts) + "\n")
        (self._folder / "hostname").write_text(f"{name}\n")
        search = f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local"
        (self._folder / "resolv.conf").write_text(f"{search}\nnameserver {node.ADDRESS}\noptions ndots:5\n")

    def _tell(self, kind: str, reason: str, message: str) -> None:
        self._parts.events.tell(self._pod, kind, reason, message)

    async def _end(self) -> None:
        grace = self._grace()
        deadline = asyncio.get_running_loop().time() + grace
        sidecars = [each for each in self.first if is_sidecar(each.spec)]
        others = [each for each in self.first if not is_sidecar(each.spec)]
        await asyncio.gather(*(each.stop(grace) for each in [*self.containers, *others]))
        for each in reversed(sidecars):
            left = deadline - asyncio.get_running_loop().time()
            await each.stop(max(left, _SIDECAR_SECONDS) if grace else 0)
        if self._sandbox is not None:
            await (await self._sandbox).kill()
        self._dirty.set()

    def _grace(self) -> float:
        if self._gone:
            return 0
        about = self._pod["metadata"]
        usual = self._pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(about.get("deletionGracePeriodSeconds", usual) if about.get("deletionTimestamp") else usual)

    async def _remove(self) -> None:
        if not self._gone:
            await self._until_done(self._write_status)
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._pod["metadata"]["uid"]}}
            await self._until_done(lambda: self._parts.api.delete(self._path, body))
        if self._address not in ("", node.ADDRESS):
            self._parts.network.release(self._address)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _report(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._until_done(self._write_status)

    async def _until_done(self, write: Callable[[], Awaitable[object]]) -> None:
        """Repeat while the API server is away; a refusal means that the pod is another or none."""
        while not self._gone:
            try:
                await write()
            except ApiError as refused:
                if refused.code not in (429, 500, 503, 504):
                    return
            except httpx.HTTPError:
                pass
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _write_status(self) -> None:
        before = {each["type"]: each for each in self._written.get("conditions", [])}
        progress = Progress(
            pod=self._pod,
            first=self.first,
            containers=self.containers,
            address=self._address,
            initialised=self._initialised,
            init_failed=self._init_failed,
            begun=self._begun,
        )
        status = pod_status(progress, before)
        if status != self._written:
            body = {"metadata": {"uid": self._pod["metadata"]["uid"]}, "status": status}
            await self._parts.api.patch(f"{self._path}/status", body)
            self._written = status
