"""What is put to the proof: every service, and the clients and producers by which it calls on."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent

VIA: Final = " > "
"""Stands between a service's own producer and the client by which the message's handler calls on."""

OUTLIVING: Final = f"outliving{VIA}"
"""Stands before the client of work that goes on when its request is long over; it must leave without overrides."""

AFTER_RESPONSE: Final = (("DETOUR_AFTER_RESPONSE", "0"),)
"""Has overrides end with the response, so that what still carries them is part of the request."""

_GRPC: Final = ("grpc-unary", "grpc-client-stream", "grpc-server-stream", "grpc-bidi-stream")
_SYNC: Final = ("requests", "httpx", "urllib3", *_GRPC)
_ASYNC: Final = ("httpx", "aiohttp", *_GRPC)


@dataclass(frozen=True)
class Service:
    """A service that overrides enter, and what they are to leave it by.

    Args:
        name: What the table calls it.
        command: What runs it.
        clients: How it calls on; each is a row.
        entry: The gRPC client by which it is called; "" for HTTP.
        prefix: What stands before the client's name in the path, for services that serve in several ways.
        broker: The name of the one that it takes messages from; "" if it takes none.
        toolchain: The name of what it is built with; "" for Python.
        variables: What else it finds in its environment.
    """

    name: str
    command: tuple[str, ...]
    clients: tuple[str, ...]
    entry: str = ""
    prefix: str = ""
    broker: str = ""
    toolchain: str = ""
    variables: tuple[tuple[str, str], ...] = ()


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"propagation.services.{module}", *arguments)


_BROKERS: Final[Mapping[str, str]] = {
    "Celery": "Redis",
    "RQ": "Redis",
    "Dramatiq": "Redis",
    "pika": "RabbitMQ",
    "aio-pika": "RabbitMQ",
    "kafka-python": "Kafka",
    "confluent-kafka": "Kafka",
    "aiokafka": "Kafka",
    "SQS (boto3)": "ElasticMQ",
    "amqplib": "RabbitMQ",
    "amqplib get": "RabbitMQ",
    "amqp091": "RabbitMQ",
}
"""The brokers of clients that are producers."""

_SYNC_PRODUCERS: Final = ("Celery", "RQ", "Dramatiq", "pika", "kafka-python", "confluent-kafka", "SQS (boto3)")
_ASYNC_PRODUCERS: Final = ("aio-pika", "aiokafka", *_SYNC_PRODUCERS)


def _sync(name: str, command: tuple[str, ...], *more: str, entry: str = "", prefix: str = "") -> Service:
    return Service(name, command, (*_SYNC, *more, *_SYNC_PRODUCERS), entry, prefix, variables=AFTER_RESPONSE)


def _async(name: str, command: tuple[str, ...], *more: str, entry: str = "", prefix: str = "") -> Service:
    return Service(name, command, (*_ASYNC, *more, *_ASYNC_PRODUCERS), entry, prefix, variables=AFTER_RESPONSE)


def _late(*ways: str, client: str = "requests") -> Iterator[str]:
    """Give the clients by which a service calls on late, in what its framework runs behind the handler."""
    return (f"{way}{VIA}{client}" for way in ways)


def _outliving(*clients: str) -> Iterator[str]:
    return (f"{OUTLIVING}{client}" for client in clients)


_PYTHON: Final = (
    _sync(
        "Flask",
        _python("flask_service"),
        "thread pool",
        "thread pool's map",
        "thread",
        "timer",
        *_late("lazy body", "stream_with_context", "call_on_close"),
        *_outliving("requests", "timer", "subclass of thread"),
    ),
    _sync(
        "Django (WSGI)",
        _python("django_service"),
        *_late("lazy body", "closer", "request_finished"),
        *_outliving("requests"),
    ),
    _sync(
        "Django (ASGI)",
        _python("django_service", "asgi"),
        *_late("lazy body", "closer", "request_finished"),
        *_outliving("requests"),
    ),
    _sync(
        "FastAPI, in its thread pool",
        _python("fastapi_service"),
        *_late("lazy body"),
        *_outliving("requests"),
        prefix="sync ",
    ),
    _sync("Starlette, background function", _python("starlette_service"), prefix="function: "),
    *(
        _sync(f"gRPC, {kind}", _python("grpc_service"), *_late("callback"), *_outliving("requests"), entry=kind)
        for kind in _GRPC
    ),
    Service(
        "gevent",
        _python("gevent_service"),
        (
            "requests",
            "httpx",
            "urllib3",
            "thread",
            "thread pool",
            "timer",
            "gevent.spawn",
            "gevent.spawn_later",
            "gevent.spawn_raw",
            "gevent pool",
            "gevent pool's map",
            "gevent pool's imap",
            "gevent thread pool",
            "raw greenlet",
            *_late("lazy body", "call_on_close"),
            *_outliving("requests", "timer", "gevent.spawn"),
            *_SYNC_PRODUCERS,
        ),
        variables=AFTER_RESPONSE,
    ),
    _async(
        "Django (ASGI), async view",
        _python("django_service", "asgi"),
        *_late("lazy body", client="httpx"),
        *_outliving("httpx"),
        prefix="async ",
    ),
    _async(
        "FastAPI",
        _python("fastapi_service"),
        "task",
        "executor",
        "to_thread",
        *_late("lazy body", client="httpx"),
        *_outliving("httpx", "call_later"),
    ),
    _async("FastAPI, background task", _python("fastapi_service"), prefix="background "),
    _async("Starlette", _python("starlette_service"), *_late("lazy body", client="httpx"), *_outliving("httpx")),
    _async("Starlette, background coroutine", _python("starlette_service"), prefix="coroutine: "),
    _async(
        "aiohttp",
        _python("aiohttp_service"),
        "task",
        "executor",
        "to_thread",
        *_late("lazy body", "on_response_prepare", client="httpx"),
        *_outliving("httpx", "call_later"),
    ),
    *(
        _async(
            f"gRPC asyncio, {kind}",
            _python("grpc_aio_service"),
            *_late("callback"),
            *_outliving("httpx"),
            entry=kind,
        )
        for kind in _GRPC
    ),
)


def _queue(name: str, module: str, *producers: str) -> Service:
    return Service(name, _python(f"queues.{module}"), producers, broker=_BROKERS[name])


_QUEUES_WITH_THREADS: Final = (
    _queue("Celery", "celery_service", "delay", "countdown", "retry", "chain", "group", "chord"),
    _queue("RQ", "rq_service", "within", "enqueue", "retry"),
    _queue("Dramatiq", "dramatiq_service", "send", "delay", "retry", "pipeline"),
    _queue("pika", "pika_service", "iterator", "callback", "basic_get"),
    _queue("kafka-python", "kafka_python_service", "iterator", "poll"),
    _queue("confluent-kafka", "confluent_kafka_service", "poll", "consume"),
    _queue(
        "SQS (boto3)",
        "sqs_service",
        "send_message",
        "send_message_batch",
        "nine attributes",
        "ten attributes",
        "resources",
    ),
)

_QUEUES_WITH_COROUTINES: Final = (
    _queue("aio-pika", "aio_pika_service", "iterator", "callback", "get"),
    _queue("aiokafka", "aiokafka_service", "iterator", "getmany"),
)

HANDLERS: Final = {one.name: one for one in (*_QUEUES_WITH_THREADS, *_QUEUES_WITH_COROUTINES)}
"""What takes the messages of all services, by the name of the client that sends them."""


def brokers(service: Service, clients: Iterable[str]) -> set[str]:
    """Return the names of the brokers that a service needs to call on by these clients."""
    found = {service.broker} if service.broker else set()
    return found | {_BROKERS[part] for client in clients for part in client.split(VIA) if part in _BROKERS}


def handlers(clients: Iterable[str]) -> Iterator[Service]:
    """Give what must take messages beside a service that calls on by these clients."""
    for client in clients:
        _, _, last = client.rpartition(VIA)
        if last in HANDLERS:
            yield HANDLERS[last]


def together(service: Service, clients: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Give those of the clients by which one request may call on: those behind the same producer, if any."""
    groups: dict[str, list[str]] = {}
    for client in clients:
        producer, via, _ = client.rpartition(VIA)
        alone = client if service.name in HANDLERS else ""
        groups.setdefault(f"{producer}{via}" or alone, []).append(client)
    return map(tuple, groups.values())


