"""The test kubelet: really runs the pods of the cluster's one node, and schedules them.

It does for a pod what the real one does, with local processes for containers; `cluster/__init__.py` lists what.
"""

import asyncio
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from kubernetes.cluster import node

from .api import Api, ApiError, Json, Watched
from .container import Container
from .containers import Runtime
from .environment import service_links
from .events import Events, now
from .names import Names
from .network import Network
from .pod import Parts, PodWorker
from .probes import http_client
from .quantities import quantity
from .scheduler import Scheduler
from .server import serve
from .sources import Sources

_LABELS = {"kubernetes.io/hostname": node.NAME, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
_ROOM = {"cpu": "64", "memory": "64Gi", "pods": "2000", "ephemeral-storage": "100Gi"}


@dataclass(frozen=True)
class Settings:
    """Where the kubelet finds and puts things."""

    kubeconfig: Path
    registry: Path
    folder: Path
    logs: Path
    certificate: Path
    key: Path
    authority: Path
    port: int

    @classmethod
    def read(cls, content: Mapping[str, str]) -> "Settings":
        """Read them from JSON."""
        return cls(
            port=int(content["port"]), **{key: Path(value) for key, value in content.items() if key != "port"}
        )


class Kubelet:
    """Everything that runs on the node."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime

    async def run(self) -> None:
        """Run for ever; a part that fails ends it all."""
        settings = self._settings
        api = Api(settings.kubeconfig)
        self._api, self._events = api, Events(api)
        self._pods = Watched(api, "/api/v1/pods", fieldSelector=f"spec.nodeName={node.NAME}")
        self._services = Watched(api, "/api/v1/services")
        slices = Watched(api, "/apis/discovery.k8s.io/v1/endpointslices")
        watched = [self._pods, self._services, slices, *self._configuration()]
        self._workers: dict[str, PodWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._parts = self._shared(api)
        self._pods.on_change(self._pod_changed)
        room = {name: quantity(_ROOM[name]) for name in ("cpu", "memory")}
        async with asyncio.TaskGroup() as tasks:
            self._group = tasks
            tasks.create_task(self._runtime.run())
            tasks.create_task(self._events.run())
            tasks.create_task(Names(self._services, slices).run())
            tasks.create_task(
                serve(self._find, settings.port, settings.certificate, settings.key, settings.authority)
            )
            tasks.create_task(Scheduler(api, self._events, room, _LABELS, self._pods).run())
            for each in watched:
                tasks.create_task(each.run())
            for each in watched:
                await each.listed.wait()
            await self._register()

    def _shared(self, api: Api) -> Parts:
        return Parts(
            api=api,
            runtime=self._runtime,
            network=Network(),
            sources=Sources(api),
            events=self._events,
            http=http_client(),
            registry=self._settings.registry,
            folder=self._settings.folder,
            logs=self._settings.logs,
            services=self._links,
        )

    def _configuration(self) -> list[Watched]:
        made = []
        for kind, path in (("configMap", "configmaps"), ("secret", "secrets")):
            watched = Watched(self._api, f"/api/v1/{path}")
            watched.on_change(partial(self._refresh, kind))
            made.append(watched)
        return made

    def _refresh(self, kind: str, namespace: str, name: str, _: Json | None) -> None:
        for pod in self._pods.all():
            worker = self._workers.get(pod["metadata"]["uid"])
            if pod["metadata"]["namespace"] == namespace and worker is not None:
                worker.refresh(kind, name)

    def _links(self, namespace: str) -> dict[str, str]:
        own = {
            each["metadata"]["name"]: each
            for each in self._services.all()
            if each["metadata"]["namespace"] == namespace
        }
        api = self._services.get("default", "kubernetes")
        return service_links({**own, **({"kubernetes": api} if api else {})})

    def _pod_changed(self, namespace: str, name: str, pod: Json | None) -> None:
        self._end_others(namespace, name, pod)
        if pod is None or (
            pod.get("status", {}).get("phase") in ("Succeeded", "Failed") and self._known(pod) is None
        ):
            return
        worker = self._known(pod)
        if worker is None:
            worker = self._workers[pod["metadata"]["uid"]] = PodWorker(pod, self._parts)
            self._group.create_task(self._work(pod["metadata"]["uid"], worker))
        worker.update(pod)

    def _known(self, pod: Json) -> PodWorker | None:
        return self._workers.get(pod["metadata"]["uid"])

    def _end_others(self, namespace: str, name: str, pod: Json | None) -> None:
        """A pod of the same name but another uid is another pod; what was there is gone."""
        for uid, worker in self._workers.items():
            if worker.key == (namespace, name) and (pod is None or uid != pod["metadata"]["uid"]):
                worker.removed()

    async def _work(self, uid: str, worker: PodWorker) -> None:
        try:
            await worker.run()
        except Exception:  # noqa: BLE001
            traceback.print_exc()  # this pod's end is not the others'
        finally:
            del self._workers[uid]

    def _find(self, namespace: str, pod: str, container: str) -> Container | None:
        entry = self._pods.get(namespace, pod)
        worker = self._known(entry) if entry else None
        return worker.container(container) if worker else None

    async def _register(self) -> None:
        body = _node(self._settings.port)
        while True:
            try:
                await self._api.post("/api/v1/nodes", body)
            except ApiError as error:
                if error.code != 409:
                    raise
            except httpx.HTTPError:
                await asyncio.sleep(0.1)
                continue
            break
        await self._api.patch(f"/api/v1/nodes/{node.NAME}/status", {"status": body["status"]})


def _node(port: int) -> Json:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "lastHeartbeatTime": now(),
        "lastTransitionTime": now(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.NAME, "labels": _LABELS},
        "spec": {"podCIDR": node.PODS, "podCIDRs": [node.PODS]},
        "status": {
            "capacity": _ROOM,
            "allocatable": _ROOM,
            "addresses": [
                {"type": "InternalIP", "address": node.ADDRESS},
                {"type": "Hostname", "address": node.NAME},
            ],
            "conditions": [ready],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": _INFO,
        },
    }


_INFO = {
    "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "", "architecture": "amd64",
    "operatingSystem": "linux", "containerRuntimeVersion": "process://1", "kubeletVersion": "v1.34.4",
    "kubeProxyVersion": "",
}  # fmt: skip
