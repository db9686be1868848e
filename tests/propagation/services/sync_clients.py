"""Calling on from services that have a thread, or a greenlet, for each request.

By a queue they call on in two steps: the message's handler, in a process that all services share, calls the sink.
"""

import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from typing import Any

from propagation.services.errands import errands, read

_SINK = os.environ["SINK_HTTP"]
_INTERLEAVING_SECONDS = 0.003


def call(clients: str, number: str) -> None:
    """Wait a moment, so that requests interleave, and call on by each client."""
    time.sleep(random.uniform(0, _INTERLEAVING_SECONDS))
    for client, told in errands(clients, number):
        CLIENTS[client](told)


def call_on(errand: str) -> None:
    """Call on as a message says."""
    for client, told in read(errand):
        CLIENTS[client](told)


def by_requests(number: str) -> None:
    """Call the sink with requests."""
    _session().get(f"{_SINK}/{number}", timeout=30).raise_for_status()


def by_new_connection(number: str) -> None:
    """The same over a connection that no other thread has."""
    import requests

    with requests.Session() as session:
        session.trust_env = False
        session.get(f"{_SINK}/{number}", timeout=30).raise_for_status()


def _by_httpx(number: str) -> None:
    _httpx().get(f"{_SINK}/{number}").raise_for_status()


def _by_urllib3(number: str) -> None:
    assert _urllib3().request("GET", f"{_SINK}/{number}").status == 200


def _by_grpc(name: str) -> Callable[[str], None]:
    def by_grpc(number: str) -> None:
        from google.protobuf.wrappers_pb2 import StringValue

        sent = StringValue(value=number)
        request: Any = iter([sent]) if name in {"grpc-client-stream", "grpc-bidi-stream"} else sent
        answer = _grpc()[name](request, timeout=30)
        found = list(answer) if name in {"grpc-server-stream", "grpc-bidi-stream"} else [answer]
        assert [one.value for one in found] == [number]

    return by_grpc


def _in_thread_pool(number: str) -> None:
    _pool().submit(by_requests, number).result()


def _mapped_in_thread_pool(number: str) -> None:
    list(_pool().map(by_requests, [number]))


def _in_thread(number: str) -> None:
    thread = threading.Thread(target=by_requests, args=(number,))
    thread.start()
    thread.join()


def _in_timer(number: str) -> None:
    timer = threading.Timer(0.001, by_requests, args=(number,))
    timer.start()
    timer.join()


def _by_queue(module: str) -> Callable[[str], None]:
    def by_queue(number: str) -> None:
        import_module(f"propagation.services.queues.{module}").send_on(f"urllib3/{number}")

    return by_queue


CLIENTS: dict[str, Callable[[str], object]] = {
    "requests": by_requests,
    "httpx": _by_httpx,
    "urllib3": _by_urllib3,
    "thread pool": _in_thread_pool,
    "thread pool's map": _mapped_in_thread_pool,
    "thread": _in_thread,
    "timer": _in_timer,
    **{
        name: _by_grpc(name)
        for name in ("grpc-unary", "grpc-client-stream", "grpc-server-stream", "grpc-bidi-stream")
    },
    "Celery": _by_queue("celery_app"),
    "RQ": _by_queue("rq_jobs"),
    "Dramatiq": _by_queue("dramatiq_actors"),
    "pika": _by_queue("pika_producer"),
    "kafka-python": _by_queue("kafka_python_producer"),
    "confluent-kafka": _by_queue("confluent_kafka_producer"),
    "SQS (boto3)": _by_queue("sqs_producer"),
}


@cache
def _session() -> Any:
    import requests

    session = requests.Session()
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=64)
    session.mount("http://", adapter)
    session.trust_env = False
    return session


@cache
def _httpx() -> Any:
    import httpx

    # Between threads, httpcore 1.0 may close an idle connection beyond its limit that another has just taken, which
    # then fails with EBADF: so none is beyond the limit.
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100, keepalive_expiry=None)
    return httpx.Client(trust_env=False, timeout=30, limits=limits)


@cache
def _urllib3() -> Any:
    import urllib3

    return urllib3.PoolManager(maxsize=64, timeout=30)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(8)


@cache
def _grpc() -> dict[str, Any]:
    import grpc

    from propagation.relay import calls

    return calls(grpc.insecure_channel(os.environ["SINK_GRPC"], [("grpc.enable_http_proxy", 0)]))