def _via(service: Service, *clients: str) -> Service:
    """Have messages' handlers call on by each client, too, after the first of the ways of sending."""
    return replace(
        service, clients=(*service.clients, *(f"{service.clients[0]}{VIA}{client}" for client in clients))
    )


_NODE: Final = ("fetch", "axios", *_GRPC, "amqplib", "amqplib get")
_NODE_LATE: Final = tuple(_late("lazy body", "finish", "close", client="fetch"))
_FASTIFY_HOOKS: Final = tuple(_late("onSend", "onResponse", client="fetch"))
_NODE_OUTLIVING: Final = tuple(_outliving("fetch", "setTimeout", "setInterval"))


def _node(name: str, server: str, *clients: str, entry: str = "", broker: str = "", traced: bool = True) -> Service:
    command = ("node", str(_HERE / "typescript" / "dist" / "main.js"))
    variables = (("SERVER", server), ("TRACED", "on" if traced else ""), *AFTER_RESPONSE)
    return Service(name, command, clients, entry, "", broker, "TypeScript", variables)


_GO: Final = ("net-http", *_GRPC, "amqp091")
_GO_LATE: Final = tuple(_late("lazy body", "defer", client="net-http"))
_GO_OUTLIVING: Final = tuple(_outliving("net-http", "AfterFunc"))


