"""The scheduler: binds pods to the one node, where it has room and suits them; tells why where not."""

import asyncio

import httpx

from kubernetes.cluster import node

from .api import Api, ApiError, Json, Watched
from .events import Events, now
from .quantities import requests

_NAME = "default-scheduler"


class Scheduler:
    """Watches the pods that have no node; those of the node are what takes its room."""

    def __init__(
        self, api: Api, events: Events, capacity: dict[str, float], labels: dict[str, str], bound: Watched
    ) -> None:
        self._api = api
        self._events = events
        self._capacity = capacity
        self._labels = labels
        self._bound = bound
        self._assumed: dict[str, Json] = {}
        self._waiting = Watched(
            api, "/api/v1/pods", fieldSelector="spec.nodeName=,status.phase!=Succeeded,status.phase!=Failed"
        )
        self._woken = asyncio.Event()
        self._waiting.on_change(lambda *_: self._woken.set())
        bound.on_change(lambda *_: self._woken.set())

    async def run(self) -> None:
        """Schedule for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._waiting.run())
            tasks.create_task(self._schedule())

    async def _schedule(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            for pod in self._waiting.all():
                if pod["spec"].get("schedulerName", _NAME) == _NAME and pod["metadata"]["uid"] not in self._assumed:
                    await self._place(pod)

    async def _place(self, pod: Json) -> None:
        try:
            if lacks := self._lacks(pod):
                await self._refuse(pod, f"0/1 nodes are available: 1 {lacks}.")
            elif not pod["metadata"].get("deletionTimestamp"):
                await self._bind(pod)
        except ApiError:
            return  # it changed or went; the watch says so
        except httpx.HTTPError:
            self._woken.set()

    async def _bind(self, pod: Json) -> None:
        about = pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": about["name"], "uid": about["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node.NAME},
        }
        await self._api.post(f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}/binding", binding)
        self._assumed[about["uid"]] = pod
        message = f"Successfully assigned {about['namespace']}/{about['name']} to {node.NAME}"
        self._events.tell(pod, "Normal", "Scheduled", message, source=_NAME)

    def _lacks(self, pod: Json) -> str:
        wanted = pod["spec"].get("nodeSelector") or {}
        if any(self._labels.get(key) != value for key, value in wanted.items()):
            return "node(s) didn't match Pod's node affinity/selector"
        taken = self._taken()
        asked = requests(pod)
        short = [
            name
            for name in ("cpu", "memory")
            if asked[name] > 0 and taken[name] + asked[name] > self._capacity[name]
        ]
        return ", 1 ".join(f"Insufficient {name}" for name in short)

    def _taken(self) -> dict[str, float]:
        bound = {pod["metadata"]["uid"]: pod for pod in self._bound.all()}
        waiting = {pod["metadata"]["uid"] for pod in self._waiting.all()}
        # Bound already, but not yet seen to be: still in the list of those without a node.
        self._assumed = {uid: pod for uid, pod in self._assumed.items() if uid in waiting}
        every = {**self._assumed, **bound}.values()
        using = [
            requests(pod) for pod in every if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]
        return {name: sum(each[name] for each in using) for name in ("cpu", "memory")}

    async def _refuse(self, pod: Json, message: str) -> None:
        known = pod.get("status", {}).get("conditions") or []
        if any(each["type"] == "PodScheduled" and each.get("message") == message for each in known):
            return
        about = pod["metadata"]
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": now(),
        }
        self._events.tell(pod, "Warning", "FailedScheduling", message, source=_NAME)
        path = f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}/status"
        await self._api.patch(path, {"status": {"conditions": [condition]}})
