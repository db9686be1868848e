"""An HTTP/1.1 service: an ordinary Starlette application under uvicorn. This module does not touch headers."""

import json

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from detour.demo.call_tree import Answerer, to_json
from detour.demo.topology import ENTRANCE

_WELCOME = {
    "what": "the entry point of Detour's demo, a small ride-hailing mesh",
    "try": {
        "/rides": "a call through the whole mesh; the answer says which instance served each hop",
        "/rides with the header 'baggage: override.route.users=pr-42'": "the same, with users@pr-42 for users",
    },
}

_KEEP_ALIVE_SECONDS = 7200
"""Longer than Envoy keeps idle connections: a request on a connection that the service closes gets a 503."""


class _ReadableResponse(JSONResponse):
    """Readable JSON for curl: indented, with a newline at the end."""

    def render(self, content: object) -> bytes:
        return json.dumps(content, indent=2).encode() + b"\n"


async def serve(service: str, answer: Answerer, port: int) -> None:
    """Serve on a loopback port until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        application(service, answer),
        port=port,
        lifespan="off",
        log_level="warning",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    await uvicorn.Server(config).serve()


def application(service: str, answer: Answerer) -> Starlette:
    """Build the application: every path returns the call tree; `/` of the entry point returns a welcome."""

    async def tree(_: Request) -> Response:
        return _ReadableResponse(to_json(await answer()))

    async def welcome(_: Request) -> Response:
        return _ReadableResponse(_WELCOME)

    routes = [Route("/", welcome)] if service == ENTRANCE else []
    return Starlette(routes=[*routes, Route("/{path:path}", tree)])
