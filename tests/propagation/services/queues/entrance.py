"""Where requests enter a service that goes on by a queue: Flask for those with threads, Starlette for asyncio.

A message says by which client its handler is to call on, and the request's number: `httpx/17`. It comes of the path
`/{producer}/17` with the client that is the service's own choice, or of `/{producer} > httpx/17`.
"""

import random
import time
from collections.abc import Awaitable, Callable, Mapping

from propagation.rows import VIA

_INTERLEAVING_SECONDS = 0.003


def serve(producers: Mapping[str, Callable[[str], object]]) -> None:
    """Serve HTTP: `/{producer}/{number}` sends a message."""
    from flask import Flask

    from propagation.services import threaded

    app = Flask(__name__)

    @app.get("/")
    def ready() -> str:
        return "ready"

    @app.get("/<producer>/<number>")
    def send(producer: str, number: str) -> str:
        time.sleep(random.uniform(0, _INTERLEAVING_SECONDS))
        name, _, client = producer.partition(VIA)
        producers[name](f"{client or 'requests'}/{number}")
        return number

    threaded.serve(app)


async def serve_async(producers: Mapping[str, Callable[[str], Awaitable[object]]]) -> None:
    """The same, within a running loop."""
    import asyncio
    import os

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    async def ready(_: Request) -> Response:
        return PlainTextResponse("ready")

    async def send(request: Request) -> Response:
        await asyncio.sleep(random.uniform(0, _INTERLEAVING_SECONDS))
        name, _, client = request.path_params["producer"].partition(VIA)
        await producers[name](f"{client or 'httpx'}/{request.path_params['number']}")
        return PlainTextResponse("sent")

    app = Starlette(routes=[Route("/", ready), Route("/{producer}/{number}", send)])
    port, kept = int(os.environ["PORT"]), 600  # seconds, so that no request meets a connection that is being closed
    config = uvicorn.Config(app, port=port, log_level="warning", lifespan="off", timeout_keep_alive=kept)
    await uvicorn.Server(config).serve()
