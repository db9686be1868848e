"""Flask on gevent, everything patched: a greenlet for each request, and more of them within."""

from gevent import monkey

monkey.patch_all()

from propagation.services.setup import set_up  # noqa: E402

set_up()

import os  # noqa: E402
from collections.abc import Callable  # noqa: E402

import gevent  # noqa: E402
import gevent.event  # noqa: E402
import gevent.pool  # noqa: E402
import gevent.threadpool  # noqa: E402
import greenlet  # noqa: E402
from flask import Flask, Response  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

from propagation.services import late, sync_clients  # noqa: E402

app = Flask(__name__)
pool = gevent.pool.Pool(64)


def in_raw_greenlet(number: str) -> None:
    """Call on from a greenlet of greenlet's own, which switches back when it is done."""
    done = gevent.event.Event()

    def run() -> None:
        sync_clients.by_requests(number)
        done.set()

    gevent.get_hub().loop.run_callback(greenlet.greenlet(run, gevent.get_hub()).switch)
    assert done.wait(30)


def in_thread_pool(number: str) -> None:
    """Call on from a native thread, which has a hub and connections of its own."""
    gevent.get_hub().threadpool.apply(sync_clients.by_new_connection, (number,))


def spawn_raw(number: str) -> None:
    """Call on from a greenlet that is none of gevent's own type."""
    done = gevent.event.Event()

    def run() -> None:
        sync_clients.by_requests(number)
        done.set()

    gevent.spawn_raw(run)
    assert done.wait(30)


SPAWNING: dict[str, Callable[[str], object]] = {
    "gevent.spawn": lambda number: gevent.spawn(sync_clients.by_requests, number).get(),
    "gevent.spawn_later": lambda number: gevent.spawn_later(0.001, sync_clients.by_requests, number).get(),
    "gevent.spawn_raw": spawn_raw,
    "gevent pool": lambda number: pool.spawn(sync_clients.by_requests, number).get(),
    "gevent pool's map": lambda number: pool.map(sync_clients.by_requests, [number]),
    "gevent pool's imap": lambda number: list(pool.imap_unordered(sync_clients.by_requests, [number])),
    "gevent thread pool": in_thread_pool,
    "raw greenlet": in_raw_greenlet,
}
sync_clients.CLIENTS.update(SPAWNING)


@app.get("/")
def ready() -> str:
    """Say that it serves."""
    return "ready"


@app.get("/<client>/<number>")
def call(client: str, number: str) -> Response:
    """Call on: from this greenlet or from one that is started for it, at once or late."""
    way, client = late.split(client)
    if way == "lazy body":
        return Response(late.body(client, number))
    response = Response(number)
    if way == "call_on_close":
        response.call_on_close(lambda: sync_clients.call(client, number))
    elif way == "outliving":
        late.outlive(client, number)
    else:
        sync_clients.call(client, number)
    return response


WSGIServer(("127.0.0.1", int(os.environ["PORT"])), app, log=None).serve_forever()
