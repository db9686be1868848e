"""The Kubernetes API as discovery uses it: lists in pages, and watches, read as the objects that they carry.

Invariant: what goes wrong is an `ApiError`, whatever it was: a refusal, a broken connection, half a line, silence.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic

import httpx2
import msgspec
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import SingleConfig

from detour.discovery.kubernetes.objects import (
    Deployment,
    EndpointSlice,
    ObjectT,
    Page,
    Pod,
    Service,
    Status,
    Version,
    WatchEvent,
)
from detour.kubernetes.labels import OFFLOADED

_PAGE: Final = 500
_LINE_MAX: Final = 64 * 2**20
_TIMEOUT: Final = httpx2.Timeout(15)
# Compressing costs the API server more than the bytes cost a network beside it.
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "detour"}

_STATUS: Final = msgspec.json.Decoder(Status)
_EVENT: Final = msgspec.json.Decoder(WatchEvent)


@dataclass(frozen=True, slots=True)
class Kind(Generic[ObjectT]):
    """A kind of object, and where the API has it.

    Args:
        type: What it is read as.
        group: The API's path.
        plural: What the path calls it.
        selector: The labels that the objects of interest have.
    """

    type: type[ObjectT]
    group: str
    plural: str
    selector: str = ""


SERVICES: Final = Kind(Service, "/api/v1", "services")
SLICES: Final = Kind(EndpointSlice, "/apis/discovery.k8s.io/v1", "endpointslices")
PODS: Final = Kind(Pod, "/api/v1", "pods")
DEPLOYMENTS: Final = Kind(Deployment, "/apis/apps/v1", "deployments", OFFLOADED)


class ApiError(Exception):
    """The API refused, or could not be heard.

    Args:
        message: For people.
        code: The HTTP status of a refusal; 0 if nothing was heard.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """A connection to an API server.

    Args:
        config: Where it is and who asks, as lightkube reads it from a kubeconfig or a pod's service account.
        silence: Seconds after which a watch that says nothing counts as broken.
        longest: Seconds after which the API server may end a watch.
    """

    def __init__(self, config: SingleConfig, silence: float, longest: float) -> None:
        self.url: str = config.cluster.server or ""
        self._silence = silence
        self._longest = longest
        parameters = ConnectionParams(timeout=_TIMEOUT, trust_env=False).httpx_params(config)
        limits = httpx2.Limits(max_connections=None)
        self._client = httpx2.AsyncClient(**parameters, headers=_HEADERS, limits=limits)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()

    async def version(self) -> tuple[int, int]:
        """Return the API server's version, as in 1.34.

        Raises:
            ApiError: It can't be read.
        """
        with _told():
            response = await self._client.get("/version")
            await _expect_success(response)
            found = msgspec.json.decode(response.content, type=Version)
        # Some providers write 34+.
        return int(found.major), int(found.minor.rstrip("+"))

    async def page(self, kind: Kind[ObjectT], namespace: str, token: str) -> Page[ObjectT]:
        """Read a page of a list.

        Args:
            kind: What to list.
            namespace: Where; everywhere if it is empty.
            token: What the page before ended with; empty for the first.

        Raises:
            ApiError: It can't be read.
        """
        parameters = {"limit": str(_PAGE), **({"continue": token} if token else {})}
        with _told():
            response = await self._client.get(_path(kind, namespace), params=_selecting(kind, parameters))
            await _expect_success(response)
            return msgspec.json.decode(response.content, type=Page[kind.type])  # type: ignore[name-defined]

    async def watch(self, kind: Kind[ObjectT], namespace: str, version: str) -> AsyncGenerator[WatchEvent]:
        """Yield what happens after a version, until the API server ends the watch in good order.

        Raises:
            ApiError: It refuses, breaks off, says nothing for too long, or says what can't be read.
        """
        parameters = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(self._longest))),
        }
        request = self._client.build_request(
            "GET",
            _path(kind, namespace),
            params=_selecting(kind, parameters),
            timeout=httpx2.Timeout(_TIMEOUT.connect, read=self._silence),
        )
        with _told():
            response = await self._client.send(request, stream=True)
            try:
                await _expect_success(response)
                async for line in _lines(response):
                    yield _EVENT.decode(line)
            finally:
                await response.aclose()


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in response.aiter_raw():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_MAX:
            raise ApiError("a watch sent a line of more than 64 MiB")
        for line in filter(None, lines):
            yield line


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        raise ApiError(str(error) or type(error).__name__) from error
    except msgspec.MsgspecError as error:
        raise ApiError(f"it said something that cannot be read: {error}") from error


async def _expect_success(response: httpx2.Response) -> None:
    if response.is_success:
        return
    content = await response.aread()
    try:
        message = _STATUS.decode(content).message
    except msgspec.MsgspecError:
        message = ""
    raise ApiError(message or f"it answered {response.status_code}", response.status_code)


def _path(kind: Kind[ObjectT], namespace: str) -> str:
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{kind.group}{where}/{kind.plural}"


def _selecting(kind: Kind[ObjectT], parameters: dict[str, str]) -> dict[str, str]:
    return {**parameters, "labelSelector": kind.selector} if kind.selector else parameters
