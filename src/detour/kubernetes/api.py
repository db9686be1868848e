"""The client of the Kubernetes API: reads objects as typed views or whole, writes them, and watches them.

Invariant: every failure is an `ApiError`: a refusal, a broken connection, half a line, a timeout, credentials that
could not be fetched.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final, Generic

import httpx2
import msgspec
from lightkube import ConfigError
from lightkube.config.client_adapter import ConnectionParams

from detour.kubernetes.config import ClusterConfig
from detour.kubernetes.errors import ApiError
from detour.kubernetes.kinds import PODS, Kind, Reading, kind_of
from detour.kubernetes.objects import Json, KubernetesObject, Metadata, Page, Status, T, Version, WatchLine
from detour.reason import reason_of

_PAGE: Final = 500
_LINE_MAX: Final = 64 * 2**20
_TIMEOUT_SECONDS: Final = 15.0
_MANAGER: Final = "detour"
# Compressing costs the API server more than the bytes cost a network beside it.
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "detour"}

_STATUS: Final = msgspec.json.Decoder(Status)
_LINE: Final = msgspec.json.Decoder(WatchLine)
_OBJECT: Final = msgspec.json.Decoder(KubernetesObject)


class Patch(StrEnum):
    """How a patch is merged (Kubernetes, "Update API Objects in Place Using kubectl patch")."""

    MERGE = "application/merge-patch+json"
    """Replaces lists."""

    STRATEGIC = "application/strategic-merge-patch+json"
    """Merges lists of named objects by their names."""


@dataclass(frozen=True, slots=True)
class Changed(Generic[T]):
    """A watch reports that an object is new or has changed."""

    object: T


@dataclass(frozen=True, slots=True)
class Deleted(Generic[T]):
    """A watch reports that an object was deleted; with its last state."""

    object: T


@dataclass(frozen=True, slots=True)
class Reached:
    """A watch reports how far it has come (BOOKMARK)."""

    version: str


WatchEvent = Changed[T] | Deleted[T] | Reached


class Api:
    """A connection to an API server.

    Args:
        config: Its address, and the credentials for it.
        timeout: Seconds after which a call without an answer fails.
        transport: What carries requests, for tests.
    """

    def __init__(
        self,
        config: ClusterConfig,
        timeout: float = _TIMEOUT_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.url: str = config.cluster.server or ""
        self._timeout = httpx2.Timeout(timeout)
        parameters = ConnectionParams(timeout=self._timeout, trust_env=False).httpx_params(config)
        parameters |= {"transport": transport, "headers": _HEADERS, "limits": httpx2.Limits(max_connections=None)}
        self._client = httpx2.AsyncClient(**parameters)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def version(self) -> tuple[int, int]:
        """Return the API server's version, as in 1.34; (0, 0) if it is not made of numbers.

        Raises:
            ApiError: It can't be read.
        """
        found = _decoded(await self._call("GET", "/version"), Version)
        try:
            # Some providers write 34+.
            return int(found.major), int(found.minor.rstrip("+"))
        except ValueError:
            return 0, 0

    async def get(self, reading: Reading[T], name: str, namespace: str = "") -> T | None:
        """Read one object; None if it does not exist.

        Raises:
            ApiError: It can't be read.
        """
        try:
            content = await self._call("GET", reading.kind.path(namespace, name))
        except ApiError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return None
            raise
        return _decoded(content, reading.type)

    async def list(self, reading: Reading[T], namespace: str = "") -> list[T]:
        """Read all objects of a namespace, or of the cluster if `namespace` is empty.

        Raises:
            ApiError: They can't be read.
        """
        found: list[T] = []
        token = ""
        while True:
            page = await self.page(reading, namespace, token)
            found += page.items or ()
            token = page.metadata.continue_
            if not token:
                return found

    async def page(self, reading: Reading[T], namespace: str, token: str) -> Page[T]:
        """Read a page of a list.

        Args:
            reading: What to list.
            namespace: Where; everywhere if it is empty.
            token: The `continue` token of the page before; empty for the first page.

        Raises:
            ApiError: It can't be read.
        """
        parameters = {"limit": str(_PAGE), **({"continue": token} if token else {})}
        content = await self._call("GET", reading.kind.path(namespace), _selecting(reading, parameters))
        return _decoded(content, Page[reading.type])  # type: ignore[name-defined]

    async def watch(
        self, reading: Reading[T], namespace: str, version: str, *, silence: float, longest: float
    ) -> AsyncGenerator[WatchEvent[T]]:
        """Yield what happens after a version, until the API server ends the watch in good order.

        Args:
            reading: What to watch.
            namespace: Where; everywhere if it is empty.
            version: The `resourceVersion` of the last known state.
            silence: Seconds after which a watch without a line counts as broken.
            longest: Seconds after which the API server may end the watch.

        Raises:
            ApiError: It refuses, breaks off, sends nothing for too long, or sends something unreadable.
        """
        parameters = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(longest))),
        }
        path = reading.kind.path(namespace)
        async with self._streamed(path, _selecting(reading, parameters), silence) as response:
            async for line in _lines(response):
                event = _watch_event(_LINE.decode(line), reading.type)
                if event is not None:
                    yield event

    async def create(self, one: Json, *, is_dry_run: bool = False) -> Metadata:
        """Create an object; return its metadata as the API server made them.

        Args:
            one: The whole object.
            is_dry_run: Whether the API server only checks the request (`dryRun`).

        Raises:
            ApiError: It was not created; with code 409 because it exists.
        """
        path = kind_of(one).path(one["metadata"].get("namespace", ""))
        return _metadata(await self._call("POST", path, {"dryRun": "All"} if is_dry_run else {}, one))

    async def replace(self, one: Json) -> Metadata:
        """Replace an object that has the `resourceVersion` of `one`; fields that `one` lacks are removed.

        Raises:
            ApiError: It was not replaced; with code 409 because it has another version by now.
        """
        return _metadata(await self._call("PUT", _path(one), {}, one))

    async def patch(
        self, kind: Kind, name: str, patch: Json, namespace: str = "", how: Patch = Patch.MERGE
    ) -> Metadata:
        """Change fields of an object; if the patch has a `resourceVersion`, only the object of that version.

        Raises:
            ApiError: It was not changed; with code 409 because it has another version by now.
        """
        return _metadata(await self._call("PATCH", kind.path(namespace, name), {}, patch, how))

    async def apply(self, one: Json) -> Metadata:
        """Create an object, or change it to be so (server-side apply); takes over fields that others manage.

        Raises:
            ApiError: It was not applied.
        """
        parameters = {"fieldManager": _MANAGER, "force": "true"}
        return _metadata(await self._call("PATCH", _path(one), parameters, one, "application/apply-patch+yaml"))

    async def delete(self, kind: Kind, name: str, namespace: str = "") -> bool:
        """Delete an object, and in the background what it owns; return whether it existed.

        Raises:
            ApiError: It was not deleted.
        """
        try:
            await self._call("DELETE", kind.path(namespace, name), {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    async def log(
        self, namespace: str, pod: str, container: str, *, tail: int, follow: bool = False
    ) -> AsyncGenerator[str]:
        """Yield the last lines of a container's log, each with its line break.

        Args:
            namespace: The pod's.
            pod: Its name.
            container: The container's name.
            tail: How many lines.
            follow: Whether to go on with each line that the container writes from now on.

        Raises:
            ApiError: It can't be read.
        """
        parameters = {"container": container, "tailLines": str(tail), **({"follow": "true"} if follow else {})}
        silence = None if follow else self._timeout.read
        async with self._streamed(f"{PODS.path(namespace, pod)}/log", parameters, silence) as response:
            async for line in response.aiter_lines():
                yield f"{line}\n"

    async def _call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        sent: Json | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Send a request; return the answer's content."""
        content = None if sent is None else msgspec.json.encode(sent)
        headers = {} if sent is None else {"content-type": content_type}
        with _explained():
            response = await self._client.request(
                method, path, params=parameters or {}, content=content, headers=headers
            )
        _expect_success(response)
        return response.content

    @asynccontextmanager
    async def _streamed(
        self, path: str, parameters: Mapping[str, str], silence: float | None
    ) -> AsyncIterator[httpx2.Response]:
        """Open a response that is read while it arrives; `silence` seconds without a byte are a failure."""
        timeout = httpx2.Timeout(self._timeout.connect, read=silence)
        request = self._client.build_request("GET", path, params=dict(parameters), timeout=timeout)
        with _explained():
            response = await self._client.send(request, stream=True)
            try:
                if not response.is_success:
                    await response.aread()
                    _expect_success(response)
                yield response
            finally:
                await response.aclose()


