"""aiohttp's server."""

import os

from propagation.services.setup import set_up

set_up()

from aiohttp import web  # noqa: E402

from propagation.services import async_clients, late  # noqa: E402


async def ready(_: web.Request) -> web.Response:
    """Say that it serves."""
    return web.Response(text="ready")


async def call(request: web.Request) -> web.Response:
    """Call on: at once, or late."""
    (way, client), number = late.split(request.match_info["client"]), request.match_info["number"]
    if way == "lazy body":
        return web.Response(body=late.async_body(client, number))
    if way == "on_response_prepare":
        request["errand"] = client, number
    elif way == "outliving":
        late.outlive_async(client, number)
    else:
        await async_clients.call(client, number)
    return web.Response(text=number)


async def prepare(request: web.Request, _: web.StreamResponse) -> None:
    """Call on when the response is about to be sent."""
    if errand := request.get("errand"):
        await async_clients.call(*errand)


app = web.Application()
app.on_response_prepare.append(prepare)
app.router.add_get("/", ready)
app.router.add_get("/{client}/{number}", call)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
