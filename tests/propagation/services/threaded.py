"""Serving a WSGI application with a thread for each connection."""

import os
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(application: Any) -> None:
    """Serve on the port that the environment names, until the process is ended."""
    make_server("127.0.0.1", int(os.environ["PORT"]), application, _Server, _Handler).serve_forever()
