"""Servers hand overrides to whatever runs for a request, whether or not they trace it, and to nothing else."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from detour.envoy import tied_to_parent
from ports import free_port
from propagation.brokers.broker import accepts

HEAD = """
import json, os, sys, threading, urllib.request, asyncio
from detour.sdk import current, install
install()

asked = []
def ask(where):
    asked.append((where, current().route("users")))

def get(url):
    urllib.request.urlopen(urllib.request.Request(url, headers={"baggage": "override.route.users=pr-42"})).read()
    urllib.request.urlopen(url).read()

def serving(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()

def say():
    print(json.dumps(asked), flush=True)
    os._exit(0)
"""

WSGI = """
class Body:
    def __iter__(self):
        ask("body")
        yield b"x"

    def close(self):
        ask("close")

def app(environ, start_response):
    ask("handler")
    start_response("200 OK", [("Content-Length", "1")])
    return Body()
"""

ASGI = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    ask("handler")
    await send({"type": "http.response.body", "body": b"x"})
    ask("behind")
"""

WITH_UVICORN = """
import uvicorn
server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="critical"))
threading.Thread(target=server.run, daemon=True).start()
while not server.started:
    threading.Event().wait(0.01)
get("http://127.0.0.1:%d/health" % server.servers[0].sockets[0].getsockname()[1])
server.should_exit = True
while server.server_state.tasks:
    threading.Event().wait(0.01)
say()
"""

WITH_WSGIREF = """
from wsgiref.simple_server import WSGIRequestHandler, make_server
class Quiet(WSGIRequestHandler):
    def log_message(self, *_): pass
server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
def use():
    get("http://127.0.0.1:%d/health" % server.server_port)
    server.shutdown()
serving(server)
use()
say()
"""

WITH_WERKZEUG = """
import logging
from werkzeug.serving import make_server
logging.getLogger("werkzeug").disabled = True
server = make_server("127.0.0.1", 0, app)
serving(server)
get("http://127.0.0.1:%d/health" % server.server_port)
server.shutdown()
say()
"""

WITH_GEVENT = """
import gevent
from gevent.pywsgi import WSGIServer
server = WSGIServer(("127.0.0.1", 0), app, log=None)
server.start()
gevent.get_hub().threadpool.spawn(get, "http://127.0.0.1:%d/health" % server.server_port).get()
say()
"""

WITH_HTTP_SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        ask("handler")
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
serving(server)
import http.client
connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
for headers in ({"baggage": "override.route.users=pr-42"}, {}):  # on one connection
    connection.request("GET", "/health", headers=headers)
    connection.getresponse().read()
say()
"""

FLASK = """
from flask import Flask, Response, request, stream_with_context
app = Flask(__name__)
@app.get("/health")
def health():
    ask("handler")
    def body():
        ask("body")
        yield request.path
    response = Response(stream_with_context(body()))
    response.call_on_close(lambda: ask("close"))
    return response
"""

FASTAPI = """
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
app = FastAPI()
@app.get("/health")
async def health(tasks: BackgroundTasks):
    ask("handler")
    async def body():
        ask("body")
        yield "x"
    tasks.add_task(ask, "background")
    return StreamingResponse(body(), background=tasks)
"""

DJANGO = """
from django.conf import settings
settings.configure(SECRET_KEY="a test's", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True)
from django.http import StreamingHttpResponse
from django.urls import path
def health(request):
    ask("handler")
    def body():
        ask("body")
        yield "x"
    response = StreamingHttpResponse(body())
    response._resource_closers.append(lambda: ask("close"))
    return response
urlpatterns = [path("health", health)]
from django.core.wsgi import get_wsgi_application
app = get_wsgi_application()
"""

AIOHTTP = """
from aiohttp import web
async def body():
    ask("body")
    yield b"x"
async def health(request):
    ask("handler")
    return web.Response(body=body())
async def prepare(request, response):
    ask("on_response_prepare")
async def main():
    app = web.Application()
    app.router.add_get("/health", health)
    app.on_response_prepare.append(prepare)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await asyncio.to_thread(get, "http://127.0.0.1:%d/health" % runner.addresses[0][1])
    await runner.cleanup()
asyncio.run(main())
say()
"""

GRPC = """
import grpc
from concurrent.futures import ThreadPoolExecutor
done = threading.Semaphore(0)
class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self.health)
    def health(self, request, context):
        ask("handler")
        context.add_callback(lambda: (ask("callback"), done.release()))
        return request
server = grpc.server(ThreadPoolExecutor(2), [Service()], None)  # by position
port = server.add_insecure_port("127.0.0.1:0")
server.start()
call = grpc.insecure_channel("127.0.0.1:%d" % port).unary_unary("/detour.test.Health/Check")
for metadata in ((("baggage", "override.route.users=pr-42"),), ()):
    call(b"", metadata=metadata)
    done.acquire(timeout=20)
