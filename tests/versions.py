"""A web application in two versions behind a real edge, for tests that follow links and look into caches."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from detour.mesh import OffloadedDeployment, Scenarios, ScenariosApplied, Service, Settings
from detour.overrides import parse_words
from parts import Client, MeshUnderTest, application, running_mesh

_Client = TypeVar("_Client", bound=httpx.AsyncClient)

BASELINE, SHOP = "baseline", "shop"
"""The versions, by what their answers say; the scenario `shop` leads to the second."""

PREVIEW = "preview.localhost"
"""Browsers know by themselves where hosts below localhost are."""

LONG = "public, max-age=31536000, immutable"
CDN_HEADERS = {
    "surrogate-control": "max-age=600",
    "cdn-cache-control": "public, max-age=600",
    "cloudflare-cdn-cache-control": "max-age=600",
    "x-accel-expires": "600",
    "edge-control": "!no-store, max-age=600",
}


def version(name: str, modified: str = "Mon, 01 Jan 2024 00:00:00 GMT") -> Starlette:
    """Return the application in one version."""

    async def echo(request: Request) -> Response:
        headers = dict(request.headers)
        query = request.url.query
        said = {
            "version": name,
            "method": request.method,
            "query": query,
            "path": request.url.path,
            "headers": headers,
        }
        return JSONResponse(said)

    async def redirect(request: Request) -> Response:
        return RedirectResponse(request.query_params["to"], int(request.query_params.get("status", "302")))

    async def page(request: Request) -> Response:
        host = request.query_params.get("host")
        parts = f'<script src="//{host}/app.js?other"></script><img src="//{host}/image">' if host else ""
        script = '<script src="/app.js"></script>'
        return HTMLResponse(
            f'<!doctype html><html><head>{script}{parts}</head><body id="{name}">{name}</body></html>'
        )

    async def script(request: Request) -> Response:
        text = f'(window.loaded ??= []).push("{name}");'
        headers = {
            "cache-control": LONG,
            "last-modified": modified,
            "etag": '"same-in-both"',
        }
        if request.headers.get("if-modified-since") or request.headers.get("if-none-match"):
            return Response(status_code=304, headers=headers)
        return Response(text, headers={**headers, **CDN_HEADERS}, media_type="text/javascript")

    async def image(_request: Request) -> Response:
        return Response(f"<svg xmlns='http://www.w3.org/2000/svg' id='{name}'/>", media_type="image/svg+xml")

    async def frame(request: Request) -> Response:
        return HTMLResponse(f'<iframe id="inner" src="{request.query_params["src"]}"></iframe>')

    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(f"{name} {websocket.url.query}")
        await websocket.close()

    routes = [
        Route("/redirect", redirect, methods=["GET", "POST", "HEAD"]),
        Route("/page", page),
        Route("/app.js", script),
        Route("/image", image),
        Route("/frame", frame),
        WebSocketRoute("/chat", chat),
        Route("/{path:path}", echo, methods=["GET", "POST", "HEAD", "PUT", "OPTIONS"]),
    ]
    return Starlette(routes=routes)


@asynccontextmanager
async def two_versions(
    logs: Path, settings: Settings | None = None, *, more: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[tuple[MeshUnderTest, Client]]:
    """Run both versions and an edge.

    Args:
        logs: A folder.
        settings: What the edge serves; by default the baseline, on any host, and previews.
        more: More scenarios, by name.
    """
    async with AsyncExitStack() as stack:
        baseline = await stack.enter_async_context(application(version(BASELINE)))
        shop = await stack.enter_async_context(application(version(SHOP)))
        services = [Service("web", (baseline,)), Service("api", (baseline,))]
        deployments = [OffloadedDeployment(service, "pr-7", (shop,)) for service in ("web", "api")]
        running = running_mesh(logs, services, deployments, settings or serving())
        mesh = await stack.enter_async_context(running)
        live = {"shop": "web=pr-7 api=pr-7", **more}
        by_name = {name: parse_words(words.split()) for name, words in live.items()}
        mesh.apply(ScenariosApplied(Scenarios(MappingProxyType(by_name), MappingProxyType({"old": "expired"}))))
        yield mesh, await mesh.edge(trust_overrides=False)


def forgetful(client: _Client) -> _Client:
    """Have a client keep no cookies: tests say themselves which it sends."""
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def serving(previews: Mapping[str, str] = MappingProxyType({}), **changes: object) -> Settings:
    """Return the settings of a mesh whose edge serves the application on any host."""
    made = Settings(edge_hosts=MappingProxyType({"*": "web"}), edge_previews=MappingProxyType(dict(previews)))
    return replace(made, **changes)
