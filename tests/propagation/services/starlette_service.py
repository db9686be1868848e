"""Starlette: coroutines, and background tasks of both kinds."""

from propagation.services.setup import set_up

set_up()

from starlette.applications import Starlette  # noqa: E402
from starlette.background import BackgroundTask  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import PlainTextResponse, Response, StreamingResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402

from propagation.services import asgi, async_clients, late, sync_clients  # noqa: E402

BEHIND = {"coroutine": async_clients.call, "function": sync_clients.call}


async def ready(_: Request) -> Response:
    """Say that it serves."""
    return PlainTextResponse("ready")


async def call(request: Request) -> Response:
    """Call on: at once, or when the answer has been sent."""
    way, number = request.path_params["client"], request.path_params["number"]
    behind, _, client = way.rpartition(": ")
    if behind:
        return PlainTextResponse(number, background=BackgroundTask(BEHIND[behind], client, number))
    way, client = late.split(client)
    if way == "lazy body":
        return StreamingResponse(late.async_body(client, number))
    if way == "outliving":
        late.outlive_async(client, number)
    else:
        await async_clients.call(client, number)
    return PlainTextResponse(number)


asgi.serve(Starlette(routes=[Route("/", ready), Route("/{client}/{number}", call)]))
