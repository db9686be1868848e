"""aiohttp's server."""

import os

from propagation.services.setup import set_up

set_up()

from aiohttp import web  # noqa: E402

from propagation.services import async_clients  # noqa: E402


async def ready(_: web.Request) -> web.Response:
    """Say that it serves."""
    return web.Response(text="ready")


async def call(request: web.Request) -> web.Response:
    """Call on."""
    await async_clients.call(request.match_info["client"], request.match_info["number"])
    return web.Response(text=request.match_info["number"])


app = web.Application()
app.router.add_get("/", ready)
app.router.add_get("/{client}/{number}", call)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