def _go(name: str, server: str, *clients: str, entry: str = "", broker: str = "", traced: bool = True) -> Service:
    command = (str(_HERE / "go" / "dist" / "service"), server)
    variables = (("TRACED", "on" if traced else ""), *AFTER_RESPONSE)
    return Service(name, command, clients, entry, "", broker, "Go", variables)


SECTIONS: Final = {
    "Python": _PYTHON,
    "Python, behind queues": (
        *(_via(queue, *_SYNC, *_SYNC_PRODUCERS) for queue in _QUEUES_WITH_THREADS),
        *(_via(queue, *_ASYNC, *_ASYNC_PRODUCERS) for queue in _QUEUES_WITH_COROUTINES),
    ),
    "Go": (
        _go("net/http", "net/http", *_GO, *_GO_LATE, *_GO_OUTLIVING),
        _go("net/http, not traced", "net/http", "net-http", *_GO_LATE, *_GO_OUTLIVING, traced=False),
        *(
            _go(f"grpc-go, {kind}", "grpc-go", *_GO, *_late("defer", client="net-http"), *_GO_OUTLIVING, entry=kind)
            for kind in _GRPC
        ),
        _go("amqp091-go", "net/http", *(f"amqp091{VIA}{client}" for client in _GO), broker="RabbitMQ"),
    ),
    "TypeScript": (
        _node("Express", "express", *_NODE, "worker thread", *_NODE_LATE, *_NODE_OUTLIVING),
        _node("Fastify", "fastify", *_NODE, "worker thread", *_NODE_LATE, *_FASTIFY_HOOKS, *_NODE_OUTLIVING),
        _node("node:http", "node:http", *_NODE, *_NODE_LATE, *_NODE_OUTLIVING),
        _node(
            "Express, not traced", "express", "fetch", "axios", *_GRPC, *_NODE_LATE, *_NODE_OUTLIVING, traced=False
        ),
        _node("Fastify, not traced", "fastify", "fetch", *_NODE_LATE, *_FASTIFY_HOOKS, traced=False),
        *(_node(f"grpc-js, {kind}", "grpc-js", *_NODE, *_outliving("fetch"), entry=kind) for kind in _GRPC),
        *(
            _node(f"grpc-js, {kind}, not traced", "grpc-js", "fetch", *_GRPC, entry=kind, traced=False)
            for kind in ("grpc-unary", "grpc-server-stream")
        ),
        *(
            _node(queue, "node:http", *(f"{queue}{VIA}{client}" for client in _NODE), broker="RabbitMQ")
            for queue in ("amqplib", "amqplib get")
        ),
    ),
}
"""All rows, in the order of the table."""