def _watch_event(line: WatchLine, type_: type[T]) -> WatchEvent[T] | None:
    match line.type:
        case "ADDED" | "MODIFIED":
            return Changed(msgspec.json.decode(line.object, type=type_))
        case "DELETED":
            return Deleted(msgspec.json.decode(line.object, type=type_))
        case "BOOKMARK":
            return Reached(_OBJECT.decode(line.object).metadata.resource_version)
        case "ERROR":
            status = _STATUS.decode(line.object)
            raise ApiError(status.message or "the watch ended with an error", status.code)
    return None


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.aiter_raw():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_MAX:
            raise ApiError("a watch sent a line of more than 64 MiB")
        for line in filter(None, lines):
            yield line


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        raise ApiError(reason_of(error)) from error
    except msgspec.MsgspecError as error:
        raise ApiError(f"its answer is unreadable: {error}") from error
    except (ConfigError, KeyError, ValueError, OSError) as error:
        # Raised while lightkube fetches a token: by a command of the kubeconfig, or from a file.
        raise ApiError(f"the credentials could not be fetched: {reason_of(error)}") from error


def _expect_success(response: httpx2.Response) -> None:
    if response.is_success:
        return
    try:
        status = _STATUS.decode(response.content)
    except msgspec.MsgspecError:
        status = Status()
    causes = [cause.reason for cause in (status.details and status.details.causes) or ()]
    raise ApiError(status.message or f"it answered {response.status_code}", response.status_code, causes)


def _decoded(content: bytes, type_: type[T]) -> T:
    with _explained():
        return msgspec.json.decode(content, type=type_)


def _metadata(content: bytes) -> Metadata:
    return _decoded(content, KubernetesObject).metadata


def _path(one: Json) -> str:
    metadata = one["metadata"]
    return kind_of(one).path(metadata.get("namespace", ""), metadata["name"])


def _selecting(reading: Reading[T], parameters: dict[str, str]) -> dict[str, str]:
    return {**parameters, "labelSelector": reading.selector} if reading.selector else parameters
