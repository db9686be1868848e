"""Events about pods, as the real kubelet and scheduler write them (reasons of `pkg/kubelet/events`)."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import httpx

from kubernetes.cluster import node

from .api import Api, ApiError, Json


def now() -> str:
    """Return the time, as the API writes it (RFC 3339, whole seconds)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Events:
    """Writes events; the same one again raises its count. Never fails: events are a courtesy."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[str, ...], tuple[str, int]] = {}
        self._queue: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()

    def tell(
        self, pod: Json, kind: str, reason: str, message: str, *, source: str = "kubelet", part: str = ""
    ) -> None:
        """Write an event of this kind (Normal, Warning) about a pod, or about its `part` (a fieldPath)."""
        about = pod["metadata"]
        key = (about["uid"], reason, message, part)
        name, seen = self._known.get(key, (f"{about['name']}.{uuid4().hex[:16]}", 0))
        self._known[key] = (name, seen + 1)
        path = f"/api/v1/namespaces/{about['namespace']}/events"
        if seen:
            self._queue.put_nowait((f"{path}/{name}", {"count": seen + 1, "lastTimestamp": now()}))
        else:
            body = {
                "type": kind,
                "reason": reason,
                "message": message,
                **_origin(source),
                **_regarding(about, name, part),
            }
            self._queue.put_nowait((path, body))

    async def run(self) -> None:
        """Send what was told, in order, for ever."""
        while True:
            path, body = await self._queue.get()
            try:
                await (self._api.post(path, body) if "metadata" in body else self._api.patch(path, body))
            except (ApiError, httpx.HTTPError):
                continue  # the namespace goes, or the API server is away


def _origin(source: str) -> Json:
    return {
        "source": {"component": source, "host": node.NAME},
        "reportingComponent": source,
        "reportingInstance": node.NAME,
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "count": 1,
    }


def _regarding(about: Json, name: str, part: str) -> Json:
    fields = {field: about[field] for field in ("name", "namespace", "uid", "resourceVersion")}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": about["namespace"]},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "fieldPath": part, **fields},
    }
