"""The API server as the kubelet sees it: JSON objects, and sets of them that are kept up to date.

Objects stay plain JSON, as they came: what is written back has every field that this code has never heard of.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import yaml

Json = dict[str, Any]

MERGE = "application/strategic-merge-patch+json"
_RETRY_SECONDS = 0.1
_WATCH_SECONDS = 300


class ApiError(Exception):
    """The API server refused; `code` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Api:
    """An HTTP client of the API server."""

    def __init__(self, kubeconfig: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
        trust.load_cert_chain(user["client-certificate"], user["client-key"])
        self._http = httpx.AsyncClient(
            base_url=cluster["server"],
            verify=trust,
            timeout=httpx.Timeout(10, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
        )

    async def get(self, path: str, **query: str) -> Json:
        """Read an object, or a list of them."""
        return await self._call("GET", path, None, query)

    async def post(self, path: str, body: Json) -> Json:
        """Create an object, or call a subresource."""
        return await self._call("POST", path, body, {})

    async def patch(self, path: str, body: Json) -> Json:
        """Change an object by a strategic merge patch."""
        return await self._call("PATCH", path, body, {})

    async def delete(self, path: str, body: Json) -> Json:
        """Delete an object, with these options."""
        return await self._call("DELETE", path, body, {})

    async def _call(self, method: str, path: str, body: Json | None, query: dict[str, str]) -> Json:
        headers = {"content-type": MERGE if method == "PATCH" else "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        answer = await self._http.request(method, path, content=content, params=query, headers=headers)
        if answer.is_error:
            raise ApiError(answer.status_code, _message(answer))
        return msgspec.json.decode(answer.content, type=Json)

    async def watch(self, path: str, version: str, query: dict[str, str]) -> AsyncIterator[Json]:
        """Yield the events that follow a resourceVersion, until the server ends the stream."""
        asked = {**query, "watch": "true", "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)}
        asked["allowWatchBookmarks"] = "true"
        timeout = httpx.Timeout(10, read=_WATCH_SECONDS + 10, pool=None)
        async with self._http.stream("GET", path, params=asked, timeout=timeout) as answer:
            if answer.is_error:
                raise ApiError(answer.status_code, "watch refused")
            async for line in answer.aiter_lines():
                yield msgspec.json.decode(line, type=Json)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text


class Watched:
    """The objects of one path, kept up to date; listeners are told of each change, with None for what is gone.

    A stream that ends, an API server that is away and an expired version lead to a new list; what went meanwhile is
    told as gone.
    """

    def __init__(self, api: Api, path: str, **query: str) -> None:
        self._api = api
        self._path = path
        self._query = query
        self._objects: dict[tuple[str, str], Json] = {}
        self._listeners: list[Callable[[str, str, Json | None], None]] = []
        self.listed = asyncio.Event()

    def on_change(self, listener: Callable[[str, str, Json | None], None]) -> None:
        """Call this with namespace, name and object on each change."""
        self._listeners.append(listener)

    def get(self, namespace: str, name: str) -> Json | None:
        """Return an object, or None."""
        return self._objects.get((namespace, name))

    def all(self) -> Iterable[Json]:
        """Return every object."""
        return list(self._objects.values())

    async def run(self) -> None:
        """Follow for ever."""
        version = ""
        while True:
            try:
                version = version or await self._list()
                version = await self._follow(version)
            except (ApiError, httpx.HTTPError, msgspec.DecodeError):
                version = ""
                await asyncio.sleep(_RETRY_SECONDS)

    async def _list(self) -> str:
        content = await self._api.get(self._path, **self._query)
        found = {_key(entry): entry for entry in content.get("items") or []}
        for key in self._objects.keys() - found.keys():
            self._apply(key, None)
        for key, entry in found.items():
            if self._objects.get(key, {}).get("metadata", {}).get("resourceVersion") != _version(entry):
                self._apply(key, entry)
        self.listed.set()
        return _version(content)

    async def _follow(self, version: str) -> str:
        async for event in self._api.watch(self._path, version, self._query):
            if event["type"] == "ERROR":
                raise ApiError(int(event["object"].get("code", 500)), str(event["object"].get("message")))
            version = _version(event["object"])
            if event["type"] != "BOOKMARK":
                self._apply(_key(event["object"]), None if event["type"] == "DELETED" else event["object"])
        return version

    def _apply(self, key: tuple[str, str], entry: Json | None) -> None:
        if entry is None:
            self._objects.pop(key, None)
        else:
            self._objects[key] = entry
        for listener in self._listeners:
            listener(*key, entry)


def _key(entry: Json) -> tuple[str, str]:
    return entry["metadata"].get("namespace", ""), entry["metadata"]["name"]


def _version(entry: Json) -> str:
    return str(entry["metadata"]["resourceVersion"])
