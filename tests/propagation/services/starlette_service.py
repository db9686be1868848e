"""Starlette: coroutines, and background tasks of both kinds."""

from propagation.services.setup import set_up

set_up()

from starlette.applications import Starlette  # noqa: E402
from starlette.background import BackgroundTask  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import PlainTextResponse, Response  # noqa: E402
from starlette.routing import Route  # noqa: E402

from propagation.services import asgi, async_clients, sync_clients  # noqa: E402


async def ready(_: Request) -> Response:
    """Say that it serves."""
    return PlainTextResponse("ready")


async def call(request: Request) -> Response:
    """Call on: at once, or when the answer has been sent."""
    client, number = request.path_params["client"], request.path_params["number"]
    if client == "background requests":
        return PlainTextResponse(number, background=BackgroundTask(sync_clients.call, "requests", number))
    if client == "background httpx":
        return PlainTextResponse(number, background=BackgroundTask(async_clients.call, "httpx", number))
    await async_clients.call(client, number)
    return PlainTextResponse(number)


asgi.serve(Starlette(routes=[Route("/", ready), Route("/{client}/{number}", call)]))
