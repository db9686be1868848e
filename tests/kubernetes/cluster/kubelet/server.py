"""The kubelet's own HTTPS server, which the API server asks for logs (`/containerLogs` of `pkg/kubelet/server`)."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from kubernetes.cluster import node

from .container import Container

_FOLLOW_SECONDS = 0.05
_BLOCK = 1 << 16
Find = Callable[[str, str, str], Container | None]


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(find: Find, port: int, certificate: Path, key: Path, authority: Path) -> None:
    """Serve for ever; only those with a certificate of the cluster are let in."""

    async def log(request: Request) -> Response:
        container = find(*(request.path_params[name] for name in ("namespace", "pod", "container")))
        return _log(container, request)

    config = uvicorn.Config(
        Starlette(routes=[Route("/containerLogs/{namespace}/{pod}/{container}", log)]),
        host=node.ADDRESS,
        port=port,
        log_config=None,
        lifespan="off",
        ssl_certfile=certificate,
        ssl_keyfile=str(key),
        ssl_ca_certs=str(authority),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    await _Server(config).serve()


def _log(container: Container | None, request: Request) -> Response:
    asked = request.query_params
    if container is None:
        return PlainTextResponse("the container is not found on this node", 404)
    previous = asked.get("previous") == "true"
    file = container.log(container.restarts - previous)
    if file is None:
        return PlainTextResponse(f'{"previous terminated " * previous}container "{container.name}" not found', 400)
    begin = _tail(file, int(asked["tailLines"])) if "tailLines" in asked else 0
    limit = int(asked.get("limitBytes", 1 << 60))
    follow = asked.get("follow") == "true" and not previous
    return StreamingResponse(_content(file, begin, limit, container, follow), media_type="text/plain")


def _tail(file: Path, lines: int) -> int:
    content = file.read_bytes()
    place = len(content)
    for _ in range(lines + (not content.endswith(b"\n"))):
        place = content.rfind(b"\n", 0, max(place - 1, 0)) + 1
        if place == 0:
            break
    return place if lines else len(content)


async def _content(file: Path, begin: int, limit: int, container: Container, follow: bool) -> AsyncIterator[bytes]:
    run = container.restarts
    with file.open("rb") as source:
        source.seek(begin)
        while limit > 0:
            live = follow and container.restarts == run and "running" in container.state
            if block := source.read(min(_BLOCK, limit)):
                limit -= len(block)
                yield block
            elif not live:
                return
            else:
                await asyncio.sleep(_FOLLOW_SECONDS)