say()
"""

GRPC_AIO = """
import grpc
class Service(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_stream_rpc_method_handler(self.health)
    async def health(self, request, context):
        ask("handler")
        context.add_done_callback(lambda _: ask("callback"))
        await context.write(b"written, not yielded")
async def main():
    server = grpc.aio.server(None, [Service()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel("127.0.0.1:%d" % port) as channel:
        call = channel.unary_stream("/detour.test.Health/Check")
        for number, metadata in enumerate(((("baggage", "override.route.users=pr-42"),), ())):
            assert [part async for part in call(b"", metadata=metadata)] == [b"written, not yielded"]
            while len(asked) < 2 * number + 2:
                await asyncio.sleep(0.01)
    await server.stop(0)
asyncio.run(main())
say()
"""

TORNADO = """
import tornado.httpserver, tornado.web
class Health(tornado.web.RequestHandler):
    async def get(self):
        ask("handler")
        self.write("x")
        await self.flush()
        ask("behind")
    def on_finish(self):
        ask("on_finish")
async def main():
    server = tornado.web.Application([("/health", Health)]).listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    await asyncio.to_thread(get, "http://127.0.0.1:%d/health" % port)
    server.stop()
asyncio.run(main())
say()
"""

SERVERS = {
    "wsgiref": WSGI + WITH_WSGIREF,
    "werkzeug": WSGI + WITH_WERKZEUG,
    "gevent": WSGI + WITH_GEVENT,
    "uvicorn": ASGI + WITH_UVICORN,
    "http.server": WITH_HTTP_SERVER,
    "Flask": FLASK + WITH_WSGIREF,
    "FastAPI": FASTAPI + WITH_UVICORN,
    "Django": DJANGO + WITH_WSGIREF,
    "aiohttp": AIOHTTP,
    "gRPC": GRPC,
    "gRPC on asyncio": GRPC_AIO,
    "Tornado": TORNADO,
}

EXCLUDED = {"OTEL_PYTHON_EXCLUDED_URLS": "health", "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES": "detour.test.Health"}
DISABLED = {
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": (
        "flask,fastapi,starlette,django,aiohttp-server,grpc_server,grpc_aio_server,tornado"
    )
}


@pytest.mark.parametrize("program", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("variables", [{}, EXCLUDED, DISABLED], ids=["traced", "excluded", "disabled"])
def test_what_runs_for_a_request_has_its_overrides(program: str, variables: dict[str, str]) -> None:
    """To the last callback, with no time behind the response; and the next request on the way has none."""
    ran = subprocess.run(
        [sys.executable, "-c", HEAD + program],
        env={"DETOUR_AFTER_RESPONSE": "0", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, list[str | None]] = {}
    for where, route in json.loads(ran.stdout):
        found.setdefault(where, []).append(route)
    assert found, ran.stderr
    assert found == {where: ["pr-42", None] for where in found}, ran.stderr
    assert not ran.stderr


OWN = """
import os
from detour.sdk import current, install
install()  # in the module that the server is importing by now

def ask(where):
    with open(os.environ["ASKED"], "a") as asked:
        print(where, current().route("users"), file=asked)
"""

COMMANDS = {
    "gunicorn": [["-m", "gunicorn", "-b", "127.0.0.1:{port}", "own:app"], WSGI],
    "gunicorn's threads": [["-m", "gunicorn", "-k", "gthread", "-b", "127.0.0.1:{port}", "own:app"], WSGI],
    "gunicorn's greenlets": [["-m", "gunicorn", "-k", "gevent", "-b", "127.0.0.1:{port}", "own:app"], WSGI],
    "gunicorn, ASGI": [
        ["-m", "gunicorn", "-k", "asgi", "--asgi-lifespan", "off", "-b", "127.0.0.1:{port}", "own:app"],
        ASGI,
    ],
    "waitress": [["-m", "waitress", "--listen=127.0.0.1:{port}", "own:app"], WSGI],
    "hypercorn": [["-m", "hypercorn", "-b", "127.0.0.1:{port}", "own:app"], ASGI],
    "hypercorn, WSGI": [["-m", "hypercorn", "-b", "127.0.0.1:{port}", "wsgi:own:app"], WSGI],
    "granian": [["-m", "granian", "--interface", "asginl", "--port", "{port}", "own:app"], ASGI],
    "granian, WSGI": [["-m", "granian", "--interface", "wsgi", "--port", "{port}", "own:app"], WSGI],
    "uvicorn": [["-m", "uvicorn", "--lifespan", "off", "--port", "{port}", "own:app"], ASGI],
    "daphne": [["-m", "daphne", "-p", "{port}", "own:app"], ASGI],
}


@pytest.mark.parametrize("server", COMMANDS)
def test_servers_of_which_the_sdk_hears_too_late(server: str, tmp_path: Path) -> None:
    """Their application sets it up while they import it: its requests have their overrides, to their ends."""
    command, code = COMMANDS[server]
    if find_spec(command[1]) is None:
        pytest.skip(f"{command[1]} is not installed")
    (tmp_path / "own.py").write_text(OWN + code)
    asked = tmp_path / "asked"
    with _served(command, tmp_path) as port:
        for headers in ({"baggage": "override.route.users=pr-42"}, {}):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/", headers=headers)
            assert connection.getresponse().read() == b"x"
            connection.close()
        deadline = time.monotonic() + 20
        lines: list[str] = []
        parts = {line.split()[0] for line in lines}
        while len(lines) < 2 * max(2, len(parts)):
            assert time.monotonic() < deadline, lines
            time.sleep(0.02)
            lines = asked.read_text().splitlines()
            parts = {line.split()[0] for line in lines}
    assert sorted(lines) == sorted(f"{part} {route}" for part in parts for route in ("None", "pr-42"))


@contextmanager
def _served(command: list[str], folder: Path) -> Iterator[int]:
    port = free_port()
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        tied_to_parent((sys.executable, *(part.format(port=port) for part in command))),
        cwd=folder,
        env={**os.environ, "ASKED": str(folder / "asked"), "DETOUR_AFTER_RESPONSE": "0", "PYTHONPATH": str(folder)},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not accepts(port):
            is_late = process.poll() is not None or time.monotonic() > deadline
            assert not is_late, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()
